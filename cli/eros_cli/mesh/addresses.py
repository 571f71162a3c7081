"""Who listens where on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eros_cli.mesh.options import MeshOptions, Part
from eros_cli.mesh.ports import LOOPBACK, Ports, split_address

# Below what the kernel hands to outgoing connections (32768 on), one of which may have a port when
# its server is started again; and below what `Ports.free` gives to others.
#: Services with a gRPC port of their own, and the port they have unless that one is taken.
SERVICE_PORTS = {
    Part.ACCOUNTS: 14051,
    Part.ACTIVITY: 14052,
    Part.SCHEDULER: 14053,
    Part.MATCHER: 14054,
    Part.ASSISTANT: 14055,
    Part.GATEWAY: 14056,
}
#: Those with a port for cached reads beside it.
READS_PORTS = {Part.ACCOUNTS: 14061, Part.MATCHER: 14064}
_ACCESS_LOG_PORT = 14062
_POSTGRES_PORT = 14320
_VALKEY_PORT = 14379
_GATEWAY = f"{LOOPBACK}:3000"

GATEWAY_VARIABLE = "EROS_GATEWAY_LISTEN"
ACCESS_LOG_VARIABLE = "EROS_ALS_LISTEN"
READS_VARIABLE = "EROS_READS_LISTEN"


@dataclass(frozen=True, slots=True)
class Addresses:
    """`host:port` of each listener; chosen once, kept over restarts."""

    services: Mapping[Part, str]
    workers: tuple[str, ...]
    reads: Mapping[Part, str]
    access_log: str
    gateway: str
    postgres_port: int
    valkey_port: int

    @property
    def gateway_url(self) -> str:
        """Where a client on this machine reaches the gateway."""
        host, port = split_address(self.gateway, GATEWAY_VARIABLE)
        return f"http://{LOOPBACK if host in ('0.0.0.0', '[::]', '::') else host}:{port}"

    def environment(self) -> dict[str, str]:
        """The settings by which services and clients find each other."""
        return (
            {address_variable(service): address for service, address in self.services.items()}
            | {reads_variable(service): address for service, address in self.reads.items()}
            | {"EROS_GATEWAY_URL": self.gateway_url}
        )


def address_variable(service: Part) -> str:
    return f"EROS_{service.value.upper()}_ADDRESS"


def reads_variable(service: Part) -> str:
    return f"EROS_{service.value.upper()}_READS_ADDRESS"


def choose_addresses(options: MeshOptions) -> Addresses:
    """Free ports for a mesh. Raises PortTaken for one that was asked for and is in use."""
    ports = Ports()
    settings = {**options.environment, **options.settings}

    def loopback(variable: str, default: int) -> str:
        if not options.fixed_ports:
            return f"{LOOPBACK}:{ports.free()}"
        if asked := settings.get(variable):
            host, _ = split_address(asked, variable)
            return f"{host}:{ports.required(asked, variable)}"
        return f"{LOOPBACK}:{ports.preferred(default)}"

    def store_port(variable: str, default: int) -> int:
        if not options.fixed_ports:
            return ports.free()
        if asked := settings.get(variable):
            return ports.required_port(asked, variable)
        return ports.preferred(default)

    def gateway() -> str:
        if not options.fixed_ports or Part.GATEWAY not in options.parts:
            return f"{LOOPBACK}:{ports.free()}"
        asked = settings.get(GATEWAY_VARIABLE) or _GATEWAY
        host, _ = split_address(asked, GATEWAY_VARIABLE)
        return f"{host}:{ports.required(asked, GATEWAY_VARIABLE)}"

    return Addresses(
        # First, because it is the one whose number matters to people.
        gateway=gateway(),
        services={
            service: loopback(address_variable(service), port)
            for service, port in SERVICE_PORTS.items()
        },
        reads={
            service: loopback(reads_variable(service), port)
            for service, port in READS_PORTS.items()
        },
        workers=tuple(f"{LOOPBACK}:{ports.free()}" for _ in range(options.worker_count())),
        access_log=loopback(ACCESS_LOG_VARIABLE, _ACCESS_LOG_PORT),
        postgres_port=store_port("EROS_POSTGRES_PORT", _POSTGRES_PORT),
        valkey_port=store_port("EROS_VALKEY_PORT", _VALKEY_PORT),
    )
