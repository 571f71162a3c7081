"""The assistant by day: time, memory and processor of `chat` at 20 requests a second, and how often
the intent is right on phrases that it was not trained on.

The whole service over gRPC with accounts, activity, matcher, PostgreSQL and Valkey, no model. The
requests arrive at a fixed pace, whether or not earlier ones were answered. Beside it, in the same
run, an indexed read of PostgreSQL through the same loop (`database_p50_ms`): what a machine gives.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from statistics import median
from typing import Any
from uuid import uuid4

import asyncpg

from bench._machine import machine, percentile
from eros.accounts.v1 import accounts_pb2
from eros.accounts.v1.accounts_pb2_grpc import AccountsServiceStub
from eros.assistant.v1 import assistant_pb2
from eros.assistant.v1.assistant_pb2_grpc import AssistantServiceStub
from eros_assistant.assistant import load_embedded
from eros_cli.mesh.clean import clean_environment
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import MeshOptions, Part
from eros_cli.paths import CHECKOUT
from eros_common.channel import open_channel

_HELD_OUT = CHECKOUT / "tests/unit/assistant"
_PARTS = frozenset(
    {
        *(Part.POSTGRES, Part.VALKEY, Part.ACCOUNTS, Part.ACTIVITY, Part.SCHEDULER),
        *(Part.MATCHER, Part.ASSISTANT),
    }
)
_PER_SECOND = 20.0
_TICKS = os.sysconf("SC_CLK_TCK")
_WARM_UP = 40


def run(phrases: str = "", seconds: float = 0.0) -> dict[str, Any]:
    """`phrases`: a file of lines `intent<TAB>phrase`; without one, the held-out ones of the tests.

    `seconds` of load, default EROS_BENCH_SECONDS or 30.
    """
    seconds = seconds or float(os.environ.get("EROS_BENCH_SECONDS", "30"))
    files = [Path(phrases)] if phrases else sorted(_HELD_OUT.glob("held_out*.tsv"))
    labelled = [pair for file in files for pair in _read(file)]
    accuracy = _accuracy(labelled)
    return {**asyncio.run(_load([text for _, text in labelled], seconds)), **accuracy}


def _read(file: Path) -> list[tuple[str, str]]:
    found = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        intent, tab, text = line.partition("\t")
        if line.strip() and not tab:
            raise SystemExit(f"{file}:{number}: not a line intent<TAB>phrase")
        if line.strip():
            found.append((intent.strip(), text.strip()))
    if not found:
        raise SystemExit(f"{file}: no phrases in it")
    return found


def _accuracy(labelled: list[tuple[str, str]]) -> dict[str, Any]:
    """By the very code and head of the service."""
    understanding = load_embedded().understanding
    hits: dict[str, list[bool]] = {}
    for intent, text in labelled:
        hits.setdefault(intent, []).append(understanding.intent(text).intent.value == intent)
    every = [hit for some in hits.values() for hit in some]
    return {
        "intent_accuracy": round(sum(every) / len(every), 4),
        "phrases": len(every),
        "rows": [
            {"intent": intent, "phrases": len(some), "accuracy": round(sum(some) / len(some), 3)}
            for intent, some in sorted(hits.items())
        ],
    }


async def _load(texts: list[str], seconds: float) -> dict[str, Any]:
    environment = clean_environment()
    environment.pop("EROS_ASSISTANT_LLM_URL", None)
    async with (
        Mesh(MeshOptions(parts=_PARTS, environment=environment)) as mesh,
        AsyncExitStack() as s,
    ):
        address = mesh.environment()
        accounts = open_channel(address["EROS_ACCOUNTS_ADDRESS"])
        s.push_async_callback(accounts.close)
        assistant = open_channel(address["EROS_ASSISTANT_ADDRESS"])
        s.push_async_callback(assistant.close)
        admin = await asyncpg.connect(address["DATABASE_URL"])
        s.push_async_callback(admin.close)
        person = await AccountsServiceStub(accounts).Register(
            accounts_pb2.RegisterRequest(
                email="bench@eros.example", password=uuid4().hex, name="Bench"
            )
        )
        stub = AssistantServiceStub(assistant)
        metadata = (("authorization", f"Bearer {person.token}"),)
        process = mesh.pid("assistant")
        taken: list[float] = []
        database: list[float] = []

        async def one(text: str) -> None:
            begun = time.perf_counter()
            answer = await stub.Chat(assistant_pb2.ChatRequest(message=text), metadata=metadata)
            taken.append((time.perf_counter() - begun) * 1000)
            if not answer.response:
                raise AssertionError("an answer without words")

        async def peer() -> None:
            begun = time.perf_counter()
            await admin.fetchval("SELECT id FROM assistant.conversations LIMIT 1")
            database.append((time.perf_counter() - begun) * 1000)

        random = Random(1)
        for text in random.choices(texts, k=_WARM_UP):
            await one(text)
        taken.clear()
        used, first = _cpu_seconds(process), time.monotonic()
        tasks: list[asyncio.Task[None]] = []
        for number in range(int(seconds * _PER_SECOND)):
            await asyncio.sleep(max(0.0, first + number / _PER_SECOND - time.monotonic()))
            tasks.append(asyncio.create_task(one(random.choice(texts))))
            if number % 10 == 0:
                await peer()
        await asyncio.gather(*tasks)
        cpu = _cpu_seconds(process) - used
        memory = _rss_mb(process)
    about = machine("tokenizers", "numpy", "grpcio")
    return {
        "p50_ms": round(median(taken), 2),
        "p99_ms": round(percentile(taken, 0.99), 2),
        "rss_mb": round(memory, 1),
        "cpu_us_per_request": round(cpu / len(taken) * 1e6),
        "requests": len(taken),
        "database_p50_ms": round(median(database), 3),
        "machine": about["machine"],
        "versions": about["versions"],
    }


def _cpu_seconds(process: int) -> float:
    # Behind the name, which may hold spaces: utime and stime are the 12th and 13th.
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _rss_mb(process: int) -> float:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("a process without memory")
