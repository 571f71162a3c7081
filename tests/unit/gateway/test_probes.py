"""Whatever PostgreSQL's connection raises, the part is down and the next probe asks anew."""

from __future__ import annotations

import asyncpg
import pytest

from eros_gateway.front.ports import PartDown
from eros_gateway.front.probes import PostgresProbe


class Connection:
    """Raises `fault`, if there is one, until it is terminated."""

    def __init__(self, fault: Exception | None) -> None:
        self._fault = fault
        self.ended = False

    def is_closed(self) -> bool:
        return self.ended

    def terminate(self) -> None:
        self.ended = True

    async def execute(self, statement: str) -> None:
        if self._fault is not None:
            raise self._fault


@pytest.mark.parametrize(
    "fault",
    [
        # Of a connection that the server ended between two probes.
        asyncpg.InternalClientError("got result for unknown protocol state 3"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.InsufficientPrivilegeError("permission denied"),
        ConnectionResetError("reset"),
        TimeoutError(),
    ],
    ids=lambda fault: type(fault).__name__,
)
async def test_a_broken_connection_is_a_part_that_is_down(
    fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Connection(fault), Connection(None)
    made = iter((first, second))

    async def connect(*_: object, **__: object) -> Connection:
        return next(made)

    monkeypatch.setattr(asyncpg, "connect", connect)
    probe = PostgresProbe("postgres://x", 1.0)
    with pytest.raises(PartDown):
        await probe()
    assert first.ended
    await probe()
    assert not second.ended
