"""Reads of a cluster that share a round trip: each gets their own value, nobody is left waiting."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any, cast

import pytest
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import ConnectionError as RedisConnectionError

from eros_common.shortcut.gathering import GatheredGets


class Played:
    """A cluster that has ``value of KEY`` for every key, after some turns of the loop."""

    def __init__(self, seed: int = 1) -> None:
        self.asked: list[list[str]] = []
        self.fault: Exception | None = None
        self.gate: asyncio.Event | None = None
        self._random = Random(seed)

    async def get(self, key: str) -> bytes:
        return (await self.all_of([key]))[0]

    def pipeline(self) -> Pipeline:
        return Pipeline(self)

    async def all_of(self, keys: list[str]) -> list[bytes]:
        self.asked.append(keys)
        if self.gate is not None:
            await self.gate.wait()
            return [f"value of {key}".encode() for key in keys]
        for _ in range(self._random.randrange(4)):
            await asyncio.sleep(0)
        if self.fault is not None:
            raise self.fault
        return [f"value of {key}".encode() for key in keys]


class Pipeline:
    """Its commands, sent together."""

    def __init__(self, played: Played) -> None:
        self._played = played
        self._keys: list[str] = []

    def get(self, key: str) -> None:
        self._keys.append(key)

    async def execute(self) -> list[bytes]:
        return await self._played.all_of(self._keys)


def gathered(played: Played) -> GatheredGets:
    return GatheredGets(cast("RedisCluster", played))


async def test_whoever_asks_at_once_shares_a_round_trip() -> None:
    played = Played()
    gets = gathered(played)
    keys = [f"k{number}" for number in range(150)]
    values = await asyncio.gather(*(gets.get(key) for key in keys))
    assert values == [f"value of {key}".encode() for key in keys]
    assert [len(some) for some in played.asked] == [64, 64, 22]


@pytest.mark.parametrize("seed", range(20))
async def test_nobody_is_left_waiting(seed: int) -> None:
    gets, random = gathered(Played(seed)), Random(seed)

    async def asking(person: int) -> None:
        for number in range(30):
            key = f"{person}/{number}"
            assert await gets.get(key) == f"value of {key}".encode()
            for _ in range(random.randrange(3)):
                await asyncio.sleep(0)

    async with asyncio.timeout(20):
        await asyncio.gather(*(asking(person) for person in range(8)))


@pytest.mark.parametrize("fault", [RedisConnectionError("away"), OSError("away"), ValueError("?")])
async def test_a_fault_is_raised_where_it_was_asked_for(fault: Exception) -> None:
    played = Played()
    gets = gathered(played)
    played.fault = fault
    found: list[Any] = await asyncio.gather(
        *(gets.get(key) for key in "abc"), return_exceptions=True
    )
    assert found == [fault] * 3
    played.fault = None
    assert await gets.get("a") == b"value of a"


async def test_who_stops_waiting_holds_nobody_up() -> None:
    gets = gathered(Played())
    one, two = asyncio.ensure_future(gets.get("a")), asyncio.ensure_future(gets.get("b"))
    one.cancel()
    assert await two == b"value of b"


async def test_whoever_asks_as_the_last_ones_end_is_not_left_waiting() -> None:
    played = Played()
    gate = played.gate = asyncio.Event()
    gets = gathered(played)

    async def twice() -> bytes | None:
        await gets.get("first")
        return await gets.get("second")

    asking = asyncio.create_task(twice())
    other = asyncio.ensure_future(_until_asked(played, "first", gets, "other"))
    await _until_asked(played, "other", gets, "")
    gate.set()
    async with asyncio.timeout(20):
        assert await asking == b"value of second"
    await other


async def _until_asked(played: Played, key: str, gets: GatheredGets, then: str) -> None:
    while [key] not in played.asked:
        await asyncio.sleep(0)
    if then:
        await gets.get(then)
