"""The parts, asked over their own protocols."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import asyncpg
import grpc
from grpc_health.v1 import health_pb2
from redis.exceptions import RedisError

from eros.scheduler.v1 import scheduler_pb2, scheduler_pb2_grpc
from eros_common import postgres
from eros_common.cache_reads import read_counts
from eros_common.each_address import EachAddress
from eros_common.redis import Valkey, ping, used_bytes
from eros_gateway import admin
from eros_gateway.domain.nights import merged
from eros_gateway.front.ports import CacheState, NightSeen, PartDown, Probe

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
    """See ``ports.Night``: every scheduler is asked, for each knows its own workers only."""

    def __init__(self, schedulers: EachAddress, timeout: float) -> None:
        self._schedulers = schedulers
        self._timeout = timeout

    async def overview(self) -> NightSeen:
        try:
            channels = await self._schedulers.channels()
        except OSError as error:
            raise PartDown(f"its addresses are not known: {error.strerror or error}") from None
        answers = await asyncio.gather(*map(self._one, channels.values()))
        silent = {
            address: answer
            for address, answer in zip(channels, answers, strict=True)
            if isinstance(answer, str)
        }
        told = [answer for answer in answers if not isinstance(answer, str)]
        if not told:
            raise PartDown("; ".join(silent.values()))
        return NightSeen(merged(told), silent)

    async def _one(self, channel: grpc.aio.Channel) -> scheduler_pb2.GetOverviewResponse | str:
        """The answer, or why there is none."""
        stub = scheduler_pb2_grpc.SchedulerServiceStub(channel)
        request = scheduler_pb2.GetOverviewRequest()
        try:
            return await stub.GetOverview(request, timeout=self._timeout)
        except grpc.aio.AioRpcError as error:
            return f"{error.code().name}: {error.details()}"


class ValkeyCache:
    """See ``ports.Cache``."""

    def __init__(self, redis: Valkey) -> None:
        self._redis = redis

    async def state(self) -> CacheState:
        try:
            return CacheState(await used_bytes(self._redis), await read_counts(self._redis))
        except (RedisError, OSError) as error:
            raise PartDown(str(error) or type(error).__name__) from None
