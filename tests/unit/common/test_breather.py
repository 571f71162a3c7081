"""Work over many items lets others go first, but not after each item."""

from __future__ import annotations

import asyncio
import time

import pytest

from eros_common.tasks import Breather


async def test_others_go_first_when_it_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    seen: list[float] = []

    async def other() -> None:
        while True:
            seen.append(now)
            await asyncio.sleep(0)

    breather = Breather(seconds=0.002)
    task = asyncio.create_task(other())
    for _ in range(10):
        now += 0.0009
        await breather.breathe()
    task.cancel()
    assert seen == pytest.approx([0.0027, 0.0054, 0.0081])
