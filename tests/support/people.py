"""People who use EROS over HTTP."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import httpx

_numbers = itertools.count(1)

PASSWORD = "correct horse battery"
WHOLE = {
    "name": "Ana",
    "bio": "Here for the hiking.",
    "photos": ["https://img.example/ana.jpg"],
    "age": 30,
    "location": {"city": "Madrid", "lat": 40.42, "lon": -3.7, "timeZone": "Europe/Madrid"},
    "interests": ["hiking", "chess"],
    "preferences": {"genders": ["male"], "ageMin": 20, "ageMax": 50, "maxDistanceKm": 100},
    "gender": "female",
}


@dataclass(slots=True)
class Person:
    """One signed-in person."""

    http: httpx.AsyncClient
    email: str
    user_id: str
    token: str
    refresh_token: str
    headers: dict[str, str] = field(default_factory=dict)

    async def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """A request with this person's token; `path` below /api/v1."""
        headers = {"authorization": f"Bearer {self.token}", **self.headers}
        return await self.http.request(method, path, json=body, headers=headers)

    async def get(self, path: str) -> dict[str, Any]:
        """The JSON of a GET that must succeed."""
        return succeeded(await self.call("GET", path))

    async def save(self, **fields: Any) -> dict[str, Any]:
        """Puts these profile fields; returns the stored profile."""
        answer = succeeded(await self.call("PUT", "/users/profile", fields))
        profile: dict[str, Any] = answer["profile"]
        return profile


async def sign_up(http: httpx.AsyncClient, name: str = "Ana", /, **profile: Any) -> Person:
    """Registers somebody new; with profile fields, saves them under this name."""
    email = f"person-{next(_numbers)}@eros.example"
    body = {"email": email, "password": PASSWORD, "name": name}
    answer = succeeded(await http.post("/auth/register", json=body))
    person = Person(http, email, answer["userId"], answer["token"], answer["refreshToken"])
    if profile:
        await person.save(**profile | {"name": name})
    return person


def succeeded(response: httpx.Response) -> dict[str, Any]:
    """The JSON of a 200."""
    assert response.status_code == 200, f"{response.status_code} {response.text}"
    answer: dict[str, Any] = response.json()
    return answer


def refused(response: httpx.Response, status: int, code: str, *fields: str) -> dict[str, Any]:
    """The error of a refusal, its shape, status, code and named fields being as they must."""
    assert response.status_code == status, f"{response.status_code} {response.text}"
    answer = response.json()
    assert answer.keys() == {"success", "error"}, answer
    error: dict[str, Any] = answer["error"]
    assert answer["success"] is False
    assert error.keys() - {"details"} == {"code", "message", "requestId"}, answer
    assert (error["code"], bool(error["message"])) == (code, True), answer
    assert error["requestId"] == response.headers["x-request-id"]
    named = {detail["field"] for detail in error.get("details", [])}
    assert set(fields) <= named, answer
    return error
