"""Sessions that have ended: what the gateway is told, and what its entries of them mean."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from envoy_als import als_pb2
from redis.asyncio import Redis

from eros.activity.v1 import activity_pb2 as pb
from eros_activity.als_servicer import meaning
from eros_activity.domain.people import UserKey
from eros_activity.edge_servicer import EdgeServicer
from eros_common.auth.revocation import RevocationMirror
from eros_common.errors import InvalidArgument, Unavailable
from eros_common.ids import UserId, new_user_id
from eros_common.testing import FakeClock
from tests.unit.activity.parts import Parts, background, settle


class Ended(RevocationMirror):
    """Told by the test instead of by Valkey."""

    def __init__(self) -> None:
        super().__init__(Redis(), clock=FakeClock())

    def end(self, session: str) -> None:
        self._revoked[session] = (self._clock.wall() + timedelta(minutes=15)).timestamp()
        self._changes += 1


def _edge(ended: Ended, parts: Parts | None = None) -> EdgeServicer:
    parts = parts or Parts.of()
    return EdgeServicer(ended, parts.touches, parts.clock)


async def _asked(edge: EdgeServicer, known: str = "") -> pb.ListEndedSessionsResponse:
    return await edge.ListEndedSessions(pb.ListEndedSessionsRequest(known=known), None)


async def test_the_list_comes_once_per_version() -> None:
    ended = Ended()
    edge = _edge(ended)
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
    version = (await _asked(_edge(ended))).version
    assert (await _asked(_edge(ended), version)).session_ids == ["one"]


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


_IDS = f"{'a' * 32}-{'b' * 16}"


@pytest.mark.parametrize(
    ("header", "tag", "request_id", "trace"),
    [
        (f"00-{_IDS}-01", f"00-{_IDS}", "", f"00-{_IDS}-01"),
        (f"00-{_IDS}-00", f"00-{_IDS}", "ada270fe-56fd-9831-9d83-7318694d495f", ""),
        # Envoy has answered: its router wrote no header.
        ("", f"00-{_IDS}", "ada270fe-56fd-9831-9d83-7318694d495f", f"00-{_IDS}-01"),
        ("", f"00-{_IDS}", "ada270fe-56fd-4831-9d83-7318694d495f", ""),
        ("", f"00-{_IDS}", "9", ""),
        ("", "00--", "ada270fe-56fd-9831-9d83-7318694d495f", ""),
        ("", "", "ada270fe-56fd-9831-9d83-7318694d495f", ""),
    ],
)
def test_only_what_is_recorded_carries_its_trace(
    header: str, tag: str, request_id: str, trace: str
) -> None:
    message = als_pb2.StreamAccessLogsMessage()
    entry = message.http_logs.log_entry.add()
    entry.common_properties.metadata.filter_metadata["eros"].update({"user": str(new_user_id())})
    if header:
        entry.request.request_headers["traceparent"] = header
    if tag:
        entry.common_properties.custom_tags["trace"] = tag
    entry.request.request_id = request_id
    [interaction], _ = meaning(message, FakeClock())
    assert interaction.trace == trace


def _request(*signs: tuple[UserId, float, str]) -> pb.TakeSignsRequest:
    lines = (f"{user}{round(wall * 1000)}{session}" for user, wall, session in signs)
    return pb.TakeSignsRequest(signs="\n".join(lines))


async def test_gathered_signs_count_from_when_they_arrived() -> None:
    ended, parts = Ended(), Parts.of()
    ended.end("ended")
    wall, now = parts.clock.wall().timestamp(), parts.now
    one, two, three = (new_user_id() for _ in range(3))
    async with background(parts.touches.run):
        await _edge(ended, parts).TakeSigns(
            _request((one, wall - 0.25, "a"), (two, wall + 99, "b"), (three, wall, "ended")), None
        )
    found = {user: await parts.people.find(UserKey(user.bytes)) for user in (one, two, three)}
    assert found[three] is None
    for user, instant in ((one, now - 0.25), (two, now)):
        seen = found[user]
        assert seen is not None
        assert seen.last_seen == pytest.approx(instant, abs=2e-3)


async def test_an_answer_means_that_they_are_in_the_store() -> None:
    parts = Parts.of()
    parts.people.away = True
    user = new_user_id()
    request = _request((user, parts.clock.wall().timestamp(), "s"))
    edge = _edge(Ended(), parts)
    async with background(parts.touches.run):
        with pytest.raises(Unavailable):
            await edge.TakeSigns(request, None)
        parts.people.away = False
        parts.clock.advance(1)
        await settle()
        # It was kept, and saying it again changes nothing.
        assert await parts.people.recent(2) == [user.bytes]
        await edge.TakeSigns(request, None)
        assert await parts.people.recent(2) == [user.bytes]


@pytest.mark.parametrize(
    "line", ["x", f"{UUID(int=1)}", f"{UUID(int=1)}12345678901x3s", "ü" * 60, " " * 49]
)
async def test_what_is_no_sign_is_refused(line: str) -> None:
    with pytest.raises(InvalidArgument):
        await _edge(Ended()).TakeSigns(pb.TakeSignsRequest(signs=line), None)
