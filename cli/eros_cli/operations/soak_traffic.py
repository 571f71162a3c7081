"""People during a soak: they use the app for a while, sleep for a while, and keep account of every
write that was acknowledged."""

from __future__ import annotations

import asyncio
import re
import time
from random import Random
from typing import Any, Final

import httpx

from eros_cli.operations.soak_report import Report

_PASSWORD: Final = "a good long password"  # noqa: S105 - of invented people in a temporary mesh
_PROFILE: Final[dict[str, Any]] = {
    "age": 30,
    "photos": ["https://img.example/a.jpg"],
    "location": {"city": "Madrid", "lat": 40.42, "lon": -3.7, "timeZone": "Europe/Madrid"},
    "interests": ["hiking", "chess"],
}
#: The numbers are those of matcher.actions.
_ACTIONS: Final = {"like": 1, "skip": 2, "view": 3}
_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
#: Of the fifteen minutes for which one holds.
_TOKEN_SECONDS: Final = 600.0
#: Of so many times out of the app, who signs out.
_LEAVES_SHARE: Final = 0.2
_AWAKE_SECONDS: Final = (3.0, 12.0)
_ASLEEP_SECONDS: Final = (8.0, 40.0)


class Somebody:
    """One person with a phone."""

    def __init__(
        self, http: httpx.AsyncClient, number: int, random: Random, report: Report
    ) -> None:
        self._http = http
        self._random = random
        self._report = report
        self._number = number
        self._email = f"soak-{number}@eros.example"
        self._token = self._refresh = ""
        self._token_from = 0.0
        self._written: dict[str, str] = {}
        self._unsure: set[str] = set()
        self._asked: dict[tuple[str, Any], str] = {}
        """What was ever written, and how it was answered: to tell an older one that came back from
        a newer one that came late."""
        self.user_id = ""
        self.acted: set[tuple[str, int]] = set()
        """People and the numbers of what was said of them, as acknowledged: said again of the same
        person, on another day's match, it is no news and no row."""

    async def live(self) -> None:
        """For ever: awake, asleep, awake."""
        await self._come()
        while True:
            until = time.monotonic() + self._random.uniform(*_AWAKE_SECONDS)
            while time.monotonic() < until:
                await self._stay_signed_in()
                await self._do_something()
                await asyncio.sleep(self._random.uniform(0.2, 1.5))
            await asyncio.sleep(self._random.uniform(*_ASLEEP_SECONDS))

    async def check(self) -> None:
        """Whether what was acknowledged is there; retried until somebody answers."""
        if not self.user_id:
            return
        profile = await self._until_answered("GET", "/users/profile")
        known = profile["profile"]
        for field, value in self._written.items():
            found = known.get(field)
            if field not in self._unsure and found != value:
                when = self._asked.get((field, found), "never asked for")
                self._report.writes_lost.append(f"{field} of {self._email}: the one {when}")

    async def _come(self) -> None:
        gender, seeks = ("female", "male") if self._number % 2 else ("male", "female")
        credentials = {"email": self._email, "password": _PASSWORD, "name": "Soak"}
        while not self._token:
            answer = await self._call("POST", "/auth/register", credentials)
            if answer is not None and answer.status_code == 409:
                # Registered, though the answer was lost on the way.
                answer = await self._call("POST", "/auth/login", credentials)
            if answer is not None and answer.status_code == 200:
                self._signed_in(answer)
                self.user_id = answer.json()["userId"]
            else:
                await asyncio.sleep(0.5)
        preferences = {"genders": [seeks], "ageMin": 18, "ageMax": 60, "maxDistanceKm": 200}
        await self._until_answered(
            "PUT", "/users/profile", {**_PROFILE, "gender": gender, "preferences": preferences}
        )

    async def _do_something(self) -> None:
        match self._random.randrange(12):
            case 0 | 1 | 2 | 3:
                await self._call("POST", "/heartbeat", {"appActive": True, "screenOn": True})
            case 4 | 5:
                await self._look_and_act()
            case 6:
                await self._call("GET", "/matches/recommendations")
            case 7:
                await self._call("GET", "/activity/status")
            case 8:
                await self._call("GET", "/users/profile")
            case 9:
                await self._call("POST", "/assistant/chat", {"message": "who are my matches?"})
            case 10 if self._random.random() < _LEAVES_SHARE:
                await self._call("POST", "/auth/logout")
                await self._until_signed_in()
            case _:
                await self._write("bio", f"bio {self._random.randrange(10**9)}")

    async def _look_and_act(self) -> None:
        answer = await self._call("GET", "/matches/daily")
        if answer is None or answer.status_code != 200:
            return
        matches = answer.json()["matches"]
        if not matches:
            return
        chosen = self._random.choice(matches)
        match = chosen["matchId"]
        action = self._random.choice(list(_ACTIONS))
        done = await self._call("POST", f"/matches/{match}/action", {"action": action})
        if done is not None and done.status_code == 200:
            self._report.writes += 1
            self.acted.add((chosen["userId"], _ACTIONS[action]))

    async def _write(self, field: str, value: str) -> None:
        # Until it is acknowledged it may have happened or not, also if this ends on the way.
        self._unsure.add(field)
        self._asked[field, value] = "that was never answered"
        answer = await self._call("PUT", "/users/profile", {field: value})
        outcome = "cut" if answer is None else str(answer.status_code)
        self._asked[field, value] = f"answered {outcome} at {time.strftime('%H:%M:%S')}"
        if answer is not None and answer.status_code == 200:
            self._report.writes += 1
            self._written[field] = value
            self._unsure.discard(field)

    async def _until_answered(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        while True:
            answer = await self._call(method, path, body)
            if answer is not None and answer.status_code == 200:
                found: dict[str, Any] = answer.json()
                return found
            if answer is not None and answer.status_code == 401:
                await self._sign_in()
            await asyncio.sleep(0.5)

    async def _until_signed_in(self) -> None:
        before = self._token
        while self._token == before:
            await self._sign_in()
            if self._token == before:
                await asyncio.sleep(0.5)

    async def _sign_in(self) -> None:
        credentials = {"email": self._email, "password": _PASSWORD}
        answer = await self._call("POST", "/auth/login", credentials)
        if answer is not None and answer.status_code == 200:
            self._signed_in(answer)

    async def _stay_signed_in(self) -> None:
        """As an app does, well before a token ends. A refresh whose answer was lost has used up
        its token; then there is the password."""
        if time.monotonic() - self._token_from < _TOKEN_SECONDS:
            return
        answer = await self._call("POST", "/auth/refresh", {"refreshToken": self._refresh})
        if answer is not None and answer.status_code == 200:
            self._signed_in(answer)
        else:
            await self._sign_in()

    def _signed_in(self, answer: httpx.Response) -> None:
        self._token, self._refresh = answer.json()["token"], answer.json()["refreshToken"]
        self._token_from = time.monotonic()

    async def _call(self, method: str, path: str, body: Any = None) -> httpx.Response | None:
        headers = {"authorization": f"Bearer {self._token}"} if self._token else {}
        began = time.perf_counter()
        try:
            answer = await self._http.request(method, path, json=body, headers=headers)
        except httpx.HTTPError:
            self._report.requests["cut"] += 1
            return None
        self._report.requests[str(answer.status_code)] += 1
        if answer.status_code >= 400:
            error = answer.json().get("error", {})
            refusal = f"{answer.status_code} {error.get('code')} {method} {_ID.sub('{id}', path)}"
            self._report.refusals[refusal] += 1
            if answer.status_code in (500, 501):
                self._report.unexpected.append(f"{refusal} {error.get('requestId', '')}")
        self._report.request_ms.append((time.perf_counter() - began) * 1000)
        return answer
