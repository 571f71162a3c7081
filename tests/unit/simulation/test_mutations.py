"""The judge can find fault: with any one safeguard switched off, it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from eros_cli.simulation.fences import run as run_fences
from eros_cli.simulation.report import text_of
from eros_cli.simulation.run import simulate
from eros_common.ids import JobToken, UserId
from eros_common.phases import IdleThresholds
from eros_matcher.compute.pacing import Ledger
from eros_matcher.worker.core import WorkerCore
from eros_scheduler import store_memory
from eros_scheduler.core import claims, halting, watching, windows
from eros_scheduler.core.model import HaltReason, JobKind, Zone
from eros_scheduler.core.state import State
from eros_scheduler.store_memory import MemoryJobs
from eros_scheduler.store_memory_fences import MemoryFences
from eros_scheduler.store_memory_table import Row
from tests.unit.simulation.test_seeds import hard

Patch = pytest.MonkeyPatch


def no_fence(patch: Patch) -> None:
    def live(
        self: MemoryFences, users: Sequence[UserId], kind: JobKind, tokens: Sequence[JobToken]
    ) -> Iterator[tuple[Row, int]]:
        for index, user in enumerate(users):
            row = self._table.get(user, kind)
            if row is not None and row.claimed_at is not None:
                yield row, index

    patch.setattr(MemoryFences, "_live", live)


def no_halt_for_whoever_wakes(patch: Patch) -> None:
    real = halting.halt

    def halt(state: State, worker: Any, leases: Any, reason: HaltReason, **others: Any) -> None:
        if reason is not HaltReason.WOKE:
            real(state, worker, leases, reason, **others)

    patch.setattr(halting, "halt", halt)


def no_halt_when_the_scheduler_is_silent(patch: Patch) -> None:
    real = WorkerCore._halt_all

    def halt_all(self: WorkerCore, reason: Any, out: Any) -> None:
        if reason.name != "SILENCE":
            real(self, reason, out)

    patch.setattr(WorkerCore, "_halt_all", halt_all)


def no_halt_when_activity_is_silent(patch: Patch) -> None:
    patch.setattr(watching, "_halt_everything", lambda state, now: None)


def no_pause_after_a_gap(patch: Patch) -> None:
    patch.setattr(watching, "pause_asked", lambda state, event, now: None)


def no_thresholds(patch: Patch) -> None:
    real = MemoryJobs.__init__

    def init(self: MemoryJobs, idle: IdleThresholds, *others: Any) -> None:
        real(self, IdleThresholds(1, 2, 3), *others)

    patch.setattr(MemoryJobs, "__init__", init)


def no_windows(patch: Patch) -> None:
    def open_for(self: windows.Windows, phase: Any) -> tuple[Zone, ...]:
        return tuple(self.zones)

    patch.setattr(windows.Windows, "open_for", open_for)
    patch.setattr(State, "may_run", lambda self, row, now: True)


def shallow_first(patch: Patch) -> None:
    real = claims.order
    patch.setattr(claims, "order", lambda *given: real(*given)[::-1])


def no_ageing(patch: Patch) -> None:
    def order(state: State, worker: Any, now: Any) -> list[JobKind]:
        rules = state.settings.rules
        return sorted(
            (kind for kind in rules if kind is not JobKind.LEARN), key=lambda k: -rules[k].phase
        )

    patch.setattr(claims, "order", order)


def no_pacing(patch: Patch) -> None:
    patch.setattr(Ledger, "wait", 0.0)


def no_lease_ever_ends(patch: Patch) -> None:
    async def take_expired(self: MemoryJobs, *, limit: int) -> list[Any]:
        return []

    patch.setattr(MemoryJobs, "take_expired", take_expired)


def kinds_in_any_order(patch: Patch) -> None:
    patch.setattr(MemoryJobs, "_blocked", lambda self, row, night: False)


def never_due_again(patch: Patch) -> None:
    real = MemoryFences.complete

    async def complete(
        self: MemoryFences, users: Any, kind: Any, tokens: Any, due_at: Any
    ) -> set[UserId]:
        due = [self._table.people[user][kind].due_at for user in users]
        return await real(self, users, kind, tokens, due)

    patch.setattr(MemoryFences, "complete", complete)


def forgotten_when_set_aside(patch: Patch) -> None:
    patch.setattr(MemoryFences, "requeue_waiting", lambda self, users: None)
    patch.setattr(store_memory, "WAITING", store_memory.WAITING * 1000)


@dataclass(frozen=True)
class Expected:
    """One of the rules is violated, in a night like this."""

    rules: set[str]
    night: dict[str, float] = field(default_factory=dict)


MUTATIONS: dict[Callable[[Patch], None], Expected] = {
    no_fence: Expected({"stale", "double"}),
    no_halt_for_whoever_wakes: Expected({"awake"}),
    no_halt_when_the_scheduler_is_silent: Expected({"awake"}, {"hours": 7}),
    no_halt_when_activity_is_silent: Expected({"awake"}),
    no_pause_after_a_gap: Expected({"awake"}),
    no_thresholds: Expected({"awake", "phase"}),
    no_windows: Expected({"phase"}),
    shallow_first: Expected({"depth"}),
    no_ageing: Expected({"starved"}),
    no_pacing: Expected({"cap"}),
    no_lease_ever_ends: Expected({"lost"}),
    kinds_in_any_order: Expected({"order", "twice"}),
    never_due_again: Expected({"early"}),
    forgotten_when_set_aside: Expected({"lost"}, {"faults": 2, "hours": 3}),
}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_a_safeguard_that_is_off_is_missed(
    mutation: Callable[[Patch], None], monkeypatch: Patch
) -> None:
    mutation(monkeypatch)
    expected = MUTATIONS[mutation]
    found = simulate(hard(1, **expected.night))
    assert expected.rules & found.figures["violations_by_rule"].keys()
    assert "again, with all events: ./eros simulate" in text_of(found.options, found.violations[0])


def test_ten_thousand_schedules_and_no_stale_write() -> None:
    found = run_fences(10_000, seed=1)
    assert (found.schedules, found.stale, found.unfinished) == (10_000, 0, 0)
    assert found.done == 10_000
    assert found.refused >= 10_000, "each frozen worker's write came, and came too late"


def test_without_the_fence_stale_writes_are_seen(monkeypatch: Patch) -> None:
    no_fence(monkeypatch)
    found = run_fences(200, seed=1)
    assert found.stale > 0
    assert found.done > 200
