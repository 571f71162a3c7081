"""A compute child under test: its events, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from eros_common.ids import UserId
from eros_matcher.compute.layout import Word
from eros_matcher.compute.program import BatchSpec
from eros_matcher.worker import events as ev
from eros_matcher.worker.checkpoints import resume_all
from eros_matcher.worker.computing import Computing
from eros_matcher.worker.instructions import Offer
from eros_matcher.worker.jobs import PreparedBatch
from tests.unit.worker.batches import user

T = TypeVar("T", bound=ev.Event)
Results = dict[UserId, tuple[ev.Out, bytes]]


class ChildBench:
    """One real child; `on_event` sees each event first."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[ev.Event] = asyncio.Queue()
        self.on_event: Callable[[ev.Event], None] = lambda _event: None
        self.computing = Computing(self._take)

    def _take(self, event: ev.Event) -> None:
        self.on_event(event)
        self.events.put_nowait(event)

    @property
    def pid(self) -> int:
        pid = self.computing.child.pid
        assert pid is not None
        return pid

    def word(self, word: Word) -> int:
        return self.computing.child.region.word(word)

    def offer(
        self,
        spec: BatchSpec,
        *,
        cap: float = 0.95,
        checkpoints: dict[int, bytes] | None = None,
    ) -> None:
        """Rows are the people 0, 1, 2 …"""
        stored = {user(row): data for row, data in (checkpoints or {}).items()}
        users = tuple(user(row) for row in range(spec.rows))
        states, verdicts = resume_all(stored, users, spec)
        self.computing.offer(
            Offer(
                prepared=PreparedBatch(spec=spec, users=users, states=states, verdicts=verdicts),
                halted=frozenset(),
                cpu_cap=cap,
            )
        )

    async def until(self, kind: type[T]) -> T:
        while True:
            event = await self.events.get()
            if isinstance(event, kind):
                return event

    async def results(self) -> Results:
        """How every row came out, once the batch is closed."""
        found: Results = {}
        while True:
            match await self.events.get():
                case ev.RowsOut(_, rows):
                    found |= {who: (how, data) for who, how, data in rows}
                case ev.BatchClosed(_, error):
                    assert error == ""
                    return found
                case ev.ChildDied():
                    self.computing.start()
                case _:
                    pass

    async def chunks(self, count: int) -> None:
        """Until the child has done that many more chunks."""
        # The child has no reason to ring after each chunk, so this one is looked at.
        goal = self.word(Word.CHUNKS) + count
        while self.word(Word.CHUNKS) < goal:
            assert self.word(Word.CLOSED) != self.word(Word.BATCH), "the batch is over"
            await asyncio.sleep(0.002)


@asynccontextmanager
async def child_bench() -> AsyncIterator[ChildBench]:
    bench = ChildBench()
    bench.computing.start()
    try:
        yield bench
    finally:
        await bench.computing.child.close()
