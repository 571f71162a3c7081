"""Valkey (Redis protocol): one client per role and process, to one server or to a cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, cast

from pydantic import SecretStr
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import PubSub
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError

from eros_common.redis_cluster import CLUSTER_SCHEMES, Cluster, cluster_nodes

Valkey: TypeAlias = Redis | RedisCluster
"""What is used of it stays within one hash slot a command: multi-key scripts and functions have
keys of one hash tag, and nothing is a MULTI."""


@asynccontextmanager
async def open_redis(
    url: SecretStr | str,
    *,
    app: str,
    timeout_seconds: float = 1.0,
    retries: int = 2,
    max_connections: int = 32,
) -> AsyncIterator[Valkey]:
    """A client that speaks bytes, closed at the end. Nothing is connected before the first
    command. ``redis+cluster://`` and ``rediss+cluster://`` name nodes of a cluster.

    More commands at once than ``max_connections`` wait for one, at most ``timeout_seconds``. A lost
    connection is tried again ``retries`` times with jittered back-off; a command that times out is
    repeated by a cluster's client only (it may have run: what we send may be sent twice). A server
    that is no longer the primary is left after one refused write: the name leads to its successor.
    Raises ``redis.exceptions.RedisError`` per command.
    """
    plain = url.get_secret_value() if isinstance(url, SecretStr) else url
    retry = Retry(
        ExponentialWithJitterBackoff(base=0.02, cap=0.5),
        retries,
        supported_errors=(RedisConnectionError,),
    )
    common: dict[str, Any] = {
        "client_name": f"eros-{app}",
        "socket_connect_timeout": timeout_seconds,
        "socket_timeout": timeout_seconds,
        "health_check_interval": 30,
        "retry": retry,
    }
    if not plain.startswith("unix:"):
        common["socket_keepalive"] = True
    client: Valkey
    if plain.startswith(CLUSTER_SCHEMES):
        client = Cluster(
            max_connections=max_connections,
            timeout_seconds=timeout_seconds,
            **cluster_nodes(plain),
            **common,
        )
    else:
        # The default pool refuses whoever comes when all connections are taken: a burst would look
        # like a lost server.
        pool = BlockingConnectionPool.from_url(
            plain, timeout=timeout_seconds, max_connections=max_connections, **common
        )
        kind = pool.connection_class
        pool.connection_class = type(kind.__name__, (_LeavingDemoted, kind), {})
        client = Redis.from_pool(pool)
    try:
        yield client
    finally:
        await (client.end() if isinstance(client, Cluster) else client.aclose())


class _LeavingDemoted(AbstractConnection):
    """A demoted primary keeps its connections open, and refuses whatever they write."""

    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().read_response(*args, **kwargs)
        except ReadOnlyError:
            cast("Any", self).mark_for_reconnect()
            raise


@asynccontextmanager
async def subscribed(client: Valkey, channel: str) -> AsyncIterator[PubSub]:
    """Hears what is published from now on. Raises ``redis.exceptions.RedisError``."""
    pubsub: PubSub = (
        client.pubsub(node=await client.some_node())
        if isinstance(client, Cluster)
        else client.pubsub()
    )
    async with pubsub:
        await pubsub.subscribe(channel)
        yield pubsub


async def ping(client: Valkey) -> None:
    """Raises ``redis.exceptions.RedisError`` unless the server answers; in a cluster, unless each
    primary does."""
    if isinstance(client, RedisCluster):
        await cast("Any", client.ping(target_nodes=RedisCluster.PRIMARIES))
    else:
        await cast("Any", client.ping())


async def used_bytes(client: Valkey) -> int:
    """Memory in use; in a cluster of all primaries together."""
    if isinstance(client, RedisCluster):
        by_node = await client.info("memory", target_nodes=RedisCluster.PRIMARIES)
        found = by_node if "used_memory" not in by_node else {"": by_node}
        return sum(int(memory["used_memory"]) for memory in found.values())
    return int((await client.info("memory"))["used_memory"])
