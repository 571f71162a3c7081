"""A worker: the only place that wires it. `python -m eros_matcher.worker`."""

from __future__ import annotations

from typing import Final

from eros.scheduler.v1.scheduler_pb2_grpc import SchedulerServiceStub
from eros_common import postgres
from eros_common.ids import new_worker_id
from eros_common.lifecycle import App, main
from eros_matcher.worker.batch_process import BatchProcess
from eros_matcher.worker.config import WorkerSettings
from eros_matcher.worker.garbage import QuietCollector
from eros_matcher.worker.jobs import JobKind
from eros_matcher.worker.metrics import LearnMetrics
from eros_matcher.worker.runtime import Worker
from eros_matcher.worker.store_fence import PostgresFenceStore
from eros_matcher.worker.stream import WorkStream

KINDS: Final = tuple(JobKind)
"""Those there are programs for."""


async def compose(app: App[WorkerSettings]) -> None:
    settings = app.settings
    # Open and warm for as long as the worker lives: to open another one takes longer than a halt
    # may. Batches are another process's, with connections of its own.
    for_halts = await app.enter(
        postgres.open_pool(
            settings.database_url,
            app="worker-halts",
            role="eros_matcher",
            size=1,
            unused_seconds=0,
            leaves_nothing=True,
            plans_once=True,
        )
    )
    metrics = LearnMetrics()
    process = BatchProcess(lambda told: metrics.learned(told.version, told.model, told.at))
    app.stack.push_async_callback(process.close)
    await process.start()
    store = PostgresFenceStore(for_halts)
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
        batches=process,
        between_batches=collector.between_batches,
    )
    app.stack.push_async_callback(worker.close)
    worker.computing.start()

    app.background("worker.batches", process.run)
    app.background("worker.tick", worker.run)
    app.background("worker.halts", worker.halts.run)
    app.background("worker.stream", worker.stream.run)
    app.on_warm(process.ready)
    app.on_warm(store.warm)
    app.on_drain(worker.drain)


if __name__ == "__main__":
    main("worker", WorkerSettings, compose)
