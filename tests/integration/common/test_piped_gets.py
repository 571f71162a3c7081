"""Values of a Valkey server by one connection: each gets theirs, whatever happens to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
import uvloop
from redis.asyncio import Redis
from redis.exceptions import ReadOnlyError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from eros_common.redis import open_redis
from eros_common.shortcut.gathering import GatheredGets, gets_of
from eros_common.shortcut.piped import PipedGets
from tests.integration.activity.network import Network, network_to
from tests.integration.activity.own_valkey import own_valkey
from tests.support.certificates import Pair
from tests.support.tls_front import tls_front

#: Longer than one piece that a socket is read in.
LONG = bytes(range(256)) * 4096


@asynccontextmanager
async def opened(url: str, **settings: Any) -> AsyncIterator[tuple[Redis, PipedGets]]:
    async with open_redis(url, app="test", retries=0, **settings) as redis:
        gets = gets_of(redis)
        assert isinstance(gets, PipedGets)
        yield cast("Redis", redis), gets


@asynccontextmanager
async def by_network(url: str, seconds: float) -> AsyncIterator[tuple[Network, PipedGets]]:
    where = urlsplit(url).netloc.rpartition("@")[2]
    async with (
        network_to(where) as network,
        opened(url.replace(where, network.address), timeout_seconds=seconds) as (_, gets),
    ):
        yield network, gets


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
async def test_each_gets_their_own_on_either_loop(
    valkey_url: str, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    await asyncio.to_thread(_on, loop, valkey_url)


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
async def test_each_gets_their_own_by_tls(
    valkey_url: str, tmp_path: Path, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    pair, where = Pair.fresh(), urlsplit(valkey_url)
    (ca := tmp_path / "ca.crt").write_bytes(pair.certificate)
    async with tls_front(valkey_url, pair, tmp_path, postgres=False) as port:
        url = f"rediss://:{where.password}@localhost:{port}{where.path}?ssl_ca_certs={ca}"
        await asyncio.to_thread(_on, loop, url)


def _on(loop: Callable[[], asyncio.AbstractEventLoop], url: str) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(_each_gets_their_own(url))


async def _each_gets_their_own(url: str) -> None:
    values = {f"k{number}": b"\r\n$-1\r\n%d" % number for number in range(200)}
    values |= {"empty": b"", "long": LONG, "ключ": b"a key that is no ASCII"}
    async with opened(url) as (redis, gets):
        await redis.mset(values)
        for _ in range(3):
            keys = [*values, "none", *values]
            found = await asyncio.gather(*(gets.get(key) for key in keys))
            assert found == [values.get(key) for key in keys]
            assert await gets.get("none") is None
        # One connection for all of them.
        names = [each["name"] for each in await redis.client_list()]
        assert names.count("eros-test") == 2


async def test_another_database(valkey_url: str) -> None:
    url = f"{valkey_url.rpartition('/')[0]}/1"
    async with opened(url) as (redis, gets), opened(valkey_url) as (_, others):
        await redis.set("only there", b"1")
        assert await gets.get("only there") == b"1"
        assert await others.get("only there") is None
        await redis.delete("only there")


async def test_a_server_that_is_no_longer_the_primary_is_left(
    tmp_path: Path, valkey_url: str
) -> None:
    async with own_valkey(tmp_path, durable=False) as own, opened(own.url) as (redis, gets):
        await redis.set("k", b"old")
        assert await gets.get("k") == b"old"
        host, port = urlsplit(valkey_url).netloc.rpartition("@")[2].split(":")
        await redis.replicaof(host, port)
        assert gets._replies is not None
        gets._replies.primary_at = float("-inf")
        for _ in range(2):  # by this connection, and by the next one
            with pytest.raises(ReadOnlyError):
                await gets.get("k")
        await cast("Any", redis.replicaof("no", "one"))
        assert await gets.get("k") == b"old"


async def test_a_refused_one_is_refused_alone(valkey_url: str) -> None:
    async with opened(valkey_url) as (redis, gets):
        await redis.set("k", b"v")
        await cast("Any", redis.lpush("list", "x"))
        found = await asyncio.gather(
            gets.get("k"), gets.get("list"), gets.get("k"), return_exceptions=True
        )
        assert (found[0], found[2]) == (b"v", b"v")
        assert isinstance(found[1], ResponseError)
        assert "WRONGTYPE" in str(found[1])


async def test_who_stops_waiting_leaves_the_others_theirs(valkey_url: str) -> None:
    async with opened(valkey_url) as (redis, gets):
        await redis.mset({"a": b"1", "b": b"2"})
        for _ in range(2):
            one, two = asyncio.ensure_future(gets.get("a")), asyncio.ensure_future(gets.get("b"))
            one.cancel()
            assert await two == b"2"


async def test_a_server_that_is_away_is_a_fault_for_each_until_it_is_back(valkey_url: str) -> None:
    async with opened("redis://127.0.0.1:1/0") as (_, gets):
        found = await asyncio.gather(*(gets.get(key) for key in "abc"), return_exceptions=True)
        assert all(isinstance(each, RedisError) for each in found)
    async with opened(valkey_url) as (redis, gets):
        for _ in range(3):
            assert await gets.get("k") is None
            own = [each for each in await redis.client_list() if each["name"] == "eros-test"]
            for client in own:
                # Its own last: it is told of it.
                await redis.client_kill_filter(_id=client["id"], skipme=True)
            await _until_answered(gets)


async def _until_answered(gets: PipedGets) -> None:
    """A connection that was closed under it is at most one fault."""
    async with asyncio.timeout(10):
        while True:
            try:
                assert await gets.get("k") is None
            except RedisError:
                continue
            return


async def test_who_is_never_answered_hears_it_in_time_and_the_next_one_asks_anew(
    valkey_url: str,
) -> None:
    async with by_network(valkey_url, 1.0) as (network, gets):
        assert await gets.get("k") is None
        network.dark = True
        found = await asyncio.gather(gets.get("a"), gets.get("b"), return_exceptions=True)
        assert all(isinstance(each, RedisTimeoutError) for each in found)
        network.dark = False
        assert await gets.get("k") is None


@pytest.mark.parametrize("said", [b"+OK\r\n", b"*1\r\n$1\r\na\r\n", b"$1\r\na\r\n$1\r\nb\r\n"])
async def test_what_is_no_answer_ends_the_connection(valkey_url: str, said: bytes) -> None:
    async with opened(valkey_url) as (_, gets):
        assert await gets.get("k") is None
        asking = asyncio.ensure_future(gets.get("k"))
        await asyncio.sleep(0)  # it is sent
        assert gets._replies is not None
        gets._replies.data_received(said)
        if said.startswith(b"$"):
            assert await asking == b"a"
        else:
            with pytest.raises(RedisError):
                await asking
        assert gets._replies.ended
        assert await gets.get("k") is None


async def test_a_cluster_is_asked_by_its_client(valkey_cluster_url: str) -> None:
    async with open_redis(valkey_cluster_url, app="test") as redis:
        gets = gets_of(redis)
        assert isinstance(gets, GatheredGets)
        await redis.set("a", b"1")
        await redis.set("b", b"2")
        assert await asyncio.gather(*map(gets.get, "abc")) == [b"1", b"2", None]
