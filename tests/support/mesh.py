"""The whole mesh for e2e tests, through Envoy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from eros_cli.mesh.clean import clean_environment
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import MeshOptions, NightClock

WORKERS = 2
#: All clients of a test session come from one address, and nobody waits for a preview.
_SETTINGS = {
    "EROS_RATE_PER_SECOND": "0",
    "EROS_RATE_SIGN_IN_PER_MINUTE": "0",
    "EROS_PREVIEW_RENEW_SECONDS": "0.1",
}


@asynccontextmanager
async def whole_mesh(
    settings: Mapping[str, str] | None = None, night: NightClock | None = None
) -> AsyncIterator[Mesh]:
    """Everything on free ports and an empty database; without a clock, night time is wall time."""
    options = MeshOptions(
        workers=WORKERS,
        environment=clean_environment(),
        settings={**_SETTINGS, **(settings or {})},
        night=night,
        durable=False,
    )
    async with Mesh(options) as mesh:
        yield mesh
