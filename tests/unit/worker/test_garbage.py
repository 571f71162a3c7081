"""Full collections of garbage: between batches only, and not after each."""

from __future__ import annotations

import gc

from eros_matcher.worker.garbage import QuietCollector


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_it_collects_between_batches_when_the_last_time_is_long_ago() -> None:
    clock, collected = Clock(), []
    collector = QuietCollector(
        collect=lambda: collected.append(clock.now), monotonic=clock, rest_seconds=10
    )
    for second in (1, 9, 10, 11, 19, 25, 40):
        clock.now = 100.0 + second
        collector.between_batches()
    assert collected == [110.0, 125.0, 140.0]


def test_young_garbage_is_collected_as_ever_and_old_by_nobody_else() -> None:
    before = gc.get_threshold()
    try:
        QuietCollector().begin()
        young, middle, old = gc.get_threshold()
    finally:
        gc.set_threshold(*before)
    assert (young, middle) == before[:2]
    assert old > 1_000_000
