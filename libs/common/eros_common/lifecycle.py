"""The one lifecycle of a service process; see the README for a complete example.

compose (open resources) -> bind, NOT_SERVING -> background tasks -> warm -> SERVING -> stop is
asked for or a background task dies -> NOT_SERVING -> drain -> server stops within the grace ->
background tasks are cancelled -> resources are closed in reverse.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final, NoReturn, TypeVar

from eros_common import config, logging, telemetry
from eros_common.app import App
from eros_common.auth.authenticator import Authenticator
from eros_common.auth.standard import standard_auth
from eros_common.config import ServiceSettings, SettingsFault
from eros_common.server import CannotListen, Server
from eros_common.shortcut import ReadPort
from eros_common.tasks import BackgroundFailed, Supervisor

__all__ = ["App", "Running", "main", "run", "running"]

log = logging.get("lifecycle")

_FULL_SELDOM: Final = 1000
"""Collections of the middle between two of what is old; 10 by default."""

S = TypeVar("S", bound=ServiceSettings)
Compose = Callable[[App[S]], Awaitable[None]]


class Running:
    """A service that serves."""

    def __init__(
        self,
        servers: Mapping[str, Server],
        read_ports: Mapping[str, ReadPort],
        main_listen: str | None,
    ) -> None:
        self._servers = servers
        self._read_ports = read_ports
        self._main = main_listen
        self.failed = asyncio.Event()

    @property
    def port(self) -> int:
        """The port of the main server."""
        if self._main is None:
            raise LookupError("this service has no server")
        return self.port_of(self._main)

    def port_of(self, listen: str) -> int:
        """The actual port of the server that was to listen there."""
        return self._servers[listen].port

    def read_port_of(self, listen: str) -> int:
        """The actual port of the read port that was to listen there."""
        return self._read_ports[listen].port


@asynccontextmanager
async def running(
    name: str, settings: S, compose: Compose[S], *, auth: Authenticator | None = None
) -> AsyncIterator[Running]:
    """The service, serving, until the block ends; no signals, so tests use it in their process.

    Raises ``BackgroundFailed`` at the end if a background task died. ``auth`` replaces the
    identities that the settings name.
    """
    async with AsyncExitStack() as stack:
        app = App(name, settings, stack)
        await compose(app)
        if auth is None:
            auth = await standard_auth(app)
        grpc_servers = {
            listen: Server(listen, registrations, auth, app.server_options(listen))
            for listen, registrations in app.registrations.items()
        }
        read_ports = {listen: ReadPort(listen, reads, auth) for listen, reads in app.reads.items()}
        servers: list[Server | ReadPort] = [*grpc_servers.values(), *read_ports.values()]
        service = Running(grpc_servers, read_ports, settings.listen)
        supervisor = Supervisor()
        try:
            for server in servers:
                await server.start()
            log.info("bound", ports=[server.port for server in servers])
            for task, work in app.tasks:
                supervisor.start(task, work)
            watch = asyncio.create_task(_note_failure(supervisor, service))
            stack.push_async_callback(_cancelled, watch)
            await _unless_failed(supervisor, _warm(app))
            for server in servers:
                await server.serving()
            log.info("serving")
            yield service
        finally:
            await _stop(app, servers, supervisor)
    if supervisor.failure is not None:
        raise supervisor.failure


async def run(name: str, settings: S, compose: Compose[S]) -> int:
    """The service until SIGTERM or SIGINT; the exit code: 0, or 1 where a part of it died."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    this = asyncio.current_task()
    assert this is not None
    serving = False

    def on_signal() -> None:
        stop.set()
        if not serving:
            this.cancel()  # still opening or warming: nothing to drain

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    try:
        async with (
            telemetry.exporting(name, settings.outlets),
            running(name, settings, compose) as service,
        ):
            serving = True
            _settle_down()
            await _first(stop.wait(), service.failed.wait())
            log.info("stopping", reason="signal" if stop.is_set() else "failure")
    except asyncio.CancelledError:
        if not stop.is_set():
            raise
    except BackgroundFailed as failure:
        log.error("failed", error=str(failure), cause=failure.__cause__)  # noqa: TRY400
        return 1
    except (CannotListen, SettingsFault, telemetry.CannotExpose) as error:
        log.error("refused", error=str(error))  # noqa: TRY400 - no traceback for people
        return config.EXIT_BAD_SETTINGS if isinstance(error, SettingsFault) else 1
    except Exception:
        log.exception("failed")
        return 1
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
    log.info("stopped")
    return 0


def main(
    name: str,
    settings_type: type[S],
    compose: Compose[S],
    *,
    loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> NoReturn:
    """What a ``__main__`` ends with: settings, logs, the loop (of asyncio's own kind, unless
    ``loop`` makes it), the exit code."""
    settings = config.load(settings_type)
    logging.configure(fmt=settings.log_format, level=settings.log_level, service=name)
    with asyncio.Runner(loop_factory=loop) as runner:
        code = runner.run(run(name, settings, compose))
    sys.exit(code)


def _settle_down() -> None:
    """What the start has made stays until the end: a collection of garbage need not look at it
    again and again. Modules alone are 70 ms of a core, in which nobody is answered. Nor need it
    look often through all that has grown old since, such as who was active lately, which is 10 ms:
    what goes in circles is young when it goes."""
    gc.collect()
    gc.freeze()
    young, middle, full = gc.get_threshold()
    gc.set_threshold(young, middle, max(full, _FULL_SELDOM))


async def _warm(app: App[S]) -> None:
    for hook in app.warmers:
        await hook()


async def _stop(app: App[S], servers: Sequence[Server | ReadPort], supervisor: Supervisor) -> None:
    app.stopping.set()
    grace = app.settings.stop_grace_seconds
    for server in servers:
        await server.not_serving()
    for hook in app.drainers:
        try:
            async with asyncio.timeout(grace):
                await hook()
        except Exception:
            log.exception("drain_failed", hook=getattr(hook, "__qualname__", repr(hook)))
    await asyncio.gather(*(server.stop(grace) for server in servers))
    await supervisor.stop()


async def _note_failure(supervisor: Supervisor, service: Running) -> None:
    await supervisor.failed()
    service.failed.set()


async def _unless_failed(supervisor: Supervisor, work: Awaitable[None]) -> None:
    """Waits for the work; raises if a background task dies first."""
    task = asyncio.ensure_future(work)
    failed = asyncio.ensure_future(supervisor.failed())
    try:
        await asyncio.wait({task, failed}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise await failed
        await task
    finally:
        await _cancelled(task)
        await _cancelled(failed)


async def _first(*waits: Awaitable[object]) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            await _cancelled(task)


async def _cancelled(task: asyncio.Future[Any]) -> None:
    if not task.done():
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
