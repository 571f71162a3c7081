"""The whole: starts what was asked for, in order; watches it; stops it, in the opposite order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from eros_cli.mesh.addresses import choose_addresses
from eros_cli.mesh.data_dir import DataDir
from eros_cli.mesh.events import EventKind, MeshEvent, Reporter, silent
from eros_cli.mesh.faults import MeshError
from eros_cli.mesh.gateway import gateway_of, render_gateway, until_routed
from eros_cli.mesh.keeper import Keeper, start_all, stop_all
from eros_cli.mesh.keys import ensure_keys
from eros_cli.mesh.migrations import migrate
from eros_cli.mesh.options import MeshOptions, NightClock, Part
from eros_cli.mesh.plan import Plan
from eros_cli.mesh.program import Program
from eros_cli.mesh.publication import publish_environment, publish_state
from eros_cli.mesh.service import Service
from eros_cli.mesh.state import sole_supervisor
from eros_cli.mesh.stores import choose_stores
from eros_cli.mesh.temporary import temporary_data_dir

_LOGS_EVERY_SECONDS = 60.0


class Mesh:
    """`async with Mesh(MeshOptions(...)) as mesh:`; everything serves once it is entered.

    Entering raises MeshError; then, and after leaving, nothing is left running.
    """

    def __init__(self, options: MeshOptions, report: Reporter = silent) -> None:
        self.options = options
        self._report = report
        self._keepers: dict[str, Keeper] = {}
        self._stack = AsyncExitStack()
        self._plan: Plan | None = None

    @property
    def plan(self) -> Plan:
        assert self._plan is not None, "the mesh was not entered"
        return self._plan

    @property
    def data(self) -> DataDir:
        """Where it keeps what."""
        return self.plan.data

    @property
    def url(self) -> str:
        """The gateway's URL, without a path."""
        return self.plan.addresses.gateway_url

    def environment(self) -> dict[str, str]:
        """What a client needs: stores' URLs, addresses, EROS_GATEWAY_URL, the operator's keys, the
        night clock and the settings. Secrets are in it."""
        return self.plan.client_environment()

    def names(self) -> tuple[str, ...]:
        """The programs, in the order they were started."""
        return tuple(self._keepers)

    def service(self, name: str) -> Service:
        """A program as it is now. Raises KeyError for a name not in `names()`."""
        keeper = self._keepers[name]
        process = keeper.process
        pid = None if process is None or process.has_ended else process.pid
        return Service(name, pid, self.plan.listeners()[name], keeper.log)

    def pid(self, name: str) -> int:
        """The process id; to kill or freeze it. Raises MeshError while it does not run."""
        pid = self.service(name).pid
        if pid is None:
            raise MeshError(f"{name} does not run")
        return pid

    async def wait(self) -> None:
        """Waits until a program cannot be kept running, and raises that as a MeshError."""
        futures = [keeper.failed for keeper in self._keepers.values()]
        done, _ = await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
        raise next(iter(done)).result()

    async def stop(self, name: str) -> None:
        """Stops one program, until `start`."""
        await self._keepers[name].stop()

    async def start(self, name: str) -> None:
        """Starts a program that was stopped; returns when it serves, through the gateway too."""
        await self._keepers[name].start()
        await self._until_routed([name])

    async def restart(self, name: str) -> None:
        """Stops a program and starts it again; returns when it serves."""
        await self.stop(name)
        await self.start(name)

    async def kill(self, name: str) -> None:
        """Kills a program as a crash would; it is started again, see `until_serving`."""
        await self._keepers[name].kill()

    async def until_serving(self, name: str) -> None:
        """Returns when the program serves (again)."""
        await self._keepers[name].serving.wait()

    async def reconfigure(
        self, *, night: NightClock | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        """Restarts the Python services with another night clock and changed settings.

        The stores and the gateway run on. None leaves as it is.
        """
        self.plan.change(night, settings or {})
        rows = [
            [self._keepers[name] for part in row for name in self.plan.names_of(part)]
            for row in self.plan.rows()
        ]
        for row in reversed(rows):
            await stop_all(row)
        for row in rows:
            await start_all(row)
        await self._until_routed(self._keepers)
        publish_environment(self.plan)

    async def __aenter__(self) -> Self:
        try:
            await self._enter()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def _enter(self) -> None:
        data = self._open_data_dir()
        data.create()
        self._stack.enter_context(sole_supervisor(data))
        data.put_old_logs_aside()
        logs = asyncio.create_task(_keep_logs_short(data), name="keep-logs-short")
        self._stack.callback(logs.cancel)
        addresses = choose_addresses(self.options)
        stores = choose_stores(self.options, data, addresses)
        self._plan = plan = Plan(self.options, data, addresses, stores)

        await asyncio.to_thread(ensure_keys, data)
        await asyncio.to_thread(stores.prepare)
        await self._start_row([server.program for server in stores.servers()])
        if Part.POSTGRES in self.options.parts:
            await self._migrate(stores.environment()["DATABASE_URL"])
        for row in plan.rows():
            await self._start_row([maker for part in row for maker in plan.makers_of(part)])
        if Part.GATEWAY in self.options.parts:
            settings = plan.service_environment()
            await render_gateway(settings, addresses, data)
            await self._start_row([gateway_of(data, settings).program])
            await self._until_routed(self._keepers)
        publish_environment(self.plan)

    def _open_data_dir(self) -> DataDir:
        if self.options.data_dir is not None:
            return DataDir(self.options.data_dir)
        return self._stack.enter_context(temporary_data_dir())

    async def _migrate(self, database_url: str) -> None:
        applied = await migrate(database_url)
        if applied:
            message = f"applied {len(applied)} migrations"
            self._report(MeshEvent(EventKind.NOTE, "", message))

    async def _start_row(self, makers: Iterable[Callable[[], Program]]) -> None:
        """Start programs at the same time; they stop together, after all that start later."""
        keepers = [
            Keeper(
                make,
                self.data.logs,
                self._report,
                self._publish_state,
                restart=self.options.restart,
            )
            for make in makers
        ]
        self._keepers |= {keeper.name: keeper for keeper in keepers}
        self._stack.push_async_callback(stop_all, keepers)
        await start_all(keepers)

    async def _until_routed(self, names: Iterable[str]) -> None:
        if "envoy" in self._keepers and self._keepers["envoy"].serving.is_set():
            await until_routed(self.data, names)

    def _publish_state(self) -> None:
        publish_state(self.plan, self._keepers)


async def _keep_logs_short(data: DataDir) -> None:
    """For ever: a mesh that serves for months must not fill the disk."""
    while True:
        await asyncio.sleep(_LOGS_EVERY_SECONDS)
        await asyncio.to_thread(data.shorten_logs)
