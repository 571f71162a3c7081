"""What will run and with which environment, once directory, ports and stores are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from eros_cli.mesh.addresses import SERVICE_PORTS, Addresses
from eros_cli.mesh.data_dir import DataDir
from eros_cli.mesh.keys import key_environment
from eros_cli.mesh.options import MeshOptions, NightClock, Part
from eros_cli.mesh.ports import LOOPBACK
from eros_cli.mesh.program import Program
from eros_cli.mesh.services import START_ORDER, inherited, service_name, service_program
from eros_cli.mesh.stores import Stores


class Plan:
    """The night clock and the settings may change while the mesh runs; the rest may not."""

    def __init__(
        self, options: MeshOptions, data: DataDir, addresses: Addresses, stores: Stores
    ) -> None:
        self.options = options
        self.data = data
        self.addresses = addresses
        self.stores = stores
        self._night = options.night
        self._settings = dict(options.settings)

    def change(self, night: NightClock | None, settings: Mapping[str, str]) -> None:
        """Seen by whatever is started from now on."""
        self._night = night or self._night
        self._settings |= settings

    def rows(self) -> list[list[Part]]:
        """The Python services that were asked for, in the order they start."""
        return [[part for part in row if part in self.options.parts] for row in START_ORDER]

    def names_of(self, part: Part) -> list[str]:
        """The programs of a service."""
        count = len(self.addresses.workers) if part is Part.WORKER else 1
        return [service_name(part, number) for number in range(count)]

    def makers_of(self, part: Part) -> list[Callable[[], Program]]:
        """One maker a program; asked at every start, so that changed settings are seen."""

        def maker(number: int) -> Callable[[], Program]:
            return lambda: service_program(
                part, number, self.service_environment(), self.addresses, self.data
            )

        return [maker(number) for number, _ in enumerate(self.names_of(part))]

    def service_environment(self) -> dict[str, str]:
        """The variables that all services share."""
        return {**inherited(self.options.environment), **self._own_settings()}

    def client_environment(self) -> dict[str, str]:
        """What a client needs to reach everything as the operator. Secrets are in it."""
        return {
            **self._own_settings(),
            **self.addresses.environment(),
            **key_environment(self.data, "operator"),
        }

    def listeners(self) -> dict[str, str]:
        """`host:port` by program."""
        addresses = self.addresses
        workers = dict(zip(self.names_of(Part.WORKER), addresses.workers, strict=True))
        return {
            "postgres": f"{LOOPBACK}:{addresses.postgres_port}",
            "valkey": f"{LOOPBACK}:{addresses.valkey_port}",
            **{part.value: addresses.services[part] for part in SERVICE_PORTS},
            **workers,
            "envoy": addresses.gateway,
        }

    def _own_settings(self) -> dict[str, str]:
        night = self._night.environment() if self._night else {}
        return {**self.stores.environment(), **self._settings, **night}
