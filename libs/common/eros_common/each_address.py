"""A channel to every address behind a target, for what each replica knows of itself alone.

A channel of `open_channel` goes round robin: a question put to it is answered by one of them.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import grpc.aio

from eros_common import logging

log = logging.get("addresses")

Resolve = Callable[[], Awaitable[Sequence[str]]]
_NAMED: Final = re.compile(r"(?:dns:(?:///)?)?(?P<host>[^/,]+):(?P<port>\d+)")


def resolver(target: str) -> Resolve:
    """All addresses of ``host:port`` or ``dns:///name:port``, each as a target of its own; any
    other target as it is. What it returns raises ``OSError`` for a name that is not known."""
    named = _NAMED.fullmatch(target)

    async def resolve() -> Sequence[str]:
        if named is None:
            return [target]
        found = await asyncio.get_running_loop().getaddrinfo(
            named["host"].strip("[]"), int(named["port"]), type=socket.SOCK_STREAM
        )
        hosts = {str(address[0]) for *_, address in found}
        port = named["port"]
        return sorted(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host in hosts)

    return resolve


class EachAddress:
    """The addresses are looked up anew each time: pods come and go. ``close`` it."""

    def __init__(self, resolve: Resolve, connect: Callable[[str], grpc.aio.Channel]) -> None:
        self._resolve = resolve
        self._connect = connect
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def channels(self) -> Mapping[str, grpc.aio.Channel]:
        """By address; nothing is connected before the first call. Raises ``OSError``."""
        addresses = await self._resolve()
        for gone in self._channels.keys() - set(addresses):
            await self._channels.pop(gone).close()
            log.debug("gone", address=gone)
        for address in addresses:
            if address not in self._channels:
                self._channels[address] = self._connect(address)
        return dict(self._channels)

    async def close(self) -> None:
        while self._channels:
            _, channel = self._channels.popitem()
            await channel.close()
