"""Concurrent halts share a transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from eros_common.ids import JobToken
from eros_matcher.worker.events import Checkpointed, CheckpointUnavailable
from eros_matcher.worker.halts import HaltCommitter
from eros_matcher.worker.jobs import Held, JobKind
from eros_matcher.worker.store_fence import (
    CheckpointGroup,
    CheckpointRow,
    CheckpointStore,
    StoreUnavailableError,
)
from tests.unit.worker.batches import user


class SlowStore(CheckpointStore):
    """Commits when told to."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[Sequence[CheckpointGroup]] = asyncio.Queue()
        self.commit: asyncio.Queue[bool] = asyncio.Queue()

    async def checkpoint(self, groups: Sequence[CheckpointGroup]) -> dict[Held, JobToken]:
        self.begun.put_nowait(groups)
        if not await self.commit.get():
            raise StoreUnavailableError("gone")
        return {job: JobToken(job.token + 1) for group in groups for job in group.jobs()}


def group(number: int, reason: str = "woke") -> CheckpointGroup:
    row = CheckpointRow(user(number), JobToken(number), b"state")
    return CheckpointGroup(JobKind.MATCH, reason, (row,))


def held(number: int) -> Held:
    return Held(user(number), JobKind.MATCH, JobToken(number))


async def test_while_one_commit_is_under_way_fifty_halts_gather_for_the_next() -> None:
    store = SlowStore()
    events: asyncio.Queue[Checkpointed | CheckpointUnavailable] = asyncio.Queue()
    committer = HaltCommitter(store, events.put_nowait, wall=lambda: 5.0)
    running = asyncio.create_task(committer.run())
    committer.submit(group(0))
    (first,) = await store.begun.get()
    assert len(first.rows) == 1

    for number in range(1, 51):
        committer.submit(group(number, "woke" if number % 2 else "paused"))
    store.commit.put_nowait(True)
    event = await events.get()
    assert event == Checkpointed(5.0, (held(0),), {held(0): JobToken(1)})

    groups = await store.begun.get()
    assert sorted((found.reason, len(found.rows)) for found in groups) == [
        ("paused", 25),
        ("woke", 25),
    ]
    store.commit.put_nowait(True)
    event = await events.get()
    assert isinstance(event, Checkpointed)
    assert len(event.tokens) == 50
    assert committer.transactions == 2
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_database_that_is_gone_is_said_and_survived() -> None:
    store = SlowStore()
    events: asyncio.Queue[Checkpointed | CheckpointUnavailable] = asyncio.Queue()
    committer = HaltCommitter(store, events.put_nowait)
    running = asyncio.create_task(committer.run())
    for there in (False, True):
        committer.submit(group(3))
        store.commit.put_nowait(there)
    assert await events.get() == CheckpointUnavailable((held(3), held(3)))
    committer.submit(group(3))
    assert isinstance(await events.get(), Checkpointed)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
