"""The cap holds in every window of ten seconds and is reached where the CPU is free."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eros_matcher.compute.pacing import (
    CHUNK_LIMIT_SECONDS,
    CHUNK_TARGET_SECONDS,
    SAVED_SECONDS,
    WINDOW_SECONDS,
    ChunkSizer,
    Ledger,
    SnapshotRhythm,
    overdraft,
)

CAPS = (0.05, 0.15, 0.95)
POINT = 0.01


@dataclass
class Machine:
    """A core on which a chunk takes CPU and time passes: the fake clock of these tests."""

    wall: float = 100.0
    cpu: float = 0.0
    history: list[tuple[float, float]] = field(default_factory=list)

    def compute(self, cpu: float, stretch: float = 1.0) -> None:
        """`cpu` seconds of work that take `stretch` times as long."""
        self.wall += cpu * stretch
        self.cpu += cpu
        self.history.append((self.wall, self.cpu))

    def wait(self, seconds: float) -> None:
        self.history.append((self.wall, self.cpu))
        self.wall += seconds
        self.history.append((self.wall, self.cpu))

    def worst_window(self) -> float:
        """The largest share of the core taken in any ten seconds."""
        worst = 0.0
        begin = 0
        for wall, cpu in self.history:
            while self.history[begin][0] < wall - WINDOW_SECONDS:
                begin += 1
            worst = max(worst, (cpu - self.history[begin][1]) / WINDOW_SECONDS)
        return worst


def play(
    cap: float,
    *,
    seconds: float,
    chunk: Callable[[], float],
    late: Callable[[], float] = lambda: 0.0,
    stretch: Callable[[], float] = lambda: 1.0,
    startup: float = 0.0,
) -> Machine:
    machine = Machine()
    ledger = Ledger(cap, wall=machine.wall, cpu=machine.cpu)
    machine.compute(startup)
    end = machine.wall + seconds
    while machine.wall < end:
        ledger.settle(wall=machine.wall, cpu=machine.cpu)
        if ledger.wait > 0:
            machine.wait(ledger.wait + late())
        else:
            machine.compute(chunk(), stretch())
    return machine


@pytest.mark.parametrize("cap", CAPS)
def test_a_free_core_is_used_to_the_cap(cap: float) -> None:
    rng = random.Random(1)
    machine = play(
        cap,
        seconds=60,
        chunk=lambda: rng.uniform(0.001, CHUNK_LIMIT_SECONDS),
        late=lambda: rng.uniform(0, 0.0005),
    )
    assert cap - POINT < machine.cpu / 60 < cap + POINT
    assert machine.worst_window() < cap + POINT


@settings(max_examples=60)
@given(
    cap=st.sampled_from(CAPS),
    seed=st.integers(),
    starve=st.floats(0, 0.2),
    startup=st.floats(0, 0.5),
)
def test_no_ten_seconds_are_over_the_cap_by_a_point(
    cap: float, seed: int, starve: float, startup: float
) -> None:
    """Late wake-ups, starvation and a costly start included."""
    rng = random.Random(seed)
    machine = play(
        cap,
        seconds=30,
        chunk=lambda: rng.uniform(0.0005, 1.5 * CHUNK_LIMIT_SECONDS),
        late=lambda: rng.choice((0.0, 0.0005, 0.2)),
        stretch=lambda: 50.0 if rng.random() < starve else 1.0,
        startup=startup,
    )
    # The start itself may be beyond the cap: nothing can be waited for before it.
    assert machine.worst_window() < max(cap, startup / WINDOW_SECONDS) + POINT


@pytest.mark.parametrize("cap", CAPS)
def test_what_was_not_used_is_not_saved_up(cap: float) -> None:
    """But for as little as no window of ten seconds notices."""
    ledger = Ledger(cap, wall=0.0, cpu=0.0)
    ledger.settle(wall=3600.0, cpu=0.0)
    assert ledger.credit == pytest.approx(SAVED_SECONDS)
    assert SAVED_SECONDS + CHUNK_LIMIT_SECONDS < POINT * WINDOW_SECONDS


@pytest.mark.parametrize(("cap", "gap"), [(0.05, 0.5), (0.15, 0.2), (0.95, 0.025)])
def test_the_gap_between_two_batches_is_caught_up_with(cap: float, gap: float) -> None:
    """A batch of one second, and then nothing to do until the next is claimed and prepared."""
    machine = Machine()
    ledger = Ledger(cap, wall=machine.wall, cpu=machine.cpu)
    next_gap = machine.wall + 1.0
    while machine.wall < 160.0:
        ledger.settle(wall=machine.wall, cpu=machine.cpu)
        if machine.wall >= next_gap:
            machine.wait(gap)
            next_gap = machine.wall + 1.0
        elif ledger.wait > 0:
            machine.wait(ledger.wait + 0.0001)
        else:
            machine.compute(0.006)
    assert cap - POINT < machine.cpu / 60 < cap + POINT
    assert machine.worst_window() < cap + POINT


def test_a_killed_childs_overrun_is_waited_for_by_the_next() -> None:
    ledger = Ledger(0.15, wall=0.0, cpu=0.0, debt=0.3)
    assert ledger.wait == pytest.approx(2.0)
    ledger.settle(wall=1.0, cpu=0.0)
    assert ledger.wait == pytest.approx(1.0)


def test_a_child_killed_in_a_long_call_leaves_its_overrun_to_the_next() -> None:
    assert overdraft(0.15, debt=0.0, unseen=1.0, since=1.2) == pytest.approx(0.82)
    # What is older than the window is forgotten, and a starved child owes nothing.
    assert overdraft(0.15, debt=0.0, unseen=5.0, since=5.0) == pytest.approx(1.5)
    assert overdraft(0.15, debt=0.0, unseen=0.1, since=60.0) == 0.0


def test_a_debt_older_than_the_window_is_forgotten() -> None:
    ledger = Ledger(0.05, wall=0.0, cpu=0.0)
    ledger.settle(wall=5.0, cpu=5.0)
    assert ledger.wait == pytest.approx(WINDOW_SECONDS)


@given(st.floats(1e-5, 0.004))
def test_chunks_come_to_the_target_and_not_over_it(unit_seconds: float) -> None:
    sizer = ChunkSizer()
    for _ in range(30):
        took = sizer.units * unit_seconds
        assert took <= CHUNK_TARGET_SECONDS
        sizer.update(units=sizer.units, wall=took, cpu=took)
    assert sizer.units * unit_seconds > CHUNK_TARGET_SECONDS / 2 - unit_seconds


def test_a_dearer_unit_is_believed_at_once() -> None:
    sizer = ChunkSizer()
    for _ in range(20):
        sizer.update(units=sizer.units, wall=sizer.units * 1e-4, cpu=sizer.units * 1e-4)
    before = sizer.units
    sizer.update(units=before, wall=before * 4e-4, cpu=before * 4e-4)
    assert sizer.units * 4e-4 <= CHUNK_TARGET_SECONDS


def test_contention_makes_chunks_smaller_and_its_end_larger_again() -> None:
    sizer = ChunkSizer()

    def chunks(count: int, stretch: float) -> int:
        for _ in range(count):
            cpu = sizer.units * 1e-4
            sizer.update(units=sizer.units, wall=cpu * stretch, cpu=cpu)
        return sizer.units

    free = chunks(30, 1.0)
    crowded = chunks(30, 4.0)
    assert crowded * 1e-4 * 4.0 <= CHUNK_LIMIT_SECONDS
    assert crowded < free / 3
    assert chunks(60, 1.0) >= 0.8 * free


def test_snapshots_cost_their_share_of_the_cpu_and_no_more() -> None:
    rhythm = SnapshotRhythm()
    cpu = spent = 0.0
    while cpu < 10.0:
        cpu += 0.006
        if rhythm.due(cpu):
            rhythm.took(began=cpu, ended=cpu + 0.001)
            cpu += 0.001
            spent += 0.001
    assert 0.5 * rhythm.share < spent / cpu <= rhythm.share * 1.05
