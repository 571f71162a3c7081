"""Pauses are told here at once and brought into the store as soon as it is there."""

from __future__ import annotations

import pytest

from eros_activity.domain.sight import Pause
from tests.unit.activity.parts import INTERVAL, Parts, background, settle


async def test_a_pause_is_known_here_at_once_and_in_the_store_soon() -> None:
    parts = Parts.of()
    told: list[Pause | None] = []
    parts.lookout.on_pause = lambda: told.append(parts.lookout.pause)
    async with background(parts.lookout.run):
        parts.lookout.blind(3.0, "a gap")
        assert parts.pause_seconds == pytest.approx(INTERVAL + 3)
        assert told == [parts.lookout.pause]
        await settle()
        assert await parts.log.current_pause() == parts.lookout.pause
    parts.clock.advance(INTERVAL + 3)
    assert parts.lookout.active_pause() is None


async def test_a_store_that_is_away_learns_of_the_longest() -> None:
    parts = Parts.of()
    parts.log.away = True
    async with background(parts.lookout.run):
        parts.lookout.blind(1.0, "first")
        await parts.clock.slept()
        parts.lookout.blind(9.0, "second")
        parts.log.away = False
        parts.clock.advance(1)
        await settle()
        stored = await parts.log.current_pause()
    assert stored is not None
    assert stored == parts.lookout.pause
    assert stored.reason == "second"


async def test_a_pause_of_another_replica_is_taken_over() -> None:
    parts = Parts.of()
    now = parts.clock.wall().timestamp()
    parts.lookout.learn(Pause(now + 100, "elsewhere"))
    parts.lookout.learn(Pause(now + 50, "shorter"))
    assert parts.lookout.active_pause() == Pause(now + 100, "elsewhere")


async def test_blindness_that_lasts_lengthens_the_pause_by_steps() -> None:
    parts = Parts.of()
    pauses: list[Pause | None] = []
    parts.lookout.on_pause = lambda: pauses.append(parts.lookout.pause)
    for _ in range(100):
        parts.lookout.fails("log", "refused")
        parts.clock.advance(0.1)
    parts.lookout.works("log")
    # As long as blind: and it was not told each tenth of a second.
    assert parts.pause_seconds == pytest.approx(INTERVAL + 10, abs=1.1)
    assert 5 <= len(pauses) <= 25


async def test_a_hiccup_is_no_blindness() -> None:
    parts = Parts.of()
    parts.lookout.fails("log", "refused")
    parts.clock.advance(1.9)
    parts.lookout.works("log")
    assert parts.lookout.pause is None


@pytest.mark.parametrize("learned", [False, True], ids=["its own", "another's"])
async def test_a_pause_by_a_clock_that_is_ahead_lasts_no_longer_than_pauses_do(
    learned: bool,
) -> None:
    parts = Parts.of()
    ahead = parts.clock.wall().timestamp() + 8 * 3600
    if learned:
        parts.lookout.learn(Pause(ahead, "booted in local time"))
    else:
        parts.clock.set_wall(8 * 3600)
        parts.lookout.blind(3.0, "booted in local time")
        parts.clock.set_wall(-8 * 3600)
    assert parts.lookout.active_pause()
    parts.clock.advance(2 * INTERVAL)
    assert parts.lookout.active_pause() is None
    # And it hides none that comes.
    parts.lookout.blind(3.0, "a gap")
    assert parts.pause_seconds == pytest.approx(INTERVAL + 3)
