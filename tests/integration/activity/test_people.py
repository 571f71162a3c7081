"""What people and other services ask, over gRPC."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import Any

import grpc
import pytest

from eros.activity.v1 import activity_pb2 as pb
from eros_common.errors import ErosError, from_rpc_error
from eros_common.ids import UserId, new_user_id
from eros_common.testing import TestTokens
from tests.integration.activity.service import Activity, activity, users


async def refused(call: Awaitable[Any]) -> ErosError:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    assert isinstance(error.value, grpc.aio.AioRpcError)
    return from_rpc_error(error.value)


async def status(replica: Activity, user: UserId) -> pb.GetStatusResponse:
    answer = await replica.stub.GetStatus(pb.GetStatusRequest(), metadata=replica.tokens.user(user))
    assert answer.user_id == str(user)
    return answer


async def test_a_heartbeat_is_an_interaction(replica: Activity) -> None:
    [user] = users(1)
    await replica.touch((user, time.time() - 3600))
    assert (await status(replica, user)).processing_phase == 3
    before = time.time()
    answer = await replica.heartbeat(user, user_id=str(user))
    assert (answer.success, answer.idle_time, answer.processing_phase) == (True, 0.0, 0)
    assert before <= answer.timestamp.ToNanoseconds() / 1e9 <= time.time()
    now = await status(replica, user)
    assert now.last_interaction.ToNanoseconds() / 1e9 >= before - 1e-3
    assert now.processing_phase == 0
    assert now.idle_time < 5


@pytest.mark.parametrize(
    "fields",
    [{"app_active": False}, {"screen_on": False}, {"app_active": True, "screen_on": False}],
)
async def test_a_heartbeat_in_the_background_only_reports(
    replica: Activity, fields: dict[str, bool]
) -> None:
    [user] = users(1)
    seen = time.time() - 2000
    await replica.touch((user, seen))
    answer = await replica.heartbeat(user, **fields)
    assert answer.success
    assert answer.idle_time == pytest.approx(time.time() - seen, abs=5)
    assert answer.processing_phase == 2
    assert (await status(replica, user)).last_interaction.ToNanoseconds() / 1e9 == pytest.approx(
        seen, abs=1e-3
    )


async def test_nobody_reports_for_somebody_else(replica: Activity) -> None:
    me, other = users(2)
    await replica.touch((other, time.time() - 3600))
    error = await refused(replica.heartbeat(me, user_id=str(other)))
    assert error.grpc_status is grpc.StatusCode.PERMISSION_DENIED
    assert [fault.field for fault in error.fields] == ["userId"]
    assert (await status(replica, other)).processing_phase == 3


async def test_a_user_id_that_is_none(replica: Activity) -> None:
    error = await refused(replica.heartbeat(new_user_id(), user_id="me"))
    assert error.grpc_status is grpc.StatusCode.INVALID_ARGUMENT
    assert [fault.field for fault in error.fields] == ["userId"]


async def test_whoever_was_never_seen_is_not_asleep(replica: Activity) -> None:
    [user] = users(1)
    answer = await status(replica, user)
    assert not answer.HasField("last_interaction")
    assert (answer.idle_time, answer.processing_phase, answer.session_duration) == (0.0, 0, 0.0)
    background = await replica.heartbeat(user, screen_on=False)
    assert (background.success, background.idle_time, background.processing_phase) == (True, 0.0, 0)
    assert (await replica.stats()).known_users == 0


async def test_a_session_lasts_from_its_first_interaction(replica: Activity) -> None:
    [user] = users(1)
    now = time.time()
    await replica.touch((user, now - 500))
    await replica.touch((user, now - 100))
    assert (await status(replica, user)).session_duration == pytest.approx(500, abs=5)


async def test_stats_are_for_admins(replica: Activity) -> None:
    now = time.time()
    ages = [0, 100, 700, 2000, 4000, 4000]
    people = users(len(ages))
    assert await replica.touch(*((u, now - age) for u, age in zip(people, ages, strict=True))) == 0
    stats = await replica.stats()
    counts = (stats.awake, stats.phase1, stats.phase2, stats.phase3)
    assert counts == (2, 1, 1, 2)
    assert (stats.known_users, stats.open_sessions) == (6, 2)
    assert stats.uptime > 0
    assert not stats.HasField("paused_until")
    call = replica.stub.GetStats(pb.GetStatsRequest(), metadata=replica.tokens.user(people[0]))
    assert (await refused(call)).grpc_status is grpc.StatusCode.PERMISSION_DENIED


async def test_recently_active_people_newest_first(replica: Activity) -> None:
    now = time.time()
    people = users(30)
    await replica.touch(*((user, now - age) for age, user in enumerate(people, 1)))
    answer = await replica.stub.ListRecentlyActive(
        pb.ListRecentlyActiveRequest(limit=10),
        metadata=replica.tokens.service("matcher", "activity"),
    )
    assert list(answer.user_ids) == [user.bytes for user in people[:10]]


async def test_a_touch_from_the_future_is_now(replica: Activity) -> None:
    [user] = users(1)
    await replica.touch((user, time.time() + 9999))
    seen = (await status(replica, user)).last_interaction.ToNanoseconds() / 1e9
    assert seen <= time.time()


async def test_who_may_call(replica: Activity, tokens: TestTokens) -> None:
    user = tokens.user(new_user_id())
    stub = replica.stub
    touch = pb.TouchRequest(interactions=[pb.Interaction(user_id=bytes(16))])
    anonymous: list[Awaitable[Any]] = [
        stub.Heartbeat(pb.HeartbeatRequest()),
        stub.GetStatus(pb.GetStatusRequest()),
    ]
    for call in anonymous:
        assert (await refused(call)).grpc_status is grpc.StatusCode.UNAUTHENTICATED
    as_others: list[Awaitable[Any]] = [
        stub.Touch(touch, metadata=user),
        stub.ListRecentlyActive(pb.ListRecentlyActiveRequest(limit=1), metadata=user),
        stub.WatchTransitions(pb.WatchTransitionsRequest(), metadata=user).read(),
        stub.Touch(touch, metadata=tokens.service("gateway", "activity")),
        stub.WatchTransitions(
            pb.WatchTransitionsRequest(), metadata=tokens.service("matcher", "activity")
        ).read(),
    ]
    for call in as_others:
        status_code = (await refused(call)).grpc_status
        assert status_code in {
            grpc.StatusCode.PERMISSION_DENIED,
            grpc.StatusCode.UNAUTHENTICATED,
        }


@pytest.mark.parametrize(
    "request_message",
    [
        pb.TouchRequest(),
        pb.TouchRequest(interactions=[pb.Interaction(user_id=b"short")]),
        pb.TouchRequest(interactions=[pb.Interaction(user_id=bytes(16), at=-1)]),
        pb.TouchRequest(interactions=[pb.Interaction(user_id=bytes(16), at=float("nan"))]),
        pb.TouchRequest(interactions=[pb.Interaction(user_id=bytes(16))] * 5001),
    ],
    ids=["nobody", "short id", "before 1970", "no number", "too many"],
)
async def test_touches_that_are_wrong(replica: Activity, request_message: pb.TouchRequest) -> None:
    operator = replica.tokens.service("operator", "activity")
    error = await refused(replica.stub.Touch(request_message, metadata=operator))
    assert error.grpc_status is grpc.StatusCode.INVALID_ARGUMENT
    assert error.fields[0].field.startswith("interactions")


async def test_idle_time_runs_on_the_night_clock(valkey_url: str, tokens: TestTokens) -> None:
    night = {
        "night_epoch": "2026-03-02T23:00:00Z",
        "night_t0": "2026-01-01T00:00:00Z",
        "night_rate": 3600.0,
    }
    [user] = users(1)
    async with activity(valkey_url, tokens, **night) as replica:
        async with replica.watch() as watcher:
            await watcher.until(lambda w: w.snapshot_ended)
            before = time.time()
            await replica.heartbeat(user)
            # An hour a second: ten idle minutes are over in a sixth of one.
            await watcher.until(lambda w: user in w.asleep)
            await replica.heartbeat(user)
            await watcher.until(lambda w: user not in w.asleep)
            woke = watcher.events[-1]
            assert before <= woke.touched_at <= time.time()  # by the wall clock
            assert woke.at > before * 2  # by the night clock
        idle = await replica.heartbeat(user, screen_on=False)
        assert idle.idle_time > 0
