"""Activity at full size: memory, counts, pages, the cleaner, and signs of life per second.

A real Valkey, and the service's own code in this process: access-log messages as a gateway sends
them, parsed, batched and applied. Everybody is awake first, which costs the most memory; then all
fall asleep in one sweep, and the cleaner forgets a fifth of them. Processor time is asked of both
processes, so that a busy machine spoils the rates per second but not the costs per touch.
`cleaner_call_ms` is that of one call of the cleaner, pings included: for so long a request may have
to wait on a machine that does nothing else; `cleaner_delay_ms` is how long one did wait.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from random import Random
from statistics import median
from typing import Any
from uuid import UUID

from envoy_als import als_pb2

from bench._machine import machine, percentile
from bench._pings import pinging
from eros_activity.als_servicer import meaning
from eros_activity.domain.people import Interaction, Rules, UserKey
from eros_activity.lookout import Lookout
from eros_activity.store_valkey import ValkeyPeople
from eros_activity.store_valkey_log import ValkeyLog
from eros_activity.touching import GATHERED_SECONDS, Touches
from eros_activity.valkey_functions import Functions
from eros_cli.mesh.clean import clean_environment
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import MeshOptions, Part
from eros_common.clocks import SystemClock
from eros_common.phases import IdleThresholds
from eros_common.redis import Valkey, open_redis

_USERS = 1_000_000
_SECONDS = 8.0
_SHARDS = 4
_RULES = Rules(IdleThresholds(), session_end=600.0, forget_after=30 * 86400.0)
_FILL_AT_ONCE = 4000
_ENTRIES_PER_MESSAGE = 100
_STREAMS = 4
_PAGE = 1000
_LOOKS = 200


@dataclass(frozen=True, slots=True)
class _Cost:
    """What touching cost: processor microseconds each, and how many a wall second."""

    per_second: float
    python_us: float
    valkey_us: float


def run() -> dict[str, Any]:
    """So many people known (EROS_BENCH_USERS); touches for so many seconds (EROS_BENCH_SECONDS)."""
    users = int(os.environ.get("EROS_BENCH_USERS", _USERS))
    return asyncio.run(_run(users, float(os.environ.get("EROS_BENCH_SECONDS", _SECONDS))))


async def _run(users: int, seconds: float) -> dict[str, Any]:
    environment = clean_environment()
    options = MeshOptions(parts=frozenset({Part.VALKEY}), environment=environment)
    async with Mesh(options) as mesh, AsyncExitStack() as stack:
        url = mesh.environment()["ACTIVITY_REDIS_URL"]
        redis = await stack.enter_async_context(open_redis(url, app="bench", timeout_seconds=30))
        waiting = await stack.enter_async_context(open_redis(url, app="bench", timeout_seconds=30))
        functions = Functions(redis)
        people = ValkeyPeople(functions, _RULES, shard_count=_SHARDS, kept_seconds=600)
        log = ValkeyLog(functions, waiting, shard_count=_SHARDS)
        random = Random(1)
        keys = [UserKey(random.randbytes(16)) for _ in range(users)]
        now = time.time()

        empty = await _memory(redis)
        await people.sweep(now)
        await _fill(people, keys, now, random)
        awake = (await _memory(redis) - empty) / users
        touching = await _touch(people, log, redis, keys, seconds)

        later = time.time() + 601
        started = time.perf_counter()
        swept = await people.sweep(later)
        sweep_s = time.perf_counter() - started
        if swept.asleep < users:
            raise AssertionError(f"{users - swept.asleep} people did not fall asleep")
        asleep = (await _memory(redis) - empty) / users
        counts = await _timed(lambda: people.counts(later))
        pages = await _pages(people)
        # Of a range of 500 s a fifth was last seen before this, thirty days later.
        waits: dict[str, float] = {}
        async with pinging(url, waits):
            await asyncio.sleep(1.0)
        quiet = dict(waits)
        before = await _calls(redis), await _valkey_seconds(redis)
        async with pinging(url, waits):
            forgotten = await people.forget(now - 400 + _RULES.forget_after)
        cleaning = await _valkey_seconds(redis) - before[1]
        call_ms = cleaning / (await _calls(redis) - before[0]) * 1000
        server = (await redis.info("server"))["valkey_version"]
    about = machine("redis", "protobuf")
    return {
        "users": users,
        "bytes_per_user": round(max(awake, asleep), 1),
        "count_ms": round(percentile(counts, 0.99), 3),
        "page_ms": round(percentile(pages, 0.99), 3),
        "touches_per_s": round(touching.per_second),
        "cleaner_delay_ms": round(waits["max_ms"], 3),
        "cleaner_call_ms": round(call_ms, 3),
        "python_cores_at_50k": round(touching.python_us * 50_000 / 1e6, 3),
        "valkey_cores_at_50k": round(touching.valkey_us * 50_000 / 1e6, 3),
        "sweep_per_s": round(users / sweep_s),
        "rows": [
            {"case": "everybody awake, a session each", "bytes_per_user": round(awake, 1)},
            {"case": "everybody asleep, with the events of it", "bytes_per_user": round(asleep, 1)},
            {"case": "counts", "p50_ms": round(median(counts), 3), "max_ms": round(max(counts), 3)},
            {"case": "page", "p50_ms": round(median(pages), 3), "max_ms": round(max(pages), 3)},
            {"case": "a ping while nothing happens", "max_ms": round(quiet["max_ms"], 3)},
            {
                "case": f"a ping while the cleaner forgets {forgotten} people",
                "p99_ms": round(waits["p99_ms"], 3),
                "max_ms": round(waits["max_ms"], 3),
            },
            {
                "case": "touch",
                "python_us": round(touching.python_us, 2),
                "valkey_us": round(touching.valkey_us, 2),
            },
        ],
        "machine": about["machine"],
        "versions": f"{about['versions']}, Valkey {server}",
    }


async def _memory(redis: Valkey) -> int:
    memory: int = (await redis.info("memory"))["used_memory"]
    return memory


async def _fill(people: ValkeyPeople, keys: list[UserKey], now: float, random: Random) -> None:
    for start in range(0, len(keys), _FILL_AT_ONCE):
        some = keys[start : start + _FILL_AT_ONCE]
        await people.touch([Interaction(k, now - random.random() * 500, now) for k in some], now)


async def _touch(
    people: ValkeyPeople, log: ValkeyLog, redis: Valkey, keys: list[UserKey], seconds: float
) -> _Cost:
    """Access-log messages of several gateway threads at once, for so many seconds."""
    clock = SystemClock()
    lookout = Lookout(log, clock, silence_seconds=2.0, heartbeat_seconds=60.0)
    touches = Touches(people, lookout, clock, gathered_seconds=GATHERED_SECONDS)
    writing = asyncio.create_task(touches.run())
    messages = _messages(keys)
    count = 0

    async def stream(number: int) -> None:
        nonlocal count
        position = number
        while time.perf_counter() < end:
            message = als_pb2.StreamAccessLogsMessage.FromString(messages[position % len(messages)])
            position += _STREAMS
            interactions, _ = meaning(message, clock)
            await asyncio.shield(touches.submit(interactions))
            count += len(interactions)

    valkey, python, started = await _valkey_seconds(redis), time.process_time(), time.perf_counter()
    end = started + seconds
    await asyncio.gather(*(stream(number) for number in range(_STREAMS)))
    took = time.perf_counter() - started
    python = time.process_time() - python
    valkey = await _valkey_seconds(redis) - valkey
    writing.cancel()
    await asyncio.wait({writing})
    return _Cost(count / took, python / count * 1e6, valkey / count * 1e6)


def _messages(keys: list[UserKey]) -> list[bytes]:
    """Made beforehand. The arrival is absent, so it counts as now."""
    random = Random(2)
    made = []
    number = 0
    for _ in range(1000):
        message = als_pb2.StreamAccessLogsMessage()
        for _ in range(_ENTRIES_PER_MESSAGE):
            number += 1
            entry = message.http_logs.log_entry.add()
            entry.common_properties.metadata.filter_metadata["eros"].update(
                {
                    "user": str(UUID(bytes=random.choice(keys))),
                    "boot": "3a41c7f0-812-55211",
                    "worker": "9f3c51d2aa01b7e4",
                    "seq": number,
                }
            )
        made.append(message.SerializeToString())
    return made


async def _valkey_seconds(redis: Valkey) -> float:
    used = await redis.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


async def _calls(redis: Valkey) -> int:
    """How many functions were called."""
    stats = await redis.info("commandstats")
    called: int = stats.get("cmdstat_fcall", {}).get("calls", 0)
    return called


async def _timed(ask: Callable[[], Awaitable[object]]) -> list[float]:
    """Milliseconds of each of many."""
    taken = []
    for _ in range(_LOOKS):
        started = time.perf_counter()
        await ask()
        taken.append((time.perf_counter() - started) * 1000)
    return taken


async def _pages(people: ValkeyPeople) -> list[float]:
    """Milliseconds of each page, through as much of the sleepers as that takes."""
    after: bytes | None = None

    async def page() -> None:
        nonlocal after
        after = (await people.sleepers(after, _PAGE)).next

    return await _timed(page)
