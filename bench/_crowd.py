"""People with lists in the mesh, and what they ask of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final

import asyncpg
import httpx
import jwt

from bench._load import request
from eros.accounts.v1 import accounts_pb2
from eros_cli.mesh.mesh import Mesh
from eros_cli.operator import open_operator
from eros_cli.population import demo
from eros_cli.population.load import load_people, touch
from eros_cli.population.places import City
from eros_common.ids import UserId
from eros_common.redis import Valkey
from eros_matcher.domain.lists import Source

IN_USE: Final = '{"appActive":true,"screenOn":true}'
_API: Final = "/api/v1"
_OUTSIDE_API: Final = ("/.well-known", "/openapi", "/docs", "/console")
_MADRID: Final = (City("Madrid", 40.42, -3.70, "Europe/Madrid", 1, 5.0),)
_AT_ONCE: Final = 8

Route = tuple[str, str, str | None, bool]
"""Method, path, body, whether the cache is emptied before."""


class Crowd:
    """People of one city with lists, whose tokens are signed with the mesh's own key."""

    def __init__(self, port: int, users: Sequence[UserId], tokens: Sequence[str]) -> None:
        self.port = port
        self.users = list(users)
        self._tokens = list(tokens)
        self._admin = ""
        self._day = ""

    @classmethod
    async def of(cls, mesh: Mesh, count: int, twins: Valkey) -> Crowd:
        """Everybody has asked once; the twin's Valkey holds each one's daily answer as it is."""
        drawn = (
            accounts_pb2.ImportedAccount(
                external_id=str(number), profile=demo.profile(Random(number), _MADRID)
            )
            for number in range(count)
        )
        async with open_operator(mesh.environment()) as operator:
            loaded = await load_people(operator.accounts, "bench", drawn)
            await touch(operator.activity, dict.fromkeys(loaded.zones))
        key = max(mesh.data.signing_keys.glob("*.pem"))
        users = list(loaded.zones)
        tokens = [_token(key, user) for user in users]
        crowd = cls(int(mesh.url.rsplit(":", 1)[1]), users, tokens)
        crowd._admin = _token(key, users[0], "admin")
        await crowd._warm(mesh, twins)
        return crowd

    async def _warm(self, mesh: Mesh, twins: Valkey) -> None:
        """Leaves everybody who finds anybody as a night does, and keeps only those."""
        async with httpx.AsyncClient(base_url=mesh.url + _API, trust_env=False, timeout=30) as http:
            await self._ask(http, "/matches/daily")
            # Previews are not cached: these count as the night's from here on.
            connection = await asyncpg.connect(mesh.environment()["DATABASE_URL"])
            try:
                for table in ("matches", "recommendations"):
                    await connection.execute(
                        f"UPDATE matcher.{table} SET source = {Source.MATCH}"  # noqa: S608
                    )
            finally:
                await connection.close()
            for path in ("/users/profile", "/matches/recommendations", "/matches/daily"):
                await self._ask(http, path)
            found: list[tuple[UserId, str]] = []
            answers = await self._ask(http, "/matches/daily")
            for user, token, answer in zip(self.users, self._tokens, answers, strict=True):
                told = answer.json()
                if told["source"] == "cache" and told["matches"]:
                    self._day = told["date"]
                    await twins.set(f"daily:{user}", answer.content)
                    found.append((user, token))
            if len(found) < len(self.users) / 2:
                raise AssertionError(f"only {len(found)} of {len(self.users)} have a cached list")
            self.users, self._tokens = [user for user, _ in found], [token for _, token in found]
            chat = await http.post(
                "/assistant/chat",
                json={"message": "Hello"},
                headers={"authorization": f"Bearer {self._tokens[0]}"},
            )
            self._conversation = chat.raise_for_status().json()["conversationId"]

    async def _ask(self, http: httpx.AsyncClient, path: str) -> list[httpx.Response]:
        """Everybody's answer, a few at once."""
        answers: list[httpx.Response] = []
        for start in range(0, len(self._tokens), _AT_ONCE):
            some = self._tokens[start : start + _AT_ONCE]
            headers = [{"authorization": f"Bearer {token}"} for token in some]
            answers += await asyncio.gather(*(http.get(path, headers=each) for each in headers))
        return [answer.raise_for_status() for answer in answers]

    def requests(self, port: int, method: str, path: str, body: str | None) -> list[str]:
        """One of each person; of an administrator or of the one who chatted, where it must be."""
        tokens = self._tokens
        if path in ("/health/detailed", "/activity/stats"):
            tokens = [self._admin]
        if path.startswith("/assistant/"):
            tokens = self._tokens[:1]
        whole = path if path.startswith(_OUTSIDE_API) else _API + path
        return [
            request(
                method,
                whole.format(user=other, day=self._day, conversation=self._conversation),
                port,
                token,
                body,
            )
            for token, other in zip(tokens, reversed(self.users), strict=False)
        ]

    def routes(self) -> list[Route]:
        """Every GET, the heartbeat both ways, a save, and reads that find no cache."""
        reads = (
            "/users/profile",
            "/users/{user}/profile",
            "/users/profile/export",
            "/activity/status",
            "/activity/stats",
            "/matches/daily",
            "/matches/daily/{day}",
            "/matches/recommendations",
            "/matches/mutual",
            "/assistant/conversations/{conversation}",
            "/health",
            "/health/detailed",
            "/.well-known/jwks.json",
            "/openapi.json",
            "/docs",
            "/console",
        )
        emptied = ("/users/profile", "/matches/daily", "/matches/recommendations")
        return [
            ("POST", "/heartbeat", IN_USE, False),
            ("POST", "/heartbeat", "{}", False),
            *(("GET", path, None, False) for path in reads),
            ("PUT", "/users/profile", '{"bio":"Likes long walks."}', False),
            *(("GET", path, None, True) for path in emptied),
        ]


def _token(key: Path, user: UserId, *roles: str) -> str:
    now = int(time.time())
    claims = {"iss": "eros", "aud": "eros", "sub": str(user), "sid": f"{user.int:032x}"}
    return jwt.encode(
        {**claims, "roles": list(roles), "iat": now, "exp": now + 900},
        key.read_bytes(),
        algorithm="EdDSA",
        headers={"kid": key.stem},
    )
