"""What the core asks of the job rows, done in tasks; the answers are events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, assert_never

from eros_common import logging
from eros_common.clocks import Clock
from eros_scheduler.core import answers as an
from eros_scheduler.core import events as ev
from eros_scheduler.core import instructions as do
from eros_scheduler.core.model import JobKind, Transition
from eros_scheduler.ports import JobStore, LeasedRows, StoreUnavailableError
from eros_scheduler.projection import Projection
from eros_scheduler.retrying import until_available

log = logging.get("scheduler.effects")

TAKE_MOST = 1000
"""Expired leases, and rows that waited, brought back a tick."""

Asked = (
    do.Claim
    | do.Verify
    | do.RenewLease
    | do.Release
    | do.Project
    | do.TakeExpired
    | do.LoadZones
    | do.LookWhoSleeps
)
"""Instructions that are for the database."""


class Effects:
    """A failed task, other than by an absent database, ends `run`."""

    def __init__(
        self,
        jobs: JobStore,
        clock: Clock,
        post: Callable[[ev.Event], None],
        outdated: Callable[[Transition], bool],
        *,
        lease_seconds: float,
    ) -> None:
        self._jobs = jobs
        self._clock = clock
        self._post = post
        self._lease_seconds = lease_seconds
        self._projection = Projection(jobs, clock, post, outdated)
        self._tasks: asyncio.TaskGroup | None = None
        self._upkeep: set[type[do.Instruction]] = set()

    async def run(self, ready: Callable[[], None]) -> None:
        """For ever. `ready` is called when effects can be asked for."""
        async with asyncio.TaskGroup() as self._tasks:
            for lane in self._projection.lanes:
                self._tasks.create_task(lane())
            ready()

    def begin(self, asked: Asked) -> None:
        """Start what is asked for. Never waits."""
        match asked:
            case do.Project():
                self._projection.add(asked.transitions)
            case do.Claim():
                self._spawn(self._claim(asked))
            case do.Verify():
                self._spawn(self._verify(asked))
            case do.RenewLease():
                self._spawn(self._renew(asked))
            case do.Release():
                self._spawn(self._release(asked))
            case do.TakeExpired():
                self._spawn_once(do.TakeExpired, self._take_expired())
            case do.LoadZones():
                self._spawn_once(do.LoadZones, self._load_zones())
            case do.LookWhoSleeps():
                self._spawn_once(do.LookWhoSleeps, self._look_who_sleeps())
            case _:
                assert_never(asked)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._tasks is not None, "effects are not running"
        self._tasks.create_task(work)

    def _spawn_once(self, what: type[do.Instruction], work: Coroutine[Any, Any, None]) -> None:
        """Unless the last one is still at it: what is asked for every few seconds."""
        if what in self._upkeep:
            work.close()
            return

        async def tracked() -> None:
            try:
                await work
            except StoreUnavailableError as error:
                log.warning("upkeep_failed", what=what.__name__, error=str(error))
            finally:
                self._upkeep.discard(what)

        self._upkeep.add(what)
        self._spawn(tracked())

    async def _claim(self, asked: do.Claim) -> None:
        tried: list[JobKind] = []
        found = LeasedRows((), 0.0)
        try:
            for attempt in asked.attempts:
                tried.append(attempt.kind)
                found = await self._jobs.claim(
                    attempt,
                    owner=asked.worker,
                    night=asked.night,
                    lease_seconds=self._lease_seconds,
                )
                if found.rows:
                    break
        except StoreUnavailableError as error:
            log.warning("claim_failed", worker=asked.worker, error=str(error))
            self._post(an.ClaimFailed(asked.claim))
            return
        self._post(an.Claimed(asked.claim, tuple(tried), found.rows, found.lease_until))

    async def _verify(self, asked: do.Verify) -> None:
        found = await until_available(
            self._clock,
            lambda: self._jobs.renew(asked.jobs, lease_seconds=self._lease_seconds),
        )
        self._post(an.Verified(asked.worker, asked.session, asked.jobs, found.rows))

    async def _renew(self, asked: do.RenewLease) -> None:
        try:
            found = await self._jobs.renew(asked.jobs, lease_seconds=self._lease_seconds)
        except StoreUnavailableError as error:
            # The worker asks again, and halts itself when the lease ends.
            log.warning("renew_failed", worker=asked.worker, error=str(error))
            return
        self._post(
            an.LeaseRenewed(
                asked.worker,
                asked.session,
                asked.batch_id,
                asked.jobs,
                found.rows,
                found.lease_until,
            )
        )

    async def _release(self, asked: do.Release) -> None:
        try:
            await self._jobs.release(asked.jobs)
        except StoreUnavailableError as error:
            # They come back when their leases end.
            log.warning("release_failed", jobs=len(asked.jobs), error=str(error))

    async def _take_expired(self) -> None:
        taken = await self._jobs.take_expired(limit=TAKE_MOST)
        if taken:
            log.info("leases_taken", jobs=len(taken))
            self._post(an.LeasesTaken(taken))

    async def _load_zones(self) -> None:
        self._post(an.ZonesKnown(await self._jobs.zones()))

    async def _look_who_sleeps(self) -> None:
        self._post(an.AsleepKnown(await self._jobs.asleep_share()))
