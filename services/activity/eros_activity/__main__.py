"""The composition root: ``python -m eros_activity``."""

from __future__ import annotations

from envoy_als import als_pb2_grpc

from eros.activity.v1 import activity_pb2_grpc
from eros_activity.access_logs import AccessLogs
from eros_activity.als_servicer import AccessLogServicer
from eros_activity.config import ActivitySettings
from eros_activity.domain.sight import longest_pause
from eros_activity.edge_servicer import EdgeServicer
from eros_activity.hub import Hub
from eros_activity.keeping import Keeper
from eros_activity.lookout import Lookout
from eros_activity.metrics import PeopleMetrics
from eros_activity.servicer import ActivityServicer
from eros_activity.store_valkey import ValkeyPeople
from eros_activity.store_valkey_log import ValkeyLog
from eros_activity.store_valkey_sources import ValkeySources
from eros_activity.touching import GATHERED_SECONDS, Touches
from eros_activity.valkey_functions import Functions
from eros_activity.watching import Watching
from eros_common.lifecycle import App, main
from eros_common.policy import Policy
from eros_common.redis import open_redis

CLOCK_TOLERANCE_SECONDS = 5.0
"""By how much (wall) a sweep may come late, or the clocks of two machines differ."""


async def compose(app: App[ActivitySettings]) -> None:
    """Wires the service."""
    settings, clock, shards = app.settings, app.clock, app.settings.activity_shards
    url = settings.activity_redis_url
    functions = Functions(await app.enter(open_redis(url, app=app.name)))
    # Reading the log waits in the store: a connection of its own, with more patience.
    waiting = await app.enter(open_redis(url, app=app.name, timeout_seconds=3.0))
    people = ValkeyPeople(
        functions,
        settings.rules,
        shard_count=shards,
        kept_seconds=settings.events_kept_seconds,
        clock_tolerance=CLOCK_TOLERANCE_SECONDS * clock.rate,
        wall=lambda: clock.wall().timestamp(),
    )
    transitions = ValkeyLog(
        functions,
        waiting,
        shard_count=shards,
        longest_pause=longest_pause(settings.heartbeat_interval_seconds),
    )
    app.stack.push_async_callback(transitions.close)

    lookout = Lookout(
        transitions,
        clock,
        silence_seconds=settings.stream_silence_seconds,
        heartbeat_seconds=settings.heartbeat_interval_seconds,
    )
    hub = Hub(transitions, lookout, clock)
    touches = Touches(people, lookout, clock, gathered_seconds=GATHERED_SECONDS)
    keeper = Keeper(
        people,
        hub,
        lookout,
        clock,
        sweep_seconds=settings.sweep_seconds,
        silence_seconds=settings.stream_silence_seconds,
        clean_seconds=settings.clean_seconds,
    )
    logs = AccessLogs(
        ValkeySources(functions),
        touches,
        lookout,
        clock,
        reorder_seconds=settings.als_reorder_seconds,
        silence_seconds=settings.stream_silence_seconds,
    )

    revoked = await app.revoked()

    async def follow_log() -> None:
        await keeper.ready()  # the first sweep ever begins the log
        await hub.run()

    app.background("activity.touches", touches.run)
    app.background("activity.pauses", lookout.run)
    app.background("activity.sweep", keeper.sweep)
    app.background("activity.log", follow_log)
    app.background("activity.sources", logs.watch)
    app.background("activity.cleaner", keeper.clean)
    app.background("activity.metrics", PeopleMetrics(people, lookout, clock).run)
    app.on_warm(keeper.ready)
    app.on_warm(hub.ready)
    app.on_drain(hub.close)
    app.on_drain(logs.close)
    app.serve(
        activity_pb2_grpc.add_ActivityServiceServicer_to_server,
        ActivityServicer(
            people,
            touches,
            Watching(people, hub, lookout),
            keeper,
            lookout,
            clock,
            settings.rules,
        ),
    )
    app.serve(
        als_pb2_grpc.add_AccessLogServiceServicer_to_server,
        AccessLogServicer(logs, clock, revoked),
        listen=settings.als_listen,
        policy=Policy.public(),
        gone_after_seconds=settings.stream_silence_seconds,
    )
    app.serve(
        activity_pb2_grpc.add_EdgeServiceServicer_to_server,
        EdgeServicer(revoked, touches, clock),
        listen=settings.als_listen,
        policy=Policy.public(),
    )


if __name__ == "__main__":
    main("activity", ActivitySettings, compose)
