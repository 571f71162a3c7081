"""Ports on the loopback interface: free ones, and whether one that was asked for is free."""

from __future__ import annotations

import random
import socket

from eros_cli.mesh.faults import MeshError, PortTaken

LOOPBACK = "127.0.0.1"

# Below the range the kernel hands to outgoing connections, so that none of those takes a port
# between the moment it is found free and the moment its server binds it.
_FIRST, _LAST = 15000, 32000
_TRIES = 200


class Ports:
    """Hands out ports, none of them twice."""

    def __init__(self) -> None:
        self._taken: set[int] = set()
        self._random = random.Random()

    def free(self) -> int:
        """A port nobody listens on now."""
        for _ in range(_TRIES):
            port = self._random.randint(_FIRST, _LAST)
            if port not in self._taken and is_free(LOOPBACK, port):
                self._taken.add(port)
                return port
        raise MeshError(f"no free port found on {LOOPBACK} between {_FIRST} and {_LAST}")

    def preferred(self, port: int) -> int:
        """This port if it is free, else another."""
        if port in self._taken or not is_free(LOOPBACK, port):
            return self.free()
        self._taken.add(port)
        return port

    def required(self, address: str, variable: str) -> int:
        """The port of `host:port`, which must be free; 0 asks for any.

        Raises PortTaken and MeshError, naming the variable that holds the address.
        """
        host, port = split_address(address, variable)
        return self._require(host, port, variable, f"{host}:")

    def required_port(self, text: str, variable: str) -> int:
        """As `required`, for a variable that holds only the port."""
        if not text.isdigit() or int(text) > 65535:
            raise MeshError(f"{variable} is {text!r}, which is no port")
        return self._require(LOOPBACK, int(text), variable, "")

    def _require(self, host: str, port: int, variable: str, prefix: str) -> int:
        if port == 0:
            return self.free()
        if port in self._taken or not is_free(host, port):
            raise PortTaken(
                f"port {port} is already in use; set {variable} to another, for example "
                f"{variable}={prefix}{self.free()}"
            )
        self._taken.add(port)
        return port


def split_address(address: str, variable: str) -> tuple[str, int]:
    """Host and port of `host:port`. Raises MeshError naming the variable."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise MeshError(f"{variable} is {address!r}, which is no host:port")
    return host, int(port)


def is_free(host: str, port: int) -> bool:
    """Whether a server could bind it now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do, so that connections still closing do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), port))
            # Binding alone may succeed beside a listener that reuses addresses too.
            probe.listen(1)
        except OSError:
            return False
    return True
