"""The audit's days are kept again soon where they were not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from eros_common.ids import UserId
from eros_common.testing import FakeClock
from eros_scheduler.keeping import AGAIN_SECONDS, EVERY_SECONDS, Keeping
from eros_scheduler.ports import AuditEntry, StoreUnavailableError


class Read:
    """An audit that somebody reads the first two times."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.asked: list[float] = []

    async def of(self, user_id: UserId, *, days: int, limit: int) -> Sequence[AuditEntry]:
        raise NotImplementedError

    async def keep(self, *, days: int) -> int:
        self.asked.append(self._clock.monotonic())
        if len(self.asked) <= 2:
            raise StoreUnavailableError("a backup reads it")
        return 0


async def test_what_was_not_kept_is_kept_soon() -> None:
    clock = FakeClock()
    audit, begin = Read(clock), clock.monotonic()
    keeping = Keeping(audit, clock, days=30)
    await keeping.once()
    running = asyncio.create_task(keeping.run())
    for seconds in (AGAIN_SECONDS, AGAIN_SECONDS, EVERY_SECONDS):
        await clock.slept()
        clock.advance(seconds)
    await clock.slept()
    running.cancel()
    again = [AGAIN_SECONDS, 2 * AGAIN_SECONDS, 2 * AGAIN_SECONDS + EVERY_SECONDS]
    assert [at - begin for at in audit.asked] == [0.0, *again]
