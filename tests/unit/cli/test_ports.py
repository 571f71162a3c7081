"""Ports: free ones are free, asked-for ones are refused by name."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from eros_cli.mesh import addresses, ports
from eros_cli.mesh.addresses import choose_addresses
from eros_cli.mesh.faults import MeshError, PortTaken
from eros_cli.mesh.options import MeshOptions, Part
from eros_cli.mesh.ports import LOOPBACK, Ports, is_free, split_address


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server((LOOPBACK, 0)) as server:
        yield server.getsockname()[1]


def fixed(**environment: str) -> MeshOptions:
    return MeshOptions(fixed_ports=True, workers=2, environment=environment)


def test_free_ports_can_be_bound_and_differ() -> None:
    ports = Ports()
    found = [ports.free() for _ in range(50)]
    assert len(set(found)) == 50
    for port in found:
        with socket.create_server((LOOPBACK, port)):
            assert not is_free(LOOPBACK, port)


def test_a_taken_port_is_refused_with_its_variable(taken_port: int) -> None:
    address = f"{LOOPBACK}:{taken_port}"
    with pytest.raises(PortTaken, match=rf"port {taken_port} .*EROS_GATEWAY_LISTEN=127\.0\.0\.1:"):
        choose_addresses(fixed(EROS_GATEWAY_LISTEN=address))
    with pytest.raises(PortTaken, match=rf"port {taken_port} .*EROS_POSTGRES_PORT=\d+$"):
        choose_addresses(
            fixed(EROS_GATEWAY_LISTEN=f"{LOOPBACK}:0", EROS_POSTGRES_PORT=str(taken_port))
        )


def test_a_taken_default_gives_way(taken_port: int) -> None:
    chosen = Ports().preferred(taken_port)
    assert chosen != taken_port
    assert is_free(LOOPBACK, chosen)


def test_no_default_can_be_an_outgoing_connections() -> None:
    """Whose server is started again must find its port free."""
    limits = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    first = min(int(limits[0]), 32768)
    defaults = {
        *addresses.SERVICE_PORTS.values(),
        *addresses.READS_PORTS.values(),
        addresses._ACCESS_LOG_PORT,
        addresses._POSTGRES_PORT,
        addresses._VALKEY_PORT,
    }
    assert len(defaults) == 6 + 2 + 3
    assert max(defaults) < min(first, ports._FIRST)


@pytest.mark.parametrize("address", ["", "3000", "localhost", "host:port", "host:70000", ":1"])
def test_what_is_no_address_is_refused_with_its_variable(address: str) -> None:
    with pytest.raises(MeshError, match="EROS_SOMETHING is "):
        split_address(address, "EROS_SOMETHING")


def test_two_settings_cannot_share_a_port() -> None:
    port = Ports().free()
    with pytest.raises(PortTaken, match="EROS_ACCOUNTS_ADDRESS"):
        choose_addresses(
            fixed(
                EROS_GATEWAY_LISTEN=f"{LOOPBACK}:{port}",
                EROS_ACCOUNTS_ADDRESS=f"{LOOPBACK}:{port}",
            )
        )


def test_a_gateway_on_all_interfaces_is_reached_on_this_machine() -> None:
    addresses = choose_addresses(fixed(EROS_GATEWAY_LISTEN="0.0.0.0:0"))
    assert addresses.gateway.startswith("0.0.0.0:")
    port = addresses.gateway.removeprefix("0.0.0.0:")
    assert addresses.gateway_url == f"http://127.0.0.1:{port}"
    assert addresses.environment()["EROS_GATEWAY_URL"] == addresses.gateway_url


def test_everybody_gets_an_address_of_their_own() -> None:
    addresses = choose_addresses(MeshOptions(workers=3, environment={}))
    listeners = [*addresses.services.values(), *addresses.workers]
    listeners += [addresses.access_log, addresses.gateway]
    assert len(set(listeners)) == len(listeners) == 6 + 3 + 2
    assert set(addresses.services) == {
        Part.ACCOUNTS,
        Part.ACTIVITY,
        Part.SCHEDULER,
        Part.MATCHER,
        Part.ASSISTANT,
        Part.GATEWAY,
    }
