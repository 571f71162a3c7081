"""Committing checkpoints: while one transaction is under way, later halts gather for the next."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from eros_common import logging
from eros_matcher.worker.events import Checkpointed, CheckpointUnavailable
from eros_matcher.worker.jobs import JobKind
from eros_matcher.worker.store_fence import CheckpointGroup, CheckpointStore, StoreUnavailableError

log = logging.get("worker.halts")


class HaltCommitter:
    """`submit` at any time; `run` commits, one transaction after the other, for ever."""

    def __init__(
        self,
        store: CheckpointStore,
        on_event: Callable[[Checkpointed | CheckpointUnavailable], None],
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._on_event = on_event
        self._wall = wall
        self._groups: list[CheckpointGroup] = []
        self._some = asyncio.Event()
        self.transactions = 0

    def submit(self, group: CheckpointGroup) -> None:
        self._groups.append(group)
        self._some.set()

    async def run(self) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            groups, self._groups = merged(self._groups), []
            jobs = tuple(job for group in groups for job in group.jobs())
            try:
                tokens = await self._store.checkpoint(groups)
            except StoreUnavailableError as error:
                log.warning("unavailable", rows=len(jobs), error=str(error))
                self._on_event(CheckpointUnavailable(jobs))
            else:
                self.transactions += 1
                self._on_event(Checkpointed(self._wall(), jobs, tokens))


def merged(groups: Sequence[CheckpointGroup]) -> list[CheckpointGroup]:
    """One group a kind and reason: a statement each."""
    found: dict[tuple[JobKind, str], CheckpointGroup] = {}
    for group in groups:
        key = (group.kind, group.reason)
        known = found.get(key)
        found[key] = (
            group
            if known is None
            else CheckpointGroup(group.kind, group.reason, known.rows + group.rows)
        )
    return list(found.values())
