from __future__ import annotations

import asyncio

import pytest

from eros_common.shielded import Shield


async def test_work_goes_on_when_nobody_waits_and_is_settled() -> None:
    shield, go, done = Shield(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await go.wait()
        done.set()

    caller = asyncio.create_task(shield.run(work()))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    settling = asyncio.create_task(shield.settle())
    await asyncio.sleep(0)
    assert not settling.done()
    go.set()
    await settling
    assert done.is_set()


async def test_results_and_errors_come_through() -> None:
    shield = Shield()

    async def right() -> int:
        return 7

    async def wrong() -> int:
        raise LookupError("gone")

    assert await shield.run(right()) == 7
    with pytest.raises(LookupError):
        await shield.run(wrong())


async def test_an_error_after_the_caller_left_is_told(caplog: pytest.LogCaptureFixture) -> None:
    shield, go = Shield(), asyncio.Event()

    async def work() -> None:
        await go.wait()
        raise LookupError("gone")

    caller = asyncio.create_task(shield.run(work()))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    go.set()
    await shield.settle()
    assert "failed_unattended" in caplog.text
