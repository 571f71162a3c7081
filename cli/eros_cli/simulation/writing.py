"""What a worker asks of the database: its input, checkpoints, results; each behind the fence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from eros_cli.simulation.database import Database, result_of
from eros_cli.simulation.judge import Judge
from eros_cli.simulation.sessions import WorkerEnd
from eros_cli.simulation.tally import Tally
from eros_common.ids import JobToken, UserId, WorkerId
from eros_matcher.worker import events as ev
from eros_matcher.worker import instructions as do
from eros_matcher.worker.jobs import Held, LeasedBatch
from eros_scheduler.core.model import JobKind

_PREPARE_SECONDS: Final = 0.01


@dataclass(frozen=True, slots=True)
class _Kept:
    """Rows to keep under their fences, each with a checkpoint or what is stored already."""

    jobs: tuple[Held, ...]
    states: tuple[bytes | None, ...]
    reason: str


class Writing:
    """One transaction of checkpoints at a time; what comes meanwhile gathers for the next."""

    def __init__(
        self, worker: WorkerEnd, database: Database, judge: Judge, tally: Tally, start: float
    ) -> None:
        self._worker = worker
        self._database = database
        self._judge = judge
        self._tally = tally
        self._start = start

    def begin(self, owner: WorkerId) -> None:
        self._owner = owner
        self._groups: list[_Kept] = []
        self._busy = False
        self._preparing = 0

    # ---- input

    def prepare(
        self,
        batch: LeasedBatch,
        ready: Callable[[Mapping[UserId, bytes]], None],
        failed: Callable[[], None],
    ) -> None:
        """`ready` gets the checkpoints of those who have one."""
        self._preparing += 1
        number = self._preparing
        users = [each.user_id for each in batch.leases]
        tokens = [each.token for each in batch.leases]
        fences = self._database.jobs.fences

        def read() -> dict[UserId, bytes]:
            return result_of(fences.checkpoints(users, JobKind(batch.kind), tokens))

        def there(stored: dict[UserId, bytes]) -> None:
            if number == self._preparing:
                self._worker.after(_PREPARE_SECONDS, computed, stored)

        def computed(stored: dict[UserId, bytes]) -> None:
            if number == self._preparing:
                ready(stored)

        def away() -> None:
            if number == self._preparing:
                failed()

        self._database.call(self._worker, read, there, away)

    def cancel_prepare(self) -> None:
        self._preparing += 1

    # ---- checkpoints

    def checkpoint(self, asked: do.Checkpoint, state_of: Callable[[UserId], bytes | None]) -> None:
        """The snapshots are copied now."""
        jobs = tuple(Held(each.user_id, asked.kind, each.token) for each in asked.leases)
        states = tuple(
            state_of(each.user_id) if each.user_id in asked.computed else None
            for each in asked.leases
        )
        self._submit(_Kept(jobs, states, asked.reason.name.lower()))

    def give_back(self, batch: LeasedBatch) -> None:
        jobs = tuple(Held(each.user_id, batch.kind, each.token) for each in batch.leases)
        self._submit(_Kept(jobs, (None,) * len(jobs), "refused"))

    def _submit(self, group: _Kept) -> None:
        self._groups.append(group)
        if not self._busy:
            self._commit()

    def _commit(self) -> None:
        self._busy = True
        groups, self._groups = self._groups, []
        jobs = tuple(job for group in groups for job in group.jobs)
        owner = self._owner

        def work() -> dict[Held, JobToken]:
            tokens: dict[Held, JobToken] = {}
            for group in groups:
                tokens.update(self._keep(owner, group))
            return tokens

        def done(tokens: dict[Held, JobToken]) -> None:
            self._go_on()
            self._worker.handle(ev.Checkpointed(self._worker.wall(), jobs, tokens))

        def away() -> None:
            self._go_on()
            self._worker.handle(ev.CheckpointUnavailable(jobs))

        self._database.call(self._worker, work, done, away)

    def _go_on(self) -> None:
        self._busy = False
        if self._groups:
            self._commit()

    def _keep(self, owner: WorkerId, group: _Kept) -> dict[Held, JobToken]:
        kind = JobKind(group.jobs[0].kind)
        raised = result_of(
            self._database.jobs.fences.checkpoint(
                [job.user_id for job in group.jobs],
                kind,
                [job.token for job in group.jobs],
                group.states,
                group.reason,
            )
        )
        kept = [job for job in group.jobs if job.user_id in raised]
        self._judge.kept(owner, kind, [(job.user_id, job.token) for job in kept], group.reason)
        return {job: raised[job.user_id] for job in kept}

    # ---- results

    def settle(self, asked: do.Settle) -> None:
        kind = JobKind(asked.kind)
        owner = self._owner
        good = [row.lease for row in asked.results]
        bad = [lease for lease, _ in asked.failures]
        users = [lease.user_id for lease in (*good, *bad)]
        tokens = {lease.user_id: lease.token for lease in (*good, *bad)}
        errors = [error for _, error in asked.failures]
        fences = self._database.jobs.fences

        def work() -> tuple[set[UserId], Mapping[UserId, bool]]:
            completed = result_of(
                fences.complete(
                    [lease.user_id for lease in good],
                    kind,
                    [lease.token for lease in good],
                    [lease.next_due_at for lease in good],
                )
            )
            due = {each.user_id: each.next_due_at.timestamp() - self._start for each in good}
            here = [each.user_id for each in good if each.user_id in completed]
            self._judge.done(owner, kind, tokens, due, here)
            failed = result_of(
                fences.fail(
                    [lease.user_id for lease in bad],
                    kind,
                    [lease.token for lease in bad],
                    errors,
                )
            )
            self._judge.failed(owner, kind, tokens, failed)
            self._tally.settled(kind, len(here), len(failed))
            return completed, failed

        def done(answer: tuple[set[UserId], Mapping[UserId, bool]]) -> None:
            completed, failed = answer
            self._worker.handle(
                ev.Settled(self._worker.wall(), users, frozenset(completed), frozenset(failed))
            )

        def away() -> None:
            self._worker.handle(ev.SettleUnavailable(users))

        self._database.call(self._worker, work, done, away)
