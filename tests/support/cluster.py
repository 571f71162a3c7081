"""A Valkey Cluster of three primaries on this machine, without replicas."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from eros_cli.embedded.valkey import binary
from eros_cli.mesh.ports import Ports

PRIMARIES: Final = 3
SLOTS: Final = 16384
PASSWORD: Final = "of a test's own"
_URL_PASSWORD: Final = "of%20a%20test's%20own"
_SETTINGS: Final = """\
bind 127.0.0.1
port {port}
cluster-port {bus}
cluster-enabled yes
cluster-config-file nodes.conf
cluster-node-timeout 1000
requirepass "{password}"
masterauth "{password}"
dir "{folder}"
save ""
appendonly no
maxmemory-policy noeviction
"""


@dataclass(slots=True)
class Node:
    """One primary, and the slots it begins with."""

    folder: Path
    port: int
    bus: int
    first: int
    last: int
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        file = self.folder / "valkey.conf"
        file.write_text(
            _SETTINGS.format(port=self.port, bus=self.bus, folder=self.folder, password=PASSWORD)
        )
        self.process = await asyncio.create_subprocess_exec(
            str(binary()), str(file), stdout=asyncio.subprocess.DEVNULL
        )

    async def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            await self.process.wait()
            self.process = None

    async def sees_all(self) -> bool:
        info: bytes = await self.command("CLUSTER", "INFO")
        said = info.decode().splitlines()
        return {"cluster_state:ok", f"cluster_known_nodes:{PRIMARIES}"} <= set(said)

    async def command(self, *words: Any) -> Any:
        """Of this node alone."""
        async with self.client() as client:
            return await cast("Any", client).execute_command(*words)

    def client(self) -> Redis:
        """To this node alone."""
        return Redis(host="127.0.0.1", port=self.port, password=PASSWORD)

    async def ready(self) -> None:
        """Waits until the node answers."""
        async with asyncio.timeout(30), self.client() as client:
            while True:
                with suppress(RedisConnectionError):
                    await client.ping()
                    return
                await asyncio.sleep(0.02)


class ValkeyCluster:
    """Call ``start`` first."""

    def __init__(self, folder: Path) -> None:
        free = Ports()
        ports = [free.free() for _ in range(2 * PRIMARIES)]
        size = -(-SLOTS // PRIMARIES)
        self.nodes = [
            Node(
                folder / str(number),
                ports[2 * number],
                ports[2 * number + 1],
                number * size,
                min(SLOTS, (number + 1) * size) - 1,
            )
            for number in range(PRIMARIES)
        ]

    @property
    def url(self) -> str:
        """Names two of the three: the third is found."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:2])
        return f"redis+cluster://:{_URL_PASSWORD}@{hosts}"

    async def start(self) -> None:
        for node in self.nodes:
            await node.start()
        for number, node in enumerate(self.nodes):
            await node.ready()
            await node.command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            await node.command("CLUSTER", "ADDSLOTSRANGE", node.first, node.last)
            if number:
                first = self.nodes[0]
                await node.command("CLUSTER", "MEET", "127.0.0.1", first.port, first.bus)
        await self.until_whole()

    async def until_whole(self) -> None:
        """Waits until every node sees every slot served."""
        async with asyncio.timeout(20):
            for node in self.nodes:
                while not await node.sees_all():
                    await asyncio.sleep(0.02)

    async def stop(self) -> None:
        for node in self.nodes:
            await node.kill()


@asynccontextmanager
async def valkey_cluster(folder: Path) -> AsyncIterator[ValkeyCluster]:
    cluster = ValkeyCluster(folder)
    try:
        await cluster.start()
        yield cluster
    finally:
        await cluster.stop()
