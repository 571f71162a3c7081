"""Health is honest: what is down is said, and the parts are asked no oftener than they need be."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial

import pytest
from opentelemetry.metrics import NoOpMeter

from eros.scheduler.v1 import scheduler_pb2, work_pb2
from eros_common import telemetry
from eros_common.cache_reads import Reads
from eros_common.testing import FakeClock
from eros_gateway.domain.wellness import Status
from eros_gateway.front import wire
from eros_gateway.front.health import EVERY_SECONDS, NOBODY_SECONDS, Health
from eros_gateway.front.ports import CacheState, NightSeen, PartDown, Probe


@dataclass(slots=True)
class Parts:
    """Everything health asks; what is in `down` does not answer."""

    down: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    silent_schedulers: set[str] = field(default_factory=set)
    asked: int = 0
    under_way: int = 0
    night: scheduler_pb2.GetOverviewResponse = field(
        default_factory=lambda: scheduler_pb2.GetOverviewResponse(
            workers=[scheduler_pb2.WorkerOverview(worker_id="w", cpu=0.05)],
            kinds=[
                scheduler_pb2.KindOverview(
                    kind=work_pb2.JOB_KIND_MATCH, ready=7, mean_seconds=2.5, success_rate=0.9
                )
            ],
            queue_age_seconds=12.0,
        )
    )

    async def answer(self, name: str) -> None:
        self.asked += 1
        self.under_way += 1
        try:
            if name in self.silent:
                await asyncio.Event().wait()
            if name in self.down:
                raise PartDown(f"{name} is gone")
        finally:
            self.under_way -= 1

    async def overview(self) -> NightSeen:
        await self.answer("scheduler")
        return NightSeen(self.night, {name: f"{name} is gone" for name in self.silent_schedulers})

    async def state(self) -> CacheState:
        await self.answer("cache")
        return CacheState(5_000_000, {"profile": Reads(3, 1)})

    def health(self, clock: FakeClock, timeout: float = 5.0) -> Health:
        names = ("accounts", "activity", "matcher", "scheduler", "postgres", "valkey", "envoy")

        probes: dict[str, Probe] = {name: partial(self.answer, name) for name in names}
        return Health(
            probes,
            self,
            self,
            clock,
            keep_seconds=1.0,
            timeout_seconds=timeout,
        )


@pytest.mark.parametrize(
    ("down", "status"),
    [
        ((), Status.OK),
        (("matcher",), Status.DEGRADED),
        (("valkey", "cache"), Status.DEGRADED),
        (("scheduler",), Status.DEGRADED),
        (("accounts",), Status.DOWN),
        (("postgres", "matcher"), Status.DOWN),
    ],
)
async def test_the_whole_is_as_well_as_its_parts(down: tuple[str, ...], status: Status) -> None:
    health = Parts(down=set(down)).health(FakeClock())
    look = await health.look()
    assert look.status is status
    ill = {name for name, part in look.components.items() if part.status is not Status.OK}
    assert ill == set(down) | ({"workers"} if "scheduler" in down else set())
    answer = wire.detailed(health, look)
    assert all(answer.components[name].message for name in ill)


async def test_a_silent_part_is_down_and_holds_nobody_up() -> None:
    look = await Parts(silent={"postgres"}).health(FakeClock(), timeout=0.05).look()
    assert look.status is Status.DOWN
    assert "no answer" in look.components["postgres"].message


async def test_a_flood_of_questions_asks_the_parts_once() -> None:
    parts, clock = Parts(), FakeClock()
    health = parts.health(clock)
    await asyncio.gather(*(health.look() for _ in range(50)))
    once = parts.asked
    assert once == 9  # seven parts, the night, the cache
    clock.advance(1.5)
    parts.down.add("accounts")
    assert (await health.look()).status is Status.DOWN
    assert parts.asked == 2 * once


@pytest.mark.parametrize("silent", ["postgres", "scheduler"])
async def test_a_look_that_is_given_up_leaves_no_probe_running(silent: str) -> None:
    # The scheduler's answer is the last that is waited for, a probe's the first.
    parts = Parts(silent={"postgres", silent})
    look = asyncio.create_task(parts.health(FakeClock()).look())
    while parts.asked < 9:
        await asyncio.sleep(0)
    look.cancel()
    with pytest.raises(asyncio.CancelledError):
        await look
    assert parts.under_way == 0


async def test_no_worker_is_well_while_there_is_nothing_to_do() -> None:
    parts, clock = Parts(night=scheduler_pb2.GetOverviewResponse()), FakeClock()
    health = parts.health(clock)
    clock.advance(10 * NOBODY_SECONDS)
    assert (await health.look()).status is Status.OK


async def test_jobs_that_wait_long_for_a_worker_are_told() -> None:
    parts, clock = Parts(), FakeClock()
    del parts.night.workers[:]
    parts.night.queue_age_seconds = 10 * NOBODY_SECONDS  # ready since long before the window
    health = parts.health(clock)
    assert (await health.look()).status is Status.OK
    clock.advance(NOBODY_SECONDS + 1)
    look = await health.look()
    assert look.components["workers"].status is Status.DEGRADED
    assert "no worker" in look.components["workers"].message
    parts.night.workers.add(worker_id="w")
    clock.advance(2)
    assert (await health.look()).status is Status.OK
    del parts.night.workers[:]
    clock.advance(2)
    assert (await health.look()).status is Status.OK, "it waits since a moment ago"


async def test_nobody_asked_for_long_and_jobs_waited_all_the_while() -> None:
    parts, clock = Parts(), FakeClock()
    del parts.night.workers[:]
    health = parts.health(clock)
    clock.advance(10 * NOBODY_SECONDS)
    parts.night.queue_age_seconds = NOBODY_SECONDS - 1
    assert (await health.look()).status is Status.OK
    health = parts.health(clock)
    clock.advance(10 * NOBODY_SECONDS)
    parts.night.queue_age_seconds = NOBODY_SECONDS + 1
    assert (await health.look()).status is Status.DEGRADED


async def test_a_pause_and_a_silent_scheduler_are_told() -> None:
    parts = Parts()
    parts.night.pause_reason = "blind"
    look = await parts.health(FakeClock()).look()
    assert look.components["workers"].status is Status.DEGRADED
    assert "blind" in look.components["workers"].message
    look = await Parts(silent_schedulers={"10.0.0.2"}).health(FakeClock()).look()
    assert look.components["workers"].status is Status.DEGRADED
    assert "10.0.0.2 is gone" in look.components["workers"].message


@dataclass(slots=True)
class Told:
    """Of a gauge: what was last said of each part."""

    up: dict[str, int] = field(default_factory=dict)

    def set(self, value: int, attributes: dict[str, str]) -> None:
        self.up[attributes["part"]] = value


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    gauge = Told()
    monkeypatch.setattr(NoOpMeter, "create_gauge", lambda *_, **__: gauge)
    monkeypatch.setattr(telemetry, "meter", lambda: NoOpMeter("test"))
    monkeypatch.setattr(telemetry, "measuring", lambda: True)
    return gauge


async def test_the_parts_are_asked_and_measured_though_nobody_asks(told: Told) -> None:
    parts, clock = Parts(), FakeClock()
    parts.night.pause_reason = "blind"
    running = asyncio.create_task(parts.health(clock).run())
    await clock.slept()
    assert set(told.up.values()) == {1}, "a pause is no fault of a part"
    parts.down.add("matcher")
    clock.advance(EVERY_SECONDS)
    await clock.slept()
    assert {part for part, up in told.up.items() if not up} == {"matcher"}
    parts.down.clear()
    clock.advance(EVERY_SECONDS)
    await clock.slept()
    assert set(told.up.values()) == {1}
    running.cancel()


async def test_where_nothing_is_measured_nobody_is_asked() -> None:
    parts, clock = Parts(), FakeClock()
    running = asyncio.create_task(parts.health(clock).run())
    await clock.slept()
    assert parts.asked == 0
    running.cancel()


async def test_details_tell_of_the_night_and_the_cache() -> None:
    health = Parts().health(FakeClock())
    answer = wire.detailed(health, await health.look())
    assert answer.scheduler.queue_age_seconds == 12
    (kind,) = answer.scheduler.kinds
    assert (kind.kind, kind.phase, kind.duration_seconds, kind.success_rate) == (
        *("match", 3),
        *(2.5, 0.9),
    )
    (reads,) = answer.cache.reads
    assert (reads.key, reads.hit_rate, answer.cache.used_megabytes) == ("profile", 0.75, 5)


async def test_reasons_are_for_administrators_only() -> None:
    parts = Parts(down={"postgres"})
    health = parts.health(FakeClock())
    look = await health.look()
    assert "gone" not in str(wire.health(health, look))
    assert "postgres is gone" in str(wire.detailed(health, look))
