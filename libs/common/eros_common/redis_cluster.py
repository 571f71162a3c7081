"""A Valkey Cluster as a client sees it.

redis-py's client finds the nodes, follows redirections and asks again after a failover. Four
things are added. Commands that are more than the connections wait for their turn: it would open
hundreds at once. Commands whose keys it would ask a server for (``COMMAND GETKEYS``, a round trip
each) are routed here. A cluster that cannot be asked is a lost connection: redis-py raises an
exception then that is no ``RedisError``, which no caller expects. And after a pipeline failed the
layout is looked at again also where nothing is retried.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, Final, Self
from urllib.parse import parse_qs, unquote, urlsplit

from redis.asyncio.cluster import ClusterNode, ClusterPipeline, RedisCluster
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException, RedisError

CLUSTER_SCHEMES: Final = ("redis+cluster://", "rediss+cluster://")
_PORT: Final = 6379
_HAS_TURN: ContextVar[bool] = ContextVar("_HAS_TURN", default=False)


def cluster_nodes(url: str) -> dict[str, Any]:
    """Arguments for ``Cluster`` from ``redis+cluster://user:password@host:port,host:port``.

    With TLS `?ssl_ca_certs=FILE` names whose certificates are believed, as in a single server's.
    One node that answers is enough; the others are found. Raises ``ValueError``, without the URL in
    it, for what is no such address, or has a database: a cluster has one only.
    """
    parts = urlsplit(url)
    if f"{parts.scheme}://" not in CLUSTER_SCHEMES:
        raise ValueError(f"must start with {' or '.join(CLUSTER_SCHEMES)}")
    if parts.path not in ("", "/", "/0") or parts.fragment:
        raise ValueError("a cluster's address ends with its nodes: there are no other databases")
    secure = parts.scheme.startswith("rediss")
    options = parse_qs(parts.query, keep_blank_values=True)
    if options and (not secure or options.keys() != {"ssl_ca_certs"}):
        raise ValueError("a cluster's address may have ?ssl_ca_certs=FILE, with TLS, and no more")
    login, _, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    return {
        "startup_nodes": [ClusterNode(*_host_and_port(each)) for each in hosts.split(",")],
        "username": unquote(user) or None,
        "password": unquote(password) or None,
        "ssl": secure,
        "ssl_ca_certs": options["ssl_ca_certs"][-1] if options else None,
    }


def _host_and_port(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not colon or address.endswith("]"):
        host, port = address, str(_PORT)
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError("must name nodes as host:port, with commas between them")
    return host, int(port)


class Cluster(RedisCluster):
    """See the module. ``max_connections`` commands at once, the others wait for up to
    ``timeout_seconds``."""

    def __init__(self, *, max_connections: int, timeout_seconds: float, **settings: Any) -> None:
        super().__init__(
            # The servers say themselves what they do while slots are uncovered.
            require_full_coverage=False,
            # A slot that moved is noted; the whole layout is not asked for because of it.
            reinitialize_steps=0,
            # A command has one at most of each node.
            max_connections=2 * max_connections,
            **settings,
        )
        self._turns = asyncio.Semaphore(max_connections)
        self._patience = timeout_seconds

    async def initialize(self, *args: Any, **kwargs: Any) -> Self:
        try:
            await super().initialize(*args, **kwargs)
        except RedisClusterException as error:
            raise RedisConnectionError(str(error)) from error
        return self

    def pipeline(self, transaction: Any = None, shard_hint: Any = None) -> ClusterPipeline:
        """Commands in one round trip to each node that has some of them, in order there."""
        if transaction:
            raise ValueError("a transaction of several commands is a script")
        return _Pipeline(self)  # type: ignore[abstract] # an attribute of the library's own

    async def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        async with self.turn():
            if self._initialize:
                # Before, no command's node is known, and it would go to any.
                await self.initialize()
            return await super().execute_command(*args, **kwargs)

    async def aclose(self) -> None:
        """What the library does when the layout may have changed. Connections stay: others have
        commands under way on them."""
        self.look_again()

    async def end(self) -> None:
        """Closes everything."""
        self._initialize = True
        await self.nodes_manager.aclose()
        await self.nodes_manager.aclose("startup_nodes")

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One of the commands at once, with whatever it does itself."""
        if _HAS_TURN.get():
            yield
            return
        try:
            async with asyncio.timeout(self._patience):
                await self._turns.acquire()
        except TimeoutError:
            raise RedisConnectionError("no connection became free in time") from None
        token = _HAS_TURN.set(True)
        try:
            yield
        finally:
            _HAS_TURN.reset(token)
            self._turns.release()

    async def some_node(self) -> ClusterNode:
        """Any that is there; what is published reaches all of them."""
        if self._initialize:
            await self.initialize()
        return self.get_random_node()

    def look_again(self) -> None:
        """Before the next command the layout is asked for."""
        self._initialize = True

    async def _determine_nodes(self, *args: Any, **kwargs: Any) -> list[ClusterNode]:
        try:
            return await super()._determine_nodes(*args, **kwargs)
        except (RedisClusterException, KeyError) as error:
            # A slot that nobody serves just now is missing from its table.
            self.look_again()
            raise RedisConnectionError(f"no node serves it: {error}") from error

    async def _determine_slot(self, command: str, *args: Any) -> int:
        keys: tuple[Any, ...]
        match command:
            case "FCALL" | "FCALL_RO":
                keys = args[2 : 2 + int(args[1])]
            case "XREAD":
                streams = args[args.index(b"STREAMS") + 1 :]
                keys = streams[: len(streams) // 2]
            case _:
                return await super()._determine_slot(command, *args)
        slots = {self.keyslot(key) for key in keys}
        if len(slots) != 1:
            raise ValueError(f"{command} has keys of {len(slots)} hash slots")
        return slots.pop()


class _Pipeline(ClusterPipeline):
    async def execute(
        self, raise_on_error: bool = True, allow_redirections: bool = True
    ) -> list[Any]:
        client = self.cluster_client
        assert isinstance(client, Cluster)
        async with client.turn():
            try:
                return await super().execute(raise_on_error, allow_redirections)
            except RedisClusterException as error:
                client.look_again()
                raise RedisConnectionError(str(error)) from error
            except RedisError:
                client.look_again()
                raise
