"""The parts, asked over their own protocols."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import asyncpg
import grpc
from grpc_health.v1 import health_pb2
from redis.exceptions import RedisError

from eros.scheduler.v1 import scheduler_pb2, scheduler_pb2_grpc
from eros_common import postgres
from eros_common.cache_reads import read_counts
from eros_common.redis import Valkey, ping, used_bytes
from eros_gateway import admin
from eros_gateway.front.ports import CacheState, PartDown, Probe

_SERVING: Final = health_pb2.HealthCheckResponse.SERVING


def service_probe(channel: grpc.aio.Channel, timeout: float) -> Probe:
    """A service, by gRPC health."""
    check = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )

    async def probe() -> None:
        try:
            answer = await check(health_pb2.HealthCheckRequest(), timeout=timeout)
        except grpc.aio.AioRpcError as error:
            raise PartDown(f"{error.code().name}: {error.details()}") from None
        if answer.status != _SERVING:
            raise PartDown("it says that it does not serve")

    return probe


def valkey_probe(redis: Valkey) -> Probe:
    """A Valkey; the client's own timeout holds."""

    async def probe() -> None:
        try:
            await ping(redis)
        except (RedisError, OSError) as error:
            raise PartDown(str(error) or type(error).__name__) from None

    return probe


def envoy_probe(socket: Path) -> Probe:
    """Envoy, by its admin interface: ready, and not draining."""

    async def probe() -> None:
        try:
            await admin.ready(socket)
        except admin.AdminFault as fault:
            raise PartDown(str(fault)) from None

    return probe


class PostgresProbe:
    """PostgreSQL, over one connection that is made anew when it was lost."""

    def __init__(self, url: str, timeout: float) -> None:
        self._url = url
        self._timeout = timeout
        self._connection: asyncpg.Connection | None = None

    async def __call__(self) -> None:
        try:
            if self._connection is None or self._connection.is_closed():
                self._connection = await asyncpg.connect(
                    self._url,
                    timeout=self._timeout,
                    command_timeout=self._timeout,
                    server_settings={"application_name": "eros-gateway"},
                )
            await self._connection.execute("SELECT 1")
        except (asyncpg.PostgresError, *postgres.AWAY) as error:
            self.close()
            raise PartDown(str(error) or type(error).__name__) from None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


class SchedulerNight:
    """See ``ports.Night``."""

    def __init__(self, stub: scheduler_pb2_grpc.SchedulerServiceStub, timeout: float) -> None:
        self._stub = stub
        self._timeout = timeout

    async def overview(self) -> scheduler_pb2.GetOverviewResponse:
        request = scheduler_pb2.GetOverviewRequest()
        try:
            return await self._stub.GetOverview(request, timeout=self._timeout)
        except grpc.aio.AioRpcError as error:
            raise PartDown(f"{error.code().name}: {error.details()}") from None


class ValkeyCache:
    """See ``ports.Cache``."""

    def __init__(self, redis: Valkey) -> None:
        self._redis = redis

    async def state(self) -> CacheState:
        try:
            return CacheState(await used_bytes(self._redis), await read_counts(self._redis))
        except (RedisError, OSError) as error:
            raise PartDown(str(error) or type(error).__name__) from None
