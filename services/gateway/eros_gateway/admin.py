"""Envoy's admin interface, behind its unix socket."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

ACTIVE_REQUESTS = "http.public.downstream_rq_active"


class AdminFault(Exception):
    """Envoy does not answer, or refuses."""


async def post(socket: Path, path: str) -> None:
    """Tells Envoy to do something, for example ``/drain_listeners``."""
    await _call(socket, "POST", path)


async def active_requests(socket: Path) -> int:
    """How many requests of clients are under way."""
    answer = await _call(socket, "GET", f"/stats?filter=^{ACTIVE_REQUESTS}$")
    found = re.search(rf"{re.escape(ACTIVE_REQUESTS)}: (\d+)", answer)
    if found is None:
        raise AdminFault(f"Envoy does not count {ACTIVE_REQUESTS}")
    return int(found[1])


async def ready(socket: Path) -> None:
    """Returns if Envoy takes requests; raises ``AdminFault``."""
    await _call(socket, "GET", "/ready")


async def _call(socket: Path, method: str, path: str) -> str:
    """The answer's headers and body as they come: small, and searched for one number at most."""
    try:
        reader, writer = await asyncio.open_unix_connection(socket)
        try:
            head = f"{method} {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n"
            writer.write(f"{head}content-length: 0\r\n\r\n".encode())
            status = await reader.readline()
            rest = await reader.read()
        finally:
            writer.close()
    except OSError as error:
        raise AdminFault(f"{socket}: {error}") from None
    if b" 200 " not in status:
        raise AdminFault(f"{method} {path}: {status.decode(errors='replace').strip()}")
    return rest.decode()
