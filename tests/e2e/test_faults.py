"""A short night in which schedulers, workers and both stores are killed at seeded moments."""

from __future__ import annotations

from bench import faults


async def test_in_the_morning_every_job_was_done_exactly_once() -> None:
    found = await faults.night(seed=3, people=30, seconds=11, durable=False)
    assert found["kills"] >= 2
    assert (found["lost"], found["twice"]) == (0, 0)
    assert found["frozen"] == 1
    # Who lost sight of its scheduler stopped by itself.
    assert found["not_halted"] == 0
    assert found["over_bound"] == 0
