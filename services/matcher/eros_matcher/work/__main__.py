"""`python -m eros_matcher.work SOCKET PARENT_PID`: the batch process, started by a worker only."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import signal
import socket
import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime
from typing import Final

from eros.accounts.v1.accounts_pb2_grpc import AccountsServiceStub
from eros_common import config, logging, postgres, telemetry
from eros_common.app import App
from eros_common.redis import open_redis
from eros_matcher.apart import live_apart
from eros_matcher.programs.payload import LearnedModel
from eros_matcher.work import open_work
from eros_matcher.work.serving import serve
from eros_matcher.worker.batches import BatchWork
from eros_matcher.worker.config import WorkerSettings
from eros_matcher.worker.messages import Learned, Line
from eros_matcher.worker.store_fence import PostgresFenceStore

_PR_SET_PDEATHSIG: Final = 1
NICE: Final = 5
"""A third of an ordinary process's share where cores are busy: it holds job rows for a moment, so
it must not starve either."""
IN_TRANSACTION_SECONDS: Final = 5.0
"""Between two statements of a transaction it computes for milliseconds. One that is frozen there
lets go of its jobs' rows long before their leases end."""
FILL_SECONDS: Final = 1.0


def _become_batch_process(parent: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        # The parent died before we asked to be told.
        sys.exit(1)
    # The terminal's Ctrl-C and the supervisor's SIGTERM are the worker's to answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    live_apart(NICE)
    os.nice(NICE)
    # As much as it is due, but it takes no core from who has one.
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


async def _main(settings: WorkerSettings, fd: int) -> None:
    outlets = replace(settings.outlets, prometheus="")  # the worker has that port
    async with telemetry.exporting("worker-batches", outlets), AsyncExitStack() as stack:
        app = App("worker", settings, stack)
        line = await Line.over(socket.socket(fileno=fd))
        pool = await app.enter(
            postgres.open_pool(
                settings.database_url,
                app="worker",
                role="eros_matcher",
                size=settings.database_pool_size,
                idle_in_transaction_seconds=IN_TRANSACTION_SECONDS,
                leaves_nothing=True,
            )
        )

        def learned(version: int, model: LearnedModel, at: datetime) -> None:
            line.send(Learned(version, replace(model, body=b"", people=b""), at))

        work = await open_work(
            pool=pool,
            database_url=settings.database_url,
            accounts=AccountsServiceStub(app.channel(settings.accounts_address, "accounts")),
            cache=await app.enter(open_redis(settings.cache_redis_url, app="worker")),
            clock=app.clock,
            data_dir=settings.worker_data_dir,
            congestion_strength=settings.congestion_strength,
            matches_a_day=settings.matches_a_day,
            lists_days=settings.lists_days,
            learn_every_nights=settings.learn_every_nights,
            learned=learned,
        )
        batches = BatchWork(PostgresFenceStore(pool), work.source, work.sink)
        gc.collect()
        gc.freeze()
        await serve(batches, line)
        await batches.finish(FILL_SECONDS)


def main(fd: int, parent: int) -> None:
    _become_batch_process(parent)
    settings = config.load(WorkerSettings)
    logging.configure(fmt=settings.log_format, level=settings.log_level, service="worker")
    try:
        asyncio.run(_main(settings, fd))
    except (config.SettingsFault, postgres.DatabaseUnreachable) as error:
        logging.get("matcher.batches").error("refused", error=str(error))
        sys.exit(1)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
