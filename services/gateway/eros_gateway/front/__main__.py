"""The composition root: ``python -m eros_gateway.front``."""

from __future__ import annotations

from typing import Final

from eros.accounts.v1.accounts_pb2_grpc import AccountsServiceStub
from eros.activity.v1.activity_pb2_grpc import ActivityServiceStub
from eros.gateway.v1 import console_pb2_grpc, gateway_pb2_grpc
from eros.scheduler.v1 import scheduler_pb2_grpc
from eros_common.auth.revocation import RevocationMirror
from eros_common.lifecycle import App, main
from eros_common.redis import open_redis
from eros_gateway.console.feed import Feed
from eros_gateway.console.history import PeopleHistory
from eros_gateway.console.servicer import ConsoleServicer
from eros_gateway.console.session import Sessions
from eros_gateway.front.config import FrontSettings
from eros_gateway.front.health import Health
from eros_gateway.front.pages import Pages
from eros_gateway.front.ports import Probe
from eros_gateway.front.probes import (
    PostgresProbe,
    SchedulerNight,
    ValkeyCache,
    envoy_probe,
    service_probe,
    valkey_probe,
)
from eros_gateway.front.servicer import GatewayServicer

_SERVICES: Final = ("accounts", "activity", "scheduler", "matcher", "assistant")


async def compose(app: App[FrontSettings]) -> None:
    """Wires the service. Nothing has to be there when it starts: it is to say what is not."""
    settings = app.settings
    timeout = settings.health_timeout_seconds
    # Below the limit of a whole look, so that the part's own words are heard.
    each = 0.9 * timeout
    # A part that does not serve is seen at once: nothing is tried again.
    channels = {
        name: app.channel(settings.address_of(name), name, retry=False) for name in _SERVICES
    }
    postgres = PostgresProbe(settings.database_url.get_secret_value(), each)
    app.stack.callback(postgres.close)
    activity, cache = [
        await app.enter(open_redis(url, app=app.name, timeout_seconds=each, retries=0))
        for url in (settings.activity_redis_url, settings.cache_redis_url)
    ]
    probes: dict[str, Probe] = {
        **{name: service_probe(channel, each) for name, channel in channels.items()},
        "postgres": postgres,
        "valkey": valkey_probe(activity),
    }
    if settings.gateway_admin_socket is not None:
        probes["envoy"] = envoy_probe(settings.gateway_admin_socket)
    health = Health(
        probes,
        SchedulerNight(app.each_address(settings.scheduler_address, "scheduler"), each),
        ValkeyCache(cache),
        app.clock,
        keep_seconds=settings.health_cache_seconds,
        timeout_seconds=timeout,
    )
    app.background("health", health.run)
    mirror = RevocationMirror(activity, clock=app.clock)
    app.background("console.revocations", mirror.run)
    scheduler = scheduler_pb2_grpc.SchedulerServiceStub(channels["scheduler"])
    feed = Feed(
        health,
        scheduler,
        ActivityServiceStub(channels["activity"]),
        PeopleHistory(cache),
        app.clock,
    )
    app.background("console.feed", feed.run)
    app.serve(
        console_pb2_grpc.add_ConsoleServiceServicer_to_server,
        ConsoleServicer(
            feed,
            Sessions(app.identity.key, mirror, app.clock),
            AccountsServiceStub(channels["accounts"]),
            scheduler,
            app.stopping,
        ),
    )
    app.serve(
        gateway_pb2_grpc.add_GatewayServiceServicer_to_server,
        GatewayServicer(health, Pages.of(settings.descriptor_set.read_bytes())),
    )


if __name__ == "__main__":
    main("gateway", FrontSettings, compose)
