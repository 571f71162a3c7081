"""How long a Valkey keeps others waiting: pings without a pause, in a process of its own.

``python -m bench._pings URL`` says "ready", pings until its input ends, then prints the longest
wait and the 99th percentile as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import redis

from bench._machine import percentile


@asynccontextmanager
async def pinging(url: str, found: dict[str, float]) -> AsyncIterator[None]:
    """Pings while the block lasts; then `found` has `max_ms` and `p99_ms`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench._pings", url),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        await process.stdout.readline()
        yield
        process.stdin.close()
        answer, _ = await process.communicate()
        found.update(json.loads(answer))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def main() -> None:
    client = redis.Redis.from_url(sys.argv[1])
    client.ping()
    print("ready", flush=True)
    waits = []
    while not select.select([sys.stdin], [], [], 0.0005)[0] or os.read(0, 1):
        started = time.perf_counter()
        client.ping()
        waits.append((time.perf_counter() - started) * 1000)
    print(json.dumps({"max_ms": max(waits), "p99_ms": percentile(waits, 0.99)}))


if __name__ == "__main__":
    main()
