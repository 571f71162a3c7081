"""Whatever happens in whatever order: nobody awake is worked on, nothing is done twice or early,
and in the end nothing is lost."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from eros_scheduler.core import events as ev
from tests.unit.scheduler.world import World, run_to_the_end

PICK = st.integers(0, 1000)


class AnyOrder(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @initialize(hours=st.sampled_from([0, 1, 2]))
    def everybody_sleeps_and_the_workers_come(self, hours: int) -> None:
        self.everybody_falls_asleep()
        self.world.rig.pass_time(hours * 3600)
        for worker in self.world.workers:
            self.world.connects(worker)
            self.world.asks(worker)

    @invariant()
    def nobody_awake_is_worked_on(self) -> None:
        self.world.check()

    @rule(pick=PICK)
    def a_person_wakes(self, pick: int) -> None:
        user = self.world.people[pick % len(self.world.people)]
        self.world.wakes(user)

    @rule(pick=PICK, worker=st.integers(0, 1))
    def a_person_who_is_worked_on_wakes(self, pick: int, worker: int) -> None:
        held = sorted(self.world.workers[worker].held)
        if held:
            self.world.wakes(held[pick % len(held)])

    @rule(pick=PICK)
    @precondition(lambda self: self.world.awake)
    def a_person_falls_asleep(self, pick: int) -> None:
        self.world.falls_asleep(sorted(self.world.awake)[pick % len(self.world.awake)])

    @rule()
    @precondition(lambda self: self.world.awake)
    def everybody_falls_asleep(self) -> None:
        for user in list(self.world.awake):
            self.world.falls_asleep(user)

    @rule(pick=PICK, fails=st.sampled_from([False, False, False, True]))
    @precondition(lambda self: self.world.database)
    def the_database_does_something(self, pick: int, fails: bool) -> None:
        self.world.database_does(pick % len(self.world.database), fails=fails)

    @rule()
    def the_database_does_everything(self) -> None:
        while self.world.database:
            self.world.database_does(0)

    @rule(pick=PICK)
    def a_worker_does_something(self, pick: int) -> None:
        worker = self.world.workers[pick % 2]
        if worker.session is None:
            self.world.connects(worker)
        elif worker.welcome and not worker.held and not worker.asked:
            self.world.asks(worker)
        elif worker.halts:
            self.world.acknowledges(worker)
        elif worker.held:
            self.world.finishes(worker)

    @rule(pick=PICK)
    def a_worker_finishes_and_asks_for_more(self, pick: int) -> None:
        worker = self.world.workers[pick % 2]
        if worker.session is not None and worker.welcome:
            if worker.held:
                self.world.finishes(worker)
            if not worker.asked:
                self.world.asks(worker)

    @rule(pick=PICK, wakes=st.booleans(), applied=st.booleans(), dark=st.booleans())
    def a_worker_is_back_before_it_noticed(
        self, pick: int, wakes: bool, applied: bool, dark: bool
    ) -> None:
        worker = self.world.workers[pick % 2]
        if worker.session is None or not worker.held:
            return
        self.world.disconnects(worker)
        if wakes:
            self.world.wakes(sorted(worker.held)[pick % len(worker.held)])
        if dark:
            self.world.post(ev.WatchSilent())
        if applied:
            self.the_database_does_everything()
        self.world.connects(worker)

    @rule(pick=PICK)
    def a_worker_is_lost(self, pick: int) -> None:
        worker = self.world.workers[pick % 2]
        if worker.session is not None:
            self.world.disconnects(worker)

    @rule(pick=PICK)
    def a_lost_worker_keeps_its_work_safe(self, pick: int) -> None:
        worker = self.world.workers[pick % 2]
        if worker.session is None:
            self.world.checkpoints_itself(worker)

    @rule(seconds=st.sampled_from([0.5, 5, 31, 700, 4000]))
    def time_passes(self, seconds: float) -> None:
        self.world.time_passes(seconds)

    @rule(
        event=st.sampled_from(
            [ev.WatchSilent(), ev.WatchBack(), ev.SnapshotBegan(), ev.SnapshotEnded(())]
        )
    )
    def the_watch_changes(self, event: ev.Event) -> None:
        self.world.post(event)

    def teardown(self) -> None:
        run_to_the_end(self.world)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=300, stateful_step_count=50)
