"""A phone: speaks REST to the gateway and nothing else."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import httpx
from google.protobuf import json_format, message


class RefusedError(Exception):
    """The gateway answered with an error; the message has the status and the answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer's JSON and how many milliseconds it took from send to receive."""

    body: dict[str, Any]
    ms: float


class Phone:
    """One person's app, signed in once `register` or `log_in` has been awaited."""

    def __init__(self, http: httpx.AsyncClient, email: str, password: str) -> None:
        self._http = http
        self._email = email
        self._password = password
        self.token = ""
        self.user_id = ""

    async def register(self, name: str) -> None:
        """Creates the account; raises RefusedError, for one that exists too."""
        await self._sign_in("/auth/register", {"name": name})

    async def log_in(self) -> None:
        """Signs in again, for a fresh token."""
        await self._sign_in("/auth/login", {})

    async def save_profile(self, profile: message.Message) -> None:
        """Puts an UpdateProfileRequest as the app would."""
        await self._call("PUT", "/users/profile", json_format.MessageToDict(profile))

    async def heartbeat(self) -> Answer:
        """Says that the person is there."""
        return await self._call("POST", "/heartbeat", {"appActive": True, "screenOn": True})

    async def daily_matches(self) -> Answer:
        """What the night found."""
        return await self._call("GET", "/matches/daily")

    async def _sign_in(self, path: str, extra: dict[str, str]) -> None:
        fields = {"email": self._email, "password": self._password}
        answer = await self._call("POST", path, fields | extra)
        self.token, self.user_id = answer.body["token"], answer.body["userId"]

    async def _call(self, method: str, path: str, body: object = None) -> Answer:
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        sent = time.perf_counter()
        response = await self._http.request(method, f"/api/v1{path}", json=body, headers=headers)
        ms = (time.perf_counter() - sent) * 1000
        if response.status_code != httpx.codes.OK:
            raise RefusedError(f"{method} {path}: {response.status_code} {response.text}")
        return Answer(response.json(), ms)
