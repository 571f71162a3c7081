"""Envoy's admin interface, behind its unix socket."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Final

ACTIVE_REQUESTS = "http.public.downstream_rq_active"
_ANSWER_SECONDS: Final = 5.0
"""Its thread has nothing else to do: one that takes longer is frozen."""


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
        async with asyncio.timeout(_ANSWER_SECONDS):
            status, rest = await _exchange(socket, method, path)
    except TimeoutError:
        raise AdminFault(f"{socket}: no answer for {_ANSWER_SECONDS:g} s") from None
    except OSError as error:
        raise AdminFault(f"{socket}: {error}") from None
    if b" 200 " not in status:
        raise AdminFault(f"{method} {path}: {status.decode(errors='replace').strip()}")
    return rest.decode()


async def _exchange(socket: Path, method: str, path: str) -> tuple[bytes, bytes]:
    reader, writer = await asyncio.open_unix_connection(socket)
    try:
        head = f"{method} {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n"
        writer.write(f"{head}content-length: 0\r\n\r\n".encode())
        return await reader.readline(), await reader.read()
    finally:
        writer.close()
