"""Looks at a deployment from outside, as a phone would, and says what is wrong and what to do."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_SLOW_MS: Final = 50.0
_SKEW_SECONDS: Final = 5.0


class Verdict(StrEnum):
    GOOD = "good"
    ODD = "odd"
    """It works, and is not as it should be."""
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what was seen, and what to do about it."""

    what: str
    verdict: Verdict
    seen: str
    remedy: str = ""


Look = Callable[[], Awaitable[Finding | list[Finding]]]


class Doctor:
    """Asks the gateway at `http.base_url`; with an admin's token also how the night goes."""

    def __init__(self, http: httpx.AsyncClient, admin_token: str = "") -> None:
        self._http = http
        self._token = admin_token

    async def examine(self) -> list[Finding]:
        """Every finding, in the order one would look."""
        try:
            findings = await self._health()
        except httpx.HTTPError as error:
            return [
                Finding(
                    "gateway",
                    Verdict.WRONG,
                    f"does not answer: {str(error) or type(error).__name__}",
                    "Is the address right, the load balancer's target healthy, Envoy running? "
                    "Envoy opens its port once accounts has given it the signing keys.",
                )
            ]
        looks: list[Look] = [
            *(self._transport, self._clock, self._speed, self._keys),
            *(self._refuses_strangers, self._refuses_disguise, self._hides_services),
            *(self._one_error_shape, self._wrong_method, self._console),
        ]
        for look in looks:
            findings += await _looked(look)
        if self._token:
            findings += await _looked(self._night)
        return findings

    async def _health(self) -> list[Finding]:
        answer = await self._http.get("/health")
        try:
            health: dict[str, Any] = answer.json()
            components: dict[str, str] = health["components"]
        except (ValueError, KeyError, TypeError):
            return [
                Finding(
                    "health",
                    Verdict.WRONG,
                    f"/health answers {answer.status_code} and no health",
                    "Is this EROS's gateway? The gateway's own service (front) may be down.",
                )
            ]
        verdicts = {"ok": Verdict.GOOD, "degraded": Verdict.ODD}
        return [
            Finding(
                f"part {name}",
                verdicts.get(state, Verdict.WRONG),
                state,
                "" if state == "ok" else "docs/runbooks/component-unhealthy.md",
            )
            for name, state in sorted(components.items())
        ]

    async def _transport(self) -> Finding:
        url = urlsplit(str(self._http.base_url))
        if url.scheme == "https" or url.hostname in _LOOPBACK:
            return Finding("transport", Verdict.GOOD, url.scheme)
        return Finding(
            "transport", Verdict.ODD, "plain HTTP: tokens travel in the open", "Put TLS in front."
        )

    async def _clock(self) -> Finding:
        answer = await self._http.get("/health")
        skew = abs(parsedate_to_datetime(answer.headers["date"]).timestamp() - time.time())
        if skew <= _SKEW_SECONDS:
            return Finding("clock", Verdict.GOOD, f"{skew:.0f} s from this machine's")
        return Finding(
            "clock",
            Verdict.WRONG,
            f"{skew:.0f} s from this machine's",
            "Synchronize the nodes (NTP): tokens, leases and halts go by the clock.",
        )

    async def _speed(self) -> Finding:
        took = []
        for _ in range(7):
            began = time.perf_counter()
            await self._http.get("/health")
            took.append((time.perf_counter() - began) * 1000)
        median = statistics.median(took)
        verdict = Verdict.GOOD if median <= _SLOW_MS else Verdict.ODD
        remedy = "" if verdict is Verdict.GOOD else "How far is the gateway? Is Envoy's node full?"
        return Finding("speed", verdict, f"/health in {median:.0f} ms (median of 7)", remedy)

    async def _keys(self) -> Finding:
        answer = await self._http.get("/.well-known/jwks.json")
        keys = answer.json().get("keys", []) if answer.status_code == 200 else []
        if keys:
            return Finding("signing keys", Verdict.GOOD, f"{len(keys)} published")
        return Finding(
            "signing keys",
            Verdict.WRONG,
            f"none published ({answer.status_code})",
            "Nobody's token can be verified: is accounts up, is eros-signing-keys mounted?",
        )

    async def _refuses_strangers(self) -> Finding:
        answer = await self._http.get("/api/v1/users/profile")
        return _expected("strangers are refused", answer, 401, "The JWT filter does not work.")

    async def _refuses_disguise(self) -> Finding:
        disguise = {"x-eros-user": "00000000-0000-7000-8000-000000000001", "x-user-id": "1"}
        answer = await self._http.get("/api/v1/users/profile", headers=disguise)
        return _expected("a header is no identity", answer, 401, "Something trusts a header.")

    async def _hides_services(self) -> Finding:
        path = "/eros.scheduler.v1.SchedulerService/GetOverview"
        answer = await self._http.post(path, headers={"content-type": "application/grpc"})
        # A gRPC refusal may come with HTTP 200 and its code in a header.
        refused = answer.status_code >= 400 or answer.headers.get("grpc-status", "0") != "0"
        verdict = Verdict.GOOD if refused else Verdict.WRONG
        remedy = "" if refused else "Internal methods are reachable: is this Envoy's port?"
        seen = f"{answer.status_code}, grpc-status {answer.headers.get('grpc-status', '–')}"
        return Finding("inner services are hidden", verdict, seen, remedy)

    async def _one_error_shape(self) -> Finding:
        answer = await self._http.get("/api/v1/no/such/path")
        try:
            error = answer.json()["error"]
            well = answer.status_code == 404 and {"code", "message", "requestId"} <= error.keys()
        except (ValueError, KeyError, TypeError):
            well = False
        return Finding(
            "errors have one shape",
            Verdict.GOOD if well else Verdict.WRONG,
            f"an unknown path: {answer.status_code}",
            "" if well else "A proxy in front answers in Envoy's place.",
        )

    async def _wrong_method(self) -> Finding:
        answer = await self._http.get("/api/v1/heartbeat")
        return _expected("a wrong method is named", answer, 405, "A proxy changes answers.")

    async def _console(self) -> Finding:
        answer = await self._http.get("/console")
        guarded = "frame-ancestors 'none'" in answer.headers.get("content-security-policy", "")
        events = await self._http.get("/console/events")
        well = answer.status_code == 200 and guarded and events.status_code == 401
        return Finding(
            "console",
            Verdict.GOOD if well else Verdict.ODD,
            f"page {answer.status_code}, events without a session {events.status_code}",
            "" if well else "Are headers stripped on the way?",
        )

    async def _night(self) -> list[Finding]:
        headers = {"authorization": f"Bearer {self._token}"}
        answer = await self._http.get("/api/v1/health/detailed", headers=headers)
        if answer.status_code in (401, 403):
            return [
                Finding(
                    "night",
                    Verdict.WRONG,
                    f"the admin's token is refused ({answer.status_code})",
                    "A token lasts 15 minutes; ./eros admin grant E-MAIL, then sign in again.",
                )
            ]
        night = answer.json().get("scheduler") or {}
        jobs = night.get("kinds", [])
        ready = sum(kind.get("ready", 0) for kind in jobs)
        dead = sum(kind.get("dead", 0) for kind in jobs)
        workers = answer.json().get("metrics", {}).get("workers", 0)
        paused = night.get("pauseReason", "")
        # The gateway knows for how long jobs have waited; a pool begins with none.
        pool = answer.json().get("components", {}).get("workers", {})
        ill = pool.get("status") != "ok" and not paused
        return [
            Finding(
                "watching",
                Verdict.ODD if paused else Verdict.GOOD,
                paused or "who sleeps is known",
                "docs/runbooks/paused.md" if paused else "",
            ),
            Finding(
                "workers",
                Verdict.WRONG if ill else Verdict.GOOD,
                pool.get("message") or f"{workers} connected, {ready} jobs ready",
                "docs/runbooks/no-workers.md" if ill else "",
            ),
            Finding(
                "given up",
                Verdict.ODD if dead else Verdict.GOOD,
                f"{dead} jobs",
                "docs/runbooks/dead-letters.md" if dead else "",
            ),
        ]


async def _looked(look: Look) -> list[Finding]:
    """What was found. Where the answer cannot be read, or there is none, that is what was found."""
    try:
        found = await look()
    except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = look.__name__.strip("_").replace("_", " ")
        remedy = "Does something in front of Envoy answer in its place, or change its answers?"
        return [Finding(what, Verdict.WRONG, f"cannot be told: {error!r}", remedy)]
    return found if isinstance(found, list) else [found]


def _expected(what: str, answer: httpx.Response, status: int, remedy: str) -> Finding:
    well = answer.status_code == status
    verdict = Verdict.GOOD if well else Verdict.WRONG
    return Finding(what, verdict, f"{answer.status_code}", "" if well else remedy)
