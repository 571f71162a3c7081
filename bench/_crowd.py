"""People with lists in the mesh, and what they ask of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

import asyncpg
import httpx

from bench._load import request
from bench._phones import Tokens
from eros.accounts.v1 import accounts_pb2
from eros_cli.mesh.mesh import Mesh
from eros_cli.operator import open_operator
from eros_cli.population import demo
from eros_cli.population.load import load_people, touch
from eros_cli.population.places import City
from eros_common.ids import UserId, new_user_id
from eros_common.redis import Valkey
from eros_matcher.domain.lists import Source

IN_USE: Final = '{"appActive":true,"screenOn":true}'
_API: Final = "/api/v1"
_OUTSIDE_API: Final = ("/.well-known", "/openapi", "/docs", "/console")
_MADRID: Final = (City("Madrid", 40.42, -3.70, "Europe/Madrid", 1, 5.0),)
_AT_ONCE: Final = 8
_PASSWORD: Final = "five quiet lanterns"
_PHONES: Final = 6000
"""Of people whose heartbeats are sent: no gateway's cache of verified tokens, and no twin's, is too
small for them."""
_FEW: Final = 100
"""Of what everybody can do once only, such as leaving."""
_SLEPT: Final = timedelta(hours=5)


@dataclass(frozen=True, slots=True)
class Route:
    """What is asked, at `per_s` requests a second. `few` where everybody can do it only once,
    `many` where a promise is held to its p99, which of a hundred requests would be the slowest one.
    `emptied`: the cache's keys that are deleted before, so that nobody's answer is there when they
    ask."""

    method: str
    path: str
    body: str | None = None
    few: bool = False
    many: bool = False
    emptied: str | None = None
    per_s: float = 100.0


@dataclass(frozen=True, slots=True)
class _Person:
    user: UserId
    token: str
    match: str


class Crowd:
    """People of one city with lists, whose tokens are signed with the mesh's own key."""

    def __init__(self, mesh: Mesh, users: Sequence[UserId]) -> None:
        self.port = int(mesh.url.rsplit(":", 1)[1])
        self._tokens = Tokens(mesh)
        self._all = list(users)
        self._admin = self._tokens.of(users[0], "admin")
        self.people: list[_Person] = []
        self._beyond: set[UserId] = set()
        self._refresh: list[str] = []
        self._phones: list[str] = []
        self._day = ""
        self._conversation = ""

    @classmethod
    async def of(cls, mesh: Mesh, count: int, twins: Valkey) -> Crowd:
        """Everybody has asked once; the twin's Valkey holds each one's daily answer as it is."""
        crowd = cls(mesh, await imported(mesh, "bench", count, None))
        await crowd._warm(mesh, twins)
        return crowd

    async def _warm(self, mesh: Mesh, twins: Valkey) -> None:
        """Leaves everybody who finds anybody as a night does, and keeps only those."""
        everybody = [_Person(user, self._tokens.of(user), "") for user in self._all]
        async with httpx.AsyncClient(base_url=mesh.url + _API, trust_env=False, timeout=30) as http:
            await _ask(http, "/matches/daily", everybody)
            # Previews are not cached: these count as the night's from here on.
            connection = await asyncpg.connect(mesh.environment()["DATABASE_URL"])
            try:
                for table in ("matches", "recommendations"):
                    await connection.execute(
                        f"UPDATE matcher.{table} SET source = {Source.MATCH}"  # noqa: S608
                    )
            finally:
                await connection.close()
            await _ask(http, "/users/profile", everybody)
            beyond = await _ask(http, "/matches/recommendations", everybody)
            self._beyond = {
                person.user
                for person, answer in zip(everybody, beyond, strict=True)
                if answer.json()["recommendations"]
            }
            await _ask(http, "/matches/daily", everybody)
            answers = await _ask(http, "/matches/daily", everybody)
            for person, answer in zip(everybody, answers, strict=True):
                told = answer.json()
                if told["source"] == "cache" and told["matches"]:
                    self._day = told["date"]
                    await twins.set(f"daily:{person.user}", answer.content)
                    match = told["matches"][0]["matchId"]
                    self.people.append(_Person(person.user, person.token, match))
            if len(self.people) < len(everybody) / 2:
                raise AssertionError(
                    f"only {len(self.people)} of {len(everybody)} have a cached list"
                )
            await self._sign_up(http)
            chat = await http.post(
                "/assistant/chat",
                json={"message": "Hello"},
                headers={"authorization": f"Bearer {self.people[0].token}"},
            )
            self._conversation = chat.raise_for_status().json()["conversationId"]

    async def _sign_up(self, http: httpx.AsyncClient) -> None:
        """Some with a password and a refresh token, which only signing up gives."""
        for number in range(_FEW):
            answer = await http.post("/auth/register", json=_sign_up_form(number))
            self._refresh.append(answer.raise_for_status().json()["refreshToken"])

    @property
    def phones(self) -> Sequence[str]:
        """The tokens of many who do nothing but say that they are there."""
        if not self._phones:
            self._phones = [self._tokens.of(new_user_id()) for _ in range(_PHONES)]
        return self._phones

    def requests(self, port: int, route: Route) -> list[str]:
        """One of each person; of an administrator or of the one who chatted, where it must be."""
        path = route.path if route.path.startswith(_OUTSIDE_API) else _API + route.path
        if route.body == IN_USE:
            return [request(route.method, path, port, token, IN_USE) for token in self.phones]
        others = list(reversed(self.people))
        bodies = self._signing_in(route.path)
        if bodies:
            return [request(route.method, path, port, "", body) for body in bodies]
        people = self.people[-_FEW:] if route.few else self.people
        if route.path.startswith("/assistant/conversations/"):
            people = people[:1]
        if route.path == "/matches/recommendations":
            # In a small crowd many have nobody beyond the daily list, and so nothing to be cached.
            people = [person for person in people if person.user in self._beyond]
        if route.path in ("/health/detailed", "/activity/stats"):
            people = [_Person(people[0].user, self._admin, "")]
        if route.path == "/auth/logout":
            people = [
                _Person(p.user, self._tokens.of(p.user, session=f"{n}"), "")
                for n, p in enumerate(people)
            ]
        return [
            request(
                route.method,
                path.format(
                    user=other.user,
                    day=self._day,
                    conversation=self._conversation,
                    match=person.match,
                ),
                port,
                person.token,
                route.body,
            )
            for person, other in zip(people, others, strict=False)
        ]

    def _signing_in(self, path: str) -> list[str]:
        """What those who have no token send; nothing where a token is asked for."""
        match path:
            case "/auth/register":
                return [json.dumps(_sign_up_form(_FEW + number)) for number in range(_FEW)]
            case "/auth/login":
                return [json.dumps(_login_form(number)) for number in range(_FEW)]
            case "/auth/refresh":
                return [json.dumps({"refreshToken": token}) for token in self._refresh]
        return []


def _login_form(number: int) -> dict[str, str]:
    return {"email": f"bench{number}@example.org", "password": _PASSWORD}


def _sign_up_form(number: int) -> dict[str, str]:
    return _login_form(number) | {"name": "Ana"}


async def sleepers(mesh: Mesh, count: int, now: datetime) -> None:
    """Imports others who have slept for hours by the night clock's `now`."""
    await imported(mesh, "sleepers", count, now - _SLEPT)


ROUTES: Final = (
    Route("POST", "/heartbeat", IN_USE),
    Route("POST", "/heartbeat", "{}"),
    *(
        Route("GET", path)
        for path in (
            *("/users/profile", "/users/{user}/profile", "/users/profile/export"),
            *("/activity/status", "/activity/stats", "/matches/daily", "/matches/daily/{day}"),
            *("/matches/recommendations", "/matches/mutual"),
            *("/assistant/conversations/{conversation}", "/health", "/health/detailed"),
            *("/.well-known/jwks.json", "/openapi.json", "/docs", "/console"),
        )
    ),
    Route("PUT", "/users/profile", '{"bio":"Likes long walks."}', many=True),
    Route("GET", "/users/profile", many=True, emptied="profile:*"),
    Route("GET", "/matches/daily", many=True, emptied="matches:daily:*"),
    Route("GET", "/matches/recommendations", many=True, emptied="recommendations:*"),
    Route("POST", "/matches/{match}/action", '{"action":"like"}'),
    Route("PUT", "/users/{user}/block", few=True),
    Route("DELETE", "/users/{user}/block", few=True),
    Route("POST", "/assistant/chat", '{"message":"What could I write to my match?"}', per_s=20),
    Route("POST", "/assistant/chat/stream", '{"message":"Who are my matches?"}', per_s=20),
    Route("POST", "/assistant/ask", '{"question":"What is a good first date?"}', per_s=20),
    Route("POST", "/assistant/advice", '{"topic":"first date"}', per_s=20),
    Route("POST", "/assistant/translate", '{"text":"I like dogs","targetLanguage":"es"}', per_s=20),
    Route("POST", "/auth/register", few=True, per_s=5),
    Route("POST", "/auth/login", few=True, per_s=5),
    Route("POST", "/auth/refresh", few=True),
    Route("POST", "/auth/logout", few=True),
    Route("DELETE", "/users/profile", few=True),
)
"""Every route of the contract but the console's own, the last ones last."""


async def imported(mesh: Mesh, source: str, count: int, seen: datetime | None) -> list[UserId]:
    """New people of one city, last seen at an instant of the night clock, or now."""
    drawn = (
        accounts_pb2.ImportedAccount(
            external_id=str(number), profile=demo.profile(Random(f"{source}/{number}"), _MADRID)
        )
        for number in range(count)
    )
    async with open_operator(mesh.environment()) as operator:
        loaded = await load_people(operator.accounts, source, drawn)
        await touch(operator.activity, dict.fromkeys(loaded.zones, seen))
    return list(loaded.zones)


async def _ask(
    http: httpx.AsyncClient, path: str, people: Sequence[_Person]
) -> list[httpx.Response]:
    """Everybody's answer, a few at once."""
    answers: list[httpx.Response] = []
    for start in range(0, len(people), _AT_ONCE):
        headers = [
            {"authorization": f"Bearer {person.token}"}
            for person in people[start : start + _AT_ONCE]
        ]
        answers += await asyncio.gather(*(http.get(path, headers=each) for each in headers))
    return [answer.raise_for_status() for answer in answers]


def night_start() -> datetime:
    """When every phase may run in the zone of these people."""
    return datetime(2026, 11, 24, 4, 30, tzinfo=UTC)
