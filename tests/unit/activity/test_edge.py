"""Sessions that have ended: what the gateway is told, and what its entries of them mean."""

from __future__ import annotations

from datetime import timedelta

from envoy_als import als_pb2
from redis.asyncio import Redis

from eros.activity.v1 import activity_pb2 as pb
from eros_activity.als_servicer import meaning
from eros_activity.edge_servicer import EdgeServicer
from eros_common.auth.revocation import RevocationMirror
from eros_common.ids import new_user_id
from eros_common.testing import FakeClock


class Ended(RevocationMirror):
    """Told by the test instead of by Valkey."""

    def __init__(self) -> None:
        super().__init__(Redis(), clock=FakeClock())

    def end(self, session: str) -> None:
        self._revoked[session] = (self._clock.wall() + timedelta(minutes=15)).timestamp()
        self._changes += 1


async def _asked(edge: EdgeServicer, known: str = "") -> pb.ListEndedSessionsResponse:
    return await edge.ListEndedSessions(pb.ListEndedSessionsRequest(known=known), None)


async def test_the_list_comes_once_per_version() -> None:
    ended = Ended()
    edge = EdgeServicer(ended)
    empty = await _asked(edge)
    ended.end("one")
    first = await _asked(edge, empty.version)
    assert list(first.session_ids) == ["one"]
    assert first.version != empty.version
    again = await _asked(edge, first.version)
    assert list(again.session_ids) == []
    assert again.version == first.version
    ended.end("two")
    assert (await _asked(edge, first.version)).session_ids == ["one", "two"]


async def test_another_replica_does_not_know_the_same_version() -> None:
    ended = Ended()
    ended.end("one")
    version = (await _asked(EdgeServicer(ended))).version
    assert (await _asked(EdgeServicer(ended), version)).session_ids == ["one"]


def test_an_entry_of_an_ended_session_has_a_number_and_no_life() -> None:
    ended = Ended()
    ended.end("ended")
    message = als_pb2.StreamAccessLogsMessage()
    people = [new_user_id() for _ in range(3)]
    for number, (user, session) in enumerate(zip(people, ("ended", "open", None), strict=True), 1):
        stamp: dict[str, str | float] = {
            "user": str(user),
            "boot": "b",
            "worker": "w",
            "seq": number,
        }
        if session is not None:
            stamp["session"] = session
        entry = message.http_logs.log_entry.add()
        entry.common_properties.metadata.filter_metadata["eros"].update(stamp)
    interactions, numbers = meaning(message, FakeClock(), ended)
    assert [i.user for i in interactions] == [user.bytes for user in people[1:]]
    assert list(numbers.values()) == [[1, 2, 3]]
