"""Envoy of a mesh: its configuration, rendered by the gateway's own program, and the server."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable, Mapping

from eros_cli.embedded.envoy import Envoy
from eros_cli.mesh.addresses import GATEWAY_VARIABLE, Addresses
from eros_cli.mesh.data_dir import DataDir
from eros_cli.mesh.faults import MeshError
from eros_cli.mesh.options import Part
from eros_cli.paths import DESCRIPTOR_SET

#: The services that have routes.
_ROUTED = (Part.ACCOUNTS, Part.ACTIVITY, Part.MATCHER, Part.ASSISTANT, Part.GATEWAY)
_THREADS_VARIABLE = "EROS_GATEWAY_THREADS"
_ROUTED_SECONDS = 30.0


def gateway_of(data: DataDir, settings: Mapping[str, str] | None = None) -> Envoy:
    """The server of this directory; without the settings it can be asked, not started."""
    threads = (settings or {}).get(_THREADS_VARIABLE, "")
    # The renderer reads the same setting and refuses what is no number.
    return Envoy(
        data.gateway_configuration,
        data.socket("envoy-admin"),
        data.run,
        int(threads) if threads.isdigit() else 0,
    )


async def render_gateway(shared: Mapping[str, str], addresses: Addresses, data: DataDir) -> None:
    """Write Envoy's configuration. Raises MeshError with what the renderer said."""
    environment = {
        **shared,
        **addresses.environment(),
        GATEWAY_VARIABLE: addresses.gateway,
        "EROS_ALS_ADDRESS": addresses.access_log,
        "EROS_GATEWAY_ADMIN_SOCKET": os.fspath(gateway_of(data).admin_socket),
        "EROS_DESCRIPTOR_SET": os.fspath(DESCRIPTOR_SET),
    }
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "eros_gateway", "render"],
        *["--out", os.fspath(data.gateway_configuration)],
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise MeshError(
            f"the gateway's configuration cannot be rendered:\n{output.decode().strip()}"
        )


async def until_routed(data: DataDir, names: Iterable[str]) -> None:
    """Until a gateway that runs sends requests to those programs that have routes.

    Raises MeshError when it has not for half a minute.
    """
    routed = {part.value for part in _ROUTED}.intersection(names)
    try:
        async with asyncio.timeout(_ROUTED_SECONDS):
            await gateway_of(data).until_healthy(routed)
    except TimeoutError:
        raise MeshError(
            f"the gateway finds not all of {', '.join(sorted(routed))} healthy after "
            f"{_ROUTED_SECONDS:.0f} s; its log is in {data.logs}"
        ) from None
