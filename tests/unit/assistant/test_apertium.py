"""Pipelines of programs that say what they hear: what is started is ended, whoever hangs up."""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path
from typing import Any

import pytest

from eros_assistant.translation.apertium import Apertium, Installation
from eros_common.ids import new_user_id

STAGES = 4
PAIR = ("en", "es")


@pytest.fixture
def echoing(tmp_path: Path) -> Apertium:
    """An installation whose stages are all `cat`."""
    programs = tmp_path / "usr/bin"
    programs.mkdir(parents=True)
    (programs / "echo-proc").write_text("#!/bin/sh\nexec cat\n")
    (programs / "echo-proc").chmod(0o755)
    mode = tmp_path / "eng-spa.mode"
    mode.write_text(" | ".join(["echo-proc"] * STAGES))
    return Apertium(Installation(tmp_path, {PAIR: mode}))


async def _translated(engine: Apertium) -> str | None:
    found = await engine.translate("hello", *PAIR, user=new_user_id())
    return None if found is None else found.text


@pytest.mark.parametrize("stage", range(STAGES))
@pytest.mark.parametrize("begun", [False, True])
async def test_who_hangs_up_while_it_starts_leaves_nothing(
    echoing: Apertium, monkeypatch: pytest.MonkeyPatch, stage: int, begun: bool
) -> None:
    started: list[asyncio.subprocess.Process] = []
    create = asyncio.create_subprocess_exec

    async def cancelled_there(*command: str, **more: Any) -> asyncio.subprocess.Process:
        if len(started) < stage:
            started.append(await create(*command, **more))
            return started[-1]
        task = asyncio.current_task()
        assert task is not None
        if begun:
            # With the process there, and nobody told of it yet.
            asyncio.get_running_loop().call_soon(task.cancel)
        else:
            task.cancel()
        return await create(*command, **more)

    gc.collect()  # what other tests left is not counted
    before = len(os.listdir("/dev/fd"))
    with monkeypatch.context() as patched:
        patched.setattr(asyncio, "create_subprocess_exec", cancelled_there)
        asking = asyncio.create_task(_translated(echoing))
        await asyncio.wait([asking])
    assert asking.cancelled()
    assert [process.returncode is None for process in started] == [False] * stage
    # A transport closes its pipe some turns of the loop after its process has ended.
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(os.listdir("/dev/fd")) <= before
    assert await _translated(echoing) == "hello"
    await echoing.close()
