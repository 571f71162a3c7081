"""The scheduler's composition root: `python -m eros_scheduler`."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Sequence

from eros.activity.v1.activity_pb2_grpc import ActivityServiceStub
from eros.scheduler.v1 import scheduler_pb2_grpc
from eros_common import postgres
from eros_common.lifecycle import App, main
from eros_common.tasks import Batcher
from eros_scheduler.config import SchedulerSettings
from eros_scheduler.core.core import SchedulerCore
from eros_scheduler.core.model import HaltRecord
from eros_scheduler.engine import Engine
from eros_scheduler.keeping import Keeping
from eros_scheduler.metrics import NightMetrics
from eros_scheduler.overview import Counting
from eros_scheduler.retrying import until_available
from eros_scheduler.servicer import SchedulerServicer
from eros_scheduler.store_postgres import PostgresJobs
from eros_scheduler.store_postgres_audit import PostgresAudit
from eros_scheduler.store_postgres_claims import claims_pool
from eros_scheduler.store_postgres_halts import PostgresHalts
from eros_scheduler.watch import Watch
from eros_scheduler.work_stream import WorkStreams

HALTS_BATCH = 500
HALTS_SECONDS = 0.5


async def compose(app: App[SchedulerSettings]) -> None:
    settings = app.settings
    pool = await app.enter(
        postgres.open_pool(
            settings.database_url,
            role="eros_scheduler",
            app="scheduler",
            size=settings.database_pool_size,
            # A snapshot drops its table of sleepers, or the next one does.
            leaves_nothing=True,
        )
    )
    claims = await app.enter(
        claims_pool(settings.database_url, app="scheduler-claims", size=settings.database_pool_size)
    )
    jobs = PostgresJobs(pool, claims, settings.idle_thresholds)
    halt_log = PostgresHalts(pool)
    audit = PostgresAudit(pool)
    keeping = Keeping(audit, app.clock, days=settings.audit_days)
    # Before anything is written: leases left over are taken, and noted, by the engine's first tick.
    await keeping.once()

    async def append(records: Sequence[HaltRecord]) -> None:
        await until_available(app.clock, lambda: halt_log.append(records))

    halts = Batcher(append, max_items=HALTS_BATCH, max_seconds=HALTS_SECONDS)
    scheduler_id = f"{socket.gethostname()}-{secrets.token_hex(4)}"
    core = SchedulerCore(settings.core(scheduler_id))
    engine = Engine(
        core,
        jobs,
        halts,
        app.clock,
        lease_seconds=settings.lease_seconds,
        tick_seconds=settings.tick_seconds,
    )
    activity = ActivityServiceStub(app.channel(settings.activity_address, "activity"))
    watch = Watch(
        activity, engine, jobs, app.clock, silence_seconds=settings.stream_silence_seconds
    )
    counting = Counting(jobs, app.clock, core.state)
    servicer = SchedulerServicer(
        engine,
        WorkStreams(engine, alive_seconds=settings.alive_seconds),
        jobs,
        halt_log,
        audit,
        counting,
    )
    app.serve(scheduler_pb2_grpc.add_SchedulerServiceServicer_to_server, servicer)
    app.background("scheduler.halts", halts.run)
    app.background("scheduler.engine", engine.run)
    app.background("scheduler.watch", watch.run)
    app.background("scheduler.metrics", NightMetrics(counting, core.state, app.clock).run)

    app.background("scheduler.keeping", keeping.run)

    async def drain() -> None:
        await engine.drain(settings.stop_grace_seconds / 2)

    app.on_drain(drain)


if __name__ == "__main__":
    main("scheduler", SchedulerSettings, compose)
