"""The database as its clients see it: the memory store behind a network, stalling and failing."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from random import Random
from typing import Any, Final, TypeVar

from eros_cli.simulation.loop import Loop, Process
from eros_cli.simulation.options import Options
from eros_scheduler.store_memory import MemoryJobs

T = TypeVar("T")

STATEMENT_TIMEOUT_SECONDS: Final = 10.0
_RUNS_ON: Final = 0.5
"""Of the statements that a client gave up, so many are carried out all the same."""


def result_of(work: Coroutine[Any, Any, T]) -> T:
    """What the memory store says; it never waits."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise AssertionError("the memory store waited")


@dataclass(slots=True)
class _Call:
    """Asked by a client in one of its lives, which only that life hears the answer of."""

    client: Process
    life: int
    work: Callable[[], Any]
    done: Callable[[Any], None]
    away: Callable[[], None]


class Database(Process):
    """Whatever is asked is done at one moment, some time later, and answered later still; or the
    client hears that the database is away, and does not know whether it was done."""

    def __init__(self, loop: Loop, options: Options, random: Random) -> None:
        super().__init__(loop, "database", 0.0)
        self._random = random
        self._stalled_until = 0.0
        self._losing_until = 0.0
        self.jobs = MemoryJobs(options.idle, self.instant, random.random)

    def stall(self, seconds: float) -> None:
        self._stalled_until = max(self._stalled_until, self.loop.now + seconds)

    def lose_answers(self, seconds: float) -> None:
        """Connections break: some of what is asked is done and not answered, or not done."""
        self._losing_until = max(self._losing_until, self.loop.now + seconds)

    @property
    def disturbed(self) -> bool:
        return max(self._stalled_until, self._losing_until) > self.loop.now

    def call(
        self,
        client: Process,
        work: Callable[[], T],
        done: Callable[[T], None],
        away: Callable[[], None],
    ) -> None:
        call = _Call(client, client.life, work, done, away)
        self.loop.after(self._latency(), self._arrived, call)

    def _latency(self) -> float:
        chance = self._random.random()
        return 0.0005 + 0.001 * chance + (0.03 if chance > 0.99 else 0.0)

    def _arrived(self, call: _Call) -> None:
        now = self.loop.now
        if self._stalled_until > now:
            wait = self._stalled_until - now
            jitter = 0.2 * self._random.random()
            if wait < STATEMENT_TIMEOUT_SECONDS:
                # When it goes on, whoever waited is served in any order.
                self.loop.after(wait + jitter, self._answer, call)
                return
            call.client.later(call.life, STATEMENT_TIMEOUT_SECONDS, call.away)
            if self._random.random() < _RUNS_ON:
                self.loop.after(wait + jitter, call.work)
        elif self._losing_until > now and self._random.random() < 0.3:
            if self._random.random() < _RUNS_ON:
                call.work()
            call.client.later(call.life, self._latency(), call.away)
        else:
            self._answer(call)

    def _answer(self, call: _Call) -> None:
        answer = call.work()
        call.client.later(call.life, self._latency(), call.done, answer)
