"""A scheduler's watch of activity: a snapshot, then every change; silence, and its end."""

from __future__ import annotations

from typing import Final

from eros_cli.simulation import legs as way
from eros_cli.simulation.activity import Activity
from eros_cli.simulation.database import result_of
from eros_cli.simulation.sessions import SchedulerEnd
from eros_scheduler.core import events as ev
from eros_scheduler.core.model import OwnedJob, Transition
from eros_scheduler.ports import JobStore

_SNAPSHOT_SECONDS: Final = (0.1, 1.0)
_BACKOFF_SECONDS: Final = (0.05, 1.0)
_AGAIN_SECONDS: Final = 0.5


class Feed:
    """One life's; events are posted to the scheduler."""

    def __init__(self, scheduler: SchedulerEnd, activity: Activity) -> None:
        self._scheduler = scheduler
        self._activity = activity
        self._leg = way.watch(scheduler.name)
        self._cursor: int | None = None
        self._reading = False
        self._coming = False
        self._silent = False
        self._told = 0.0
        scheduler.legs.down(self._leg, scheduler.loop.now)

    def begin(self) -> None:
        self._scheduler.at(self._arrival(), self._connected)

    # ---- reading

    def news(self) -> None:
        if self._reading and not self._coming:
            self._coming = True
            self._scheduler.at(self._arrival(), self._read)

    def _arrival(self) -> float:
        scheduler = self._scheduler
        return scheduler.network.arrival(scheduler.name, "activity", scheduler.loop.now)

    def _connected(self) -> None:
        """The first message of a stream."""
        if self._cut:
            self._reconnect()
            return
        if self._silent:
            self._silent = False
            self._scheduler.post(ev.WatchBack())
        self._pause()
        if self._cursor is None or self._activity.read(self._cursor) is None:
            self._snapshot()
        else:
            self._reading = True
            self._read()

    def _read(self) -> None:
        self._coming = False
        if not self._reading:
            return
        assert self._cursor is not None
        transitions = self._activity.read(self._cursor)
        assert transitions is not None, "a reader that is connected keeps up"
        self._cursor = self._activity.end
        self._pause()
        if transitions:
            self._scheduler.post(ev.Transitioned(transitions, self._scheduler.wall()))
        if not self._cut:
            self._scheduler.legs.up(self._leg, self._scheduler.loop.now)

    def _pause(self) -> None:
        until = self._activity.paused_until
        if until > self._told:
            self._told = until
            self._scheduler.post(ev.PauseAsked(until, "signs of life may be lost"))

    # ---- the snapshot

    def _snapshot(self) -> None:
        """What happens meanwhile is told at once, and once more behind the snapshot."""
        scheduler = self._scheduler
        scheduler.post(ev.SnapshotBegan())
        cursor, sleepers = self._activity.end, self._activity.sleepers()
        self._cursor, self._reading = cursor, True
        scheduler.after(scheduler.random.uniform(*_SNAPSHOT_SECONDS), self._level, cursor, sleepers)

    def _level(self, cursor: int, sleepers: list[Transition]) -> None:
        def leveled(awake: list[OwnedJob]) -> None:
            self._cursor = cursor
            self._scheduler.post(ev.SnapshotEnded(awake))
            self._read()

        jobs = self._scheduler.database.jobs
        self._scheduler.database.call(
            self._scheduler,
            lambda: result_of(_leveled(jobs, sleepers)),
            leveled,
            lambda: self._scheduler.after(_AGAIN_SECONDS, self._snapshot),
        )

    # ---- silence

    def deaf(self) -> None:
        """The way was cut, or one of its ends stands still: nothing is heard from now on."""
        scheduler = self._scheduler
        now = scheduler.loop.now
        scheduler.legs.down(self._leg, now)
        heard = now - scheduler.random.uniform(0, 0.5)
        scheduler.at(heard + scheduler.options.silence_seconds, self._look)
        scheduler.at(self._arrival(), self._heals)

    @property
    def _cut(self) -> bool:
        scheduler = self._scheduler
        return scheduler.network.cut_until(scheduler.name, "activity") > scheduler.loop.now

    def _look(self) -> None:
        if self._cut and not self._silent:
            self.fall_silent()

    def fall_silent(self) -> None:
        self._silent, self._reading = True, False
        self._scheduler.post(ev.WatchSilent())
        self._reconnect()

    def _heals(self) -> None:
        if not self._cut and self._reading:
            self._read()

    def _reconnect(self) -> None:
        wait = self._scheduler.random.uniform(*_BACKOFF_SECONDS)
        self._scheduler.at(self._arrival() + wait, self._connected)


async def _leveled(jobs: JobStore, sleepers: list[Transition]) -> list[OwnedJob]:
    async with jobs.snapshot() as snapshot:
        await snapshot.add(sleepers)
        return list(await snapshot.finish())
