"""Valkey (Redis protocol): one client per role and process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import SecretStr
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError


@asynccontextmanager
async def open_redis(
    url: SecretStr | str,
    *,
    app: str,
    timeout_seconds: float = 1.0,
    retries: int = 2,
    max_connections: int = 32,
) -> AsyncIterator[Redis]:
    """A client that speaks bytes, closed at the end. Nothing is connected before the first
    command.

    More commands at once than ``max_connections`` wait for one, at most ``timeout_seconds``.
    A lost connection is tried again ``retries`` times with jittered back-off; a command that times
    out is not repeated (it may have run). Raises ``redis.exceptions.RedisError`` per command.
    """
    # The default pool refuses whoever comes when all connections are taken: a burst would look like
    # a lost server.
    pool = BlockingConnectionPool.from_url(
        url.get_secret_value() if isinstance(url, SecretStr) else url,
        timeout=timeout_seconds,
        client_name=f"eros-{app}",
        socket_connect_timeout=timeout_seconds,
        socket_timeout=timeout_seconds,
        socket_keepalive=True,
        health_check_interval=30,
        max_connections=max_connections,
        retry=Retry(
            ExponentialWithJitterBackoff(base=0.02, cap=0.5),
            retries,
            supported_errors=(RedisConnectionError,),
        ),
    )
    client = Redis.from_pool(pool)
    try:
        yield client
    finally:
        await client.aclose()
