"""What a pool waits for while a service starts, and what it does not."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from eros_common import postgres


class Pool:
    def __init__(self) -> None:
        self.closed = False

    async def close(self) -> None:
        self.closed = True


def answering(monkeypatch: pytest.MonkeyPatch, *answers: Pool | Exception) -> None:
    """Whoever asks for a pool gets these, one after the other."""
    left = iter(answers)

    async def create_pool(*_: Any, **__: Any) -> Pool:
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(asyncpg, "create_pool", create_pool)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(),
        asyncpg.CannotConnectNowError("the database system is starting up"),
        # Of claims' connections, whose statements may take no longer than 250 ms.
        asyncpg.QueryCanceledError("canceling statement due to statement timeout"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_server_that_is_not_there_yet_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    pool = Pool()
    answering(monkeypatch, error, pool)
    async with postgres.open_pool("postgresql://localhost/eros", app="test") as opened:
        found: object = opened
        assert found is pool
    assert pool.closed


async def test_a_server_that_refuses_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, asyncpg.InvalidPasswordError("password authentication failed"))
    with pytest.raises(postgres.DatabaseUnreachable, match="refused: password"):
        async with postgres.open_pool("postgresql://localhost/eros", app="test"):
            raise AssertionError("there is no pool")
