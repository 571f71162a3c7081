"""Envoy of a mesh: its configuration, rendered by the gateway's own program, and the server."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping

from eros_cli.embedded.envoy import Envoy
from eros_cli.mesh.addresses import ACCESS_LOG_VARIABLE, GATEWAY_VARIABLE, Addresses
from eros_cli.mesh.data_dir import DataDir
from eros_cli.mesh.faults import MeshError
from eros_cli.paths import DESCRIPTOR_SET


def gateway_of(data: DataDir) -> Envoy:
    return Envoy(data.gateway_configuration, data.socket("envoy-admin"), data.run)


async def render_gateway(shared: Mapping[str, str], addresses: Addresses, data: DataDir) -> None:
    """Write Envoy's configuration. Raises MeshError with what the renderer said."""
    environment = {
        **shared,
        **addresses.environment(),
        GATEWAY_VARIABLE: addresses.gateway,
        ACCESS_LOG_VARIABLE: addresses.access_log,
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
