"""A worker: the only place that wires it. `python -m eros_matcher.worker`."""

from __future__ import annotations

from typing import Final

from eros.accounts.v1.accounts_pb2_grpc import AccountsServiceStub
from eros.scheduler.v1.scheduler_pb2_grpc import SchedulerServiceStub
from eros_common import postgres
from eros_common.ids import new_worker_id
from eros_common.lifecycle import App, main
from eros_common.redis import open_redis
from eros_matcher.work import open_work
from eros_matcher.worker.config import WorkerSettings
from eros_matcher.worker.garbage import QuietCollector
from eros_matcher.worker.jobs import JobKind
from eros_matcher.worker.runtime import Worker
from eros_matcher.worker.store_fence import PostgresFenceStore
from eros_matcher.worker.stream import WorkStream

KINDS: Final = tuple(JobKind)
"""Those there are programs for."""
IN_TRANSACTION_SECONDS: Final = 5.0
"""Between two statements of a transaction a worker computes for milliseconds. One that is frozen
there lets go of its jobs' rows long before their leases end."""


async def compose(app: App[WorkerSettings]) -> None:
    settings = app.settings
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
    # Open and warm for as long as the worker lives: batches may keep all others busy, and to open
    # another one takes longer than a halt may.
    for_halts = await app.enter(
        postgres.open_pool(
            settings.database_url,
            app="worker-halts",
            role="eros_matcher",
            size=1,
            unused_seconds=0,
            leaves_nothing=True,
        )
    )
    work = await open_work(
        pool=pool,
        database_url=settings.database_url,
        accounts=AccountsServiceStub(app.channel(settings.accounts_address, "accounts")),
        cache=await app.enter(open_redis(settings.cache_redis_url, app="worker")),
        clock=app.clock,
        data_dir=settings.worker_data_dir,
        congestion_strength=settings.congestion_strength,
        matches_a_day=settings.matches_a_day,
        learn_every_nights=settings.learn_every_nights,
    )
    store = PostgresFenceStore(pool, for_halts)
    collector = QuietCollector()
    collector.begin()
    scheduler = SchedulerServiceStub(
        app.channel(settings.scheduler_address, "scheduler", retry=False)
    )
    worker = Worker(
        stream_of=lambda on_event: WorkStream(
            scheduler,
            on_event,
            worker_id=new_worker_id("worker"),
            kinds=KINDS,
            silence_seconds=settings.stream_silence_seconds,
        ),
        store=store,
        source=work.source,
        sink=work.sink,
        between_batches=collector.between_batches,
    )
    app.stack.push_async_callback(worker.close)
    worker.computing.start()

    app.background("worker.tick", worker.run)
    app.background("worker.halts", worker.halts.run)
    app.background("worker.stream", worker.stream.run)
    app.on_warm(store.warm)
    app.on_drain(worker.drain)


if __name__ == "__main__":
    main("worker", WorkerSettings, compose)
