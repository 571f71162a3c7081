"""A stream between a worker and a scheduler: in order, both ways, until one end is gone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from random import Random
from typing import Any

from eros_cli.simulation.database import Database
from eros_cli.simulation.legs import Legs
from eros_cli.simulation.loop import Process
from eros_cli.simulation.network import Network
from eros_cli.simulation.options import Options
from eros_common.ids import WorkerId
from eros_matcher.worker import events as worker_events
from eros_scheduler.core import events as scheduler_events
from eros_scheduler.core.core import SchedulerCore
from eros_scheduler.core.model import SessionId


class WorkerEnd(ABC, Process):
    """A worker, as its stream and its parts know it."""

    id: WorkerId

    @abstractmethod
    def hear(self, session: Session, message: Any) -> None:
        """What the scheduler says."""

    @abstractmethod
    def lost(self, session: Session) -> None:
        """The scheduler's end is gone."""

    @abstractmethod
    def deafened(self, session: Session) -> None:
        """From now on nothing comes through."""

    @abstractmethod
    def handle(self, event: worker_events.Event) -> None:
        """Give it to the core."""


class SchedulerEnd(ABC, Process):
    """A scheduler, as its streams and its parts know it."""

    options: Options
    random: Random
    network: Network
    database: Database
    legs: Legs
    core: SchedulerCore

    @abstractmethod
    def hear(self, session: Session, message: Any) -> None:
        """What the worker says."""

    @abstractmethod
    def ended(self, session: Session) -> None:
        """The worker has nothing more to say."""

    @abstractmethod
    def lost(self, session: Session) -> None:
        """The worker's end is gone."""

    @abstractmethod
    def post(self, event: scheduler_events.Event) -> None:
        """Give it to the core."""


class Session:
    """`open`: as the worker sees it."""

    def __init__(
        self, number: SessionId, worker: WorkerEnd, scheduler: SchedulerEnd, network: Network
    ) -> None:
        self.number = number
        self.worker = worker
        self.scheduler = scheduler
        self.open = True
        self.served = False
        """The scheduler has heard its hello, and has not ended it."""
        self._network = network
        self._down = self._up = 0.0

    @property
    def cut(self) -> bool:
        now = self.worker.loop.now
        return self._network.cut_until(self.worker.name, self.scheduler.name) > now

    @property
    def heard(self) -> bool:
        """The worker hears that the scheduler lives."""
        alive = self.open and self.served and self.scheduler.alive
        return alive and not self.scheduler.frozen and not self.cut

    def _arrival(self) -> float:
        now = self.worker.loop.now
        return self._network.arrival(self.worker.name, self.scheduler.name, now)

    def to_scheduler(self, message: Any) -> None:
        if not self.open:
            return
        self._up = max(self._up, self._arrival())
        if self.scheduler.alive:
            self.scheduler.at(self._up, self.scheduler.hear, self, message)
        else:
            self.worker.at(self._up, self.worker.lost, self)

    def say_end(self) -> None:
        """The worker has nothing more to say."""
        self._up = max(self._up, self._arrival())
        self.scheduler.at(self._up, self.scheduler.ended, self)

    def to_worker(self, message: Any) -> None:
        self._down = max(self._down, self._arrival())
        self.worker.at(self._down, self.worker.hear, self, message)

    def end(self) -> None:
        """By the scheduler, or because it died: the worker learns of it behind what was sent."""
        self.served = False
        self._down = max(self._down, self._arrival())
        self.worker.at(self._down, self.worker.lost, self)

    def cancel(self) -> None:
        """By the worker, or because it died."""
        self.open = False
        self._up = max(self._up, self._arrival())
        self.scheduler.at(self._up, self.scheduler.lost, self)
