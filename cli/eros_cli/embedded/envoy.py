"""Envoy from its wheel, with a configuration that the gateway renders."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from eros_cli.mesh.faults import MeshError
from eros_cli.mesh.program import Program

_PACKAGE = "envoy"
_POLL_SECONDS = 0.02
_MOST_THREADS = 4


@dataclass(frozen=True, slots=True)
class Envoy:
    """A gateway with this configuration; `admin_socket` is where the configuration puts it."""

    configuration: Path
    admin_socket: Path
    directory: Path
    #: 0: one a core, four at most.
    threads: int = 0

    def program(self) -> Program:
        threads = self.threads or min(len(os.sched_getaffinity(0)), _MOST_THREADS)
        return Program(
            name="envoy",
            command=(
                str(_binary()),
                *("--config-path", str(self.configuration)),
                *("--concurrency", str(threads)),
                *("--log-level", "warning"),
                # No shared memory segment: several may run on one machine.
                "--disable-hot-restart",
            ),
            environment={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            ready=self._until_ready,
            directory=self.directory,
        )

    async def until_healthy(self, clusters: Collection[str]) -> None:
        """Until Envoy has seen that the clusters of these names serve, and routes to them."""
        async with self._admin() as client:
            while True:
                answer = await client.get("/clusters", params={"format": "json"})
                healthy = {
                    cluster["name"]
                    for cluster in answer.raise_for_status().json()["cluster_statuses"]
                    if all(map(_is_healthy, cluster.get("host_statuses", ())))
                }
                if healthy.issuperset(clusters):
                    return
                await asyncio.sleep(_POLL_SECONDS)

    async def _until_ready(self) -> None:
        """Until it listens, its clusters known."""
        async with self._admin() as client:
            while True:
                try:
                    answer = await client.get("/ready")
                except httpx.TransportError:
                    answer = None
                if answer is not None and answer.is_success:
                    return
                await asyncio.sleep(_POLL_SECONDS)

    def _admin(self) -> httpx.AsyncClient:
        transport = httpx.AsyncHTTPTransport(uds=str(self.admin_socket))
        return httpx.AsyncClient(transport=transport, base_url="http://envoy")


def _is_healthy(host: dict[str, Any]) -> bool:
    """Every `failed_…` flag of Envoy's `HostHealthStatus` is absent."""
    return not any(flag.startswith("failed_") for flag in host.get("health_status", {}))


def _binary() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    assert spec is not None
    # The package shares its name with Envoy's protos; either may have installed its __init__.
    for folder in spec.submodule_search_locations or ():
        binary = Path(folder) / "_bin" / "envoy"
        if binary.exists():
            return binary
    raise MeshError("there is no Envoy in its package for this kind of machine")
