"""Whom the demo brings, and into which database it brings nobody."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import httpx
import pytest

from eros.accounts.v1 import accounts_pb2
from eros.scheduler.v1 import scheduler_pb2, work_pb2
from eros_cli.demo.cast import PHONES, gather_cast
from eros_cli.operator import Operator


class World:
    """Accounts and job rows; activity has heard of nobody, as where its store is new."""

    def __init__(self, people: int) -> None:
        self.jobs = people
        self.ids: dict[str, str] = {}
        self.imported = 0
        self.cut_short = False

    async def ListJobs(self, request: scheduler_pb2.ListJobsRequest) -> Any:
        # Learning has a row from the first migration on.
        jobs = [scheduler_pb2.Job(kind=work_pb2.JOB_KIND_LEARN)]
        jobs += [scheduler_pb2.Job(kind=work_pb2.JOB_KIND_ANALYZE)] * self.jobs
        return scheduler_pb2.ListJobsResponse(jobs=jobs[: request.limit])

    async def ImportAccounts(self, request: accounts_pb2.ImportAccountsRequest) -> Any:
        if self.cut_short:
            raise ConnectionError
        self.imported += len(request.accounts)
        self.jobs += len(request.accounts)
        ids = [uuid4().bytes for _ in request.accounts]
        return accounts_pb2.ImportAccountsResponse(user_ids=ids, created=len(request.accounts))

    async def ListRecentlyActive(self, request: Any) -> Any:
        return SimpleNamespace(user_ids=[])

    async def Touch(self, request: Any) -> Any:
        return SimpleNamespace(woke=0)

    def answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        if request.method == "PUT":
            return httpx.Response(200, json={})
        if request.url.path.endswith("/auth/register"):
            self.ids[body["email"]] = str(uuid4())
            self.jobs += 1
        elif body["email"] not in self.ids:
            return httpx.Response(401, json={})
        return httpx.Response(200, json={"token": "t", "userId": self.ids[body["email"]]})

    async def gather(self) -> None:
        operator = cast("Operator", SimpleNamespace(accounts=self, activity=self, scheduler=self))
        transport = httpx.MockTransport(self.answer)
        async with httpx.AsyncClient(base_url="http://eros", transport=transport) as http:
            await gather_cast(operator, http, "password", 100, lambda _: None)


async def test_an_empty_database_is_given_people() -> None:
    world = World(0)
    await world.gather()
    assert (world.imported, len(world.ids)) == (100 - PHONES, PHONES)


async def test_a_restored_one_is_not_though_activity_knows_nobody() -> None:
    world = World(5)
    await world.gather()
    assert (world.imported, len(world.ids)) == (0, PHONES)


async def test_what_was_cut_short_goes_on() -> None:
    world = World(0)
    world.cut_short = True
    with pytest.raises(ConnectionError):
        await world.gather()
    assert world.jobs
    world.cut_short = False
    await world.gather()
    assert (world.imported, len(world.ids)) == (100 - PHONES, PHONES)
