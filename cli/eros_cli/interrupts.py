"""Ctrl-C, SIGTERM and a closed terminal end a command by cancelling it, so that it cleans up."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

Result = TypeVar("Result")

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):
    """The command was asked to stop and has stopped, everything in it closed."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(f"stopped by {number.name}")
        self.number = number

    @property
    def exit_code(self) -> int:
        """As a shell reports death by this signal."""
        return 128 + self.number


def run_stoppable(main: Coroutine[Any, Any, Result]) -> Result:
    """Run it to its end. Raises Interrupted after the first signal, once it has cleaned up."""
    return asyncio.run(_guarded(main))


async def _guarded(main: Coroutine[Any, Any, Result]) -> Result:
    loop = asyncio.get_running_loop()
    task = loop.create_task(main)
    received: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        # Once: a second one must not interrupt the cleaning up.
        if not received:
            received.append(number)
            if number is signal.SIGHUP:
                _let_go_of_terminal()
            task.cancel()

    for number in _SIGNALS:
        # Under nohup a closed terminal is to be survived.
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, stop, number)
    try:
        return await task
    except asyncio.CancelledError:
        if received:
            raise Interrupted(received[0]) from None
        raise


def _let_go_of_terminal() -> None:
    """What is still said while stopping goes nowhere, instead of failing where it is said."""
    with Path(os.devnull).open("r+b") as nowhere:
        for descriptor in (0, 1, 2):
            if stat.S_ISCHR(os.fstat(descriptor).st_mode):
                os.dup2(nowhere.fileno(), descriptor)
