from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Literal

import pytest
from argon2 import PasswordHasher

from eros_accounts.passwords import Argon2Passwords, HashCost
from eros_accounts.ports import Checked
from eros_common.errors import ResourceExhausted

CHEAP = HashCost(passes=1, memory_kib=8)


@pytest.fixture
async def passwords() -> AsyncIterator[Argon2Passwords]:
    async with Argon2Passwords.open(CHEAP, threads=1, queue=2) as opened:
        yield opened


class Gate:
    """Holds hashing threads where they are until it opens."""

    def __init__(self, passwords: Argon2Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entered: list[bytes] = []
        self._open = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        check = passwords._check

        def held(password: bytes, stored: str | None) -> Checked:
            self.entered.append(password)
            self._loop.call_soon_threadsafe(self._arrived.set)
            assert self._open.wait(10)
            return check(password, stored)

        monkeypatch.setattr(passwords, "_check", held)

    async def arrived(self) -> None:
        await self._arrived.wait()

    def open(self) -> None:
        self._open.set()


async def test_a_hash_tells_its_password_and_no_other(passwords: Argon2Passwords) -> None:
    hashed = await passwords.hash("correct horse")
    assert hashed.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert await passwords.check("correct horse", hashed) == Checked(right=True)
    assert await passwords.check("correct Horse", hashed) == Checked(right=False)
    assert hashed != await passwords.hash("correct horse"), "salted"


async def test_nobody_has_no_password(passwords: Argon2Passwords) -> None:
    # The empty password is the one that the hash of nobody is of.
    assert await passwords.check("", None) == Checked(right=False)
    assert await passwords.check("anything", None) == Checked(right=False)


async def test_nobody_costs_as_much_as_somebody(
    passwords: Argon2Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same work for both: every check is one verification against a hash of the same cost."""
    verified: list[str] = []

    class Noting(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002
            verified.append(str(hash))
            return super().verify(hash, password)

    somebody = await passwords.hash("correct horse")
    monkeypatch.setattr(passwords, "_hasher", Noting())
    await passwords.check("wrong", somebody)
    await passwords.check("wrong", None)
    assert [stored.rsplit("$", 2)[0] for stored in verified] == ["$argon2id$v=19$m=8,t=1,p=1"] * 2


async def test_an_older_cost_is_renewed(passwords: Argon2Passwords) -> None:
    async with Argon2Passwords.open(HashCost(2, 16), threads=1, queue=0) as newer:
        old = await passwords.hash("correct horse")
        checked = await newer.check("correct horse", old)
        assert checked.right
        assert checked.renewed_hash is not None
        assert checked.renewed_hash.startswith("$argon2id$v=19$m=16,t=2,p=1$")
        assert await newer.check("correct horse", checked.renewed_hash) == Checked(right=True)
        assert await newer.check("wrong", old) == Checked(right=False)


async def test_more_than_the_queue_holds_is_refused_at_once(
    passwords: Argon2Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(passwords, monkeypatch)
    waiting = [asyncio.create_task(passwords.check(f"p{i}", None)) for i in range(3)]
    await gate.arrived()
    with pytest.raises(ResourceExhausted):
        await passwords.check("one too many", None)
    with pytest.raises(ResourceExhausted):
        await passwords.hash("this too")
    gate.open()
    assert await asyncio.gather(*waiting) == [Checked(right=False)] * 3
    assert (await passwords.check("again", None)).right is False


async def test_who_stops_waiting_is_not_hashed_and_makes_room(
    passwords: Argon2Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(passwords, monkeypatch)
    running = asyncio.create_task(passwords.check("running", None))
    await gate.arrived()
    left = [asyncio.create_task(passwords.check("left", None)) for _ in range(2)]
    await asyncio.sleep(0)
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    stayed = [asyncio.create_task(passwords.check("stayed", None)) for _ in range(2)]
    gate.open()
    await asyncio.gather(running, *stayed)
    assert gate.entered == [b"running", b"stayed", b"stayed"]
