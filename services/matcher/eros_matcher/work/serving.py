"""The batch process's side of the socket: takes what the worker asks, and answers."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import assert_never

from eros_common import logging
from eros_matcher.worker import messages as say
from eros_matcher.worker.ports import Batches
from eros_matcher.worker.store_fence import StoreUnavailableError

log = logging.get("matcher.batches")


async def serve(batches: Batches, line: say.Line) -> None:
    """Until the worker is gone; what it asked for and did not get is given up."""
    tasks: dict[int, asyncio.Task[None]] = {}
    line.send(say.Ready())
    try:
        while (message := await line.receive()) is not None:
            match message:
                case say.Prepare() | say.Settle():
                    task = asyncio.create_task(_answer(batches, line, message))
                    tasks[message.number] = task
                    task.add_done_callback(partial(_forget, tasks, message.number))
                case say.Cancel(number):
                    if number in tasks:
                        tasks[number].cancel()
                case say.Ping():
                    line.send(say.Pong())
                case _:
                    raise TypeError(f"the worker says: {type(message).__name__}")
    finally:
        left = list(tasks.values())
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


def _forget(tasks: dict[int, asyncio.Task[None]], number: int, _: asyncio.Task[None]) -> None:
    del tasks[number]


async def _answer(batches: Batches, line: say.Line, asked: say.Prepare | say.Settle) -> None:
    try:
        match asked:
            case say.Prepare():
                line.send(say.Answer(asked.number, await batches.prepare(asked.batch)))
            case say.Settle(number, kind, results, failures):
                line.send(say.Answer(number, await batches.settle(kind, results, failures)))
            case _:
                assert_never(asked)
    except StoreUnavailableError as error:
        line.send(say.Failed(asked.number, str(error), unavailable=True))
    except Exception as error:
        log.exception("batch_failed", asked=type(asked).__name__)
        text = f"{type(error).__name__}: {error}"
        line.send(say.Failed(asked.number, text, unavailable=False))
