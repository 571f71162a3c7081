"""Who takes part in the demo: the people in the database, and a few with a phone of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

import httpx

from eros.scheduler.v1 import scheduler_pb2, work_pb2
from eros_cli.demo.phone import Phone, RefusedError
from eros_cli.operator import Operator
from eros_cli.population import demo
from eros_cli.population.load import Loaded, load_people, touch
from eros_cli.population.places import EUROPE, SAN_FRANCISCO_BAY, Cities
from eros_common.ids import UserId, parse_user_id

PHONES = 20
_SIGN_UPS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Cast:
    """`people`: whom the demo brought, with their time zone; `phones`: whose `app` it holds."""

    people: Mapping[UserId, str]
    phones: Mapping[UserId, str]
    app: Mapping[UserId, Phone]

    @property
    def zones(self) -> dict[UserId, str]:
        """Everybody's time zone."""
        return {**self.people, **self.phones}


async def gather_cast(
    operator: Operator,
    http: httpx.AsyncClient,
    password: str,
    count: int,
    advance: Callable[[int], None],
) -> Cast:
    """Brings the demo people if nobody is known yet or they are the ones who are; signs phones in.

    In a database of other people only those with a phone are added, as their neighbours.
    Raises RefusedError and grpc.aio.AioRpcError.
    """
    phones = [_phone(http, password, number) for number in range(PHONES)]
    ours = await _signs_in(phones[0])
    loaded, cities = Loaded(), SAN_FRANCISCO_BAY
    if ours or not await _anybody_known(operator):
        # The first phone first: by it they are known as ours, also if this is cut short.
        await _sign_up(phones[:1], EUROPE, lambda _: None)
        bulk = demo.people(count - PHONES)
        loaded, cities = await load_people(operator.accounts, demo.SOURCE, bulk, advance), EUROPE
        await touch(operator.activity, dict.fromkeys(loaded.zones))
    signed_up = await _sign_up(phones, cities, advance)
    app = {parse_user_id(phone.user_id): phone for phone in phones}
    return Cast(loaded.zones, signed_up, app)


async def _anybody_known(operator: Operator) -> bool:
    """By the database: activity knows nobody where its store is new, as beside a restored one."""
    jobs = (await operator.scheduler.ListJobs(scheduler_pb2.ListJobsRequest(limit=10))).jobs
    # Learning is nobody's.
    return any(job.kind != work_pb2.JOB_KIND_LEARN for job in jobs)


def _phone(http: httpx.AsyncClient, password: str, number: int) -> Phone:
    return Phone(http, f"demo-{number}@eros.example", password)


async def _signs_in(phone: Phone) -> bool:
    try:
        await phone.log_in()
    except RefusedError:
        return False
    return True


async def _sign_up(
    phones: list[Phone], cities: Cities, advance: Callable[[int], None]
) -> dict[UserId, str]:
    """Registers whoever is not there yet, over REST, and saves their profile."""
    # Passwords are hashed in a bounded pool; knocking on it all at once would be turned away.
    slots = asyncio.Semaphore(_SIGN_UPS_AT_ONCE)

    async def sign_up(number: int, phone: Phone) -> tuple[UserId, str]:
        async with slots:
            profile = demo.profile(Random(f"phone/{number}"), cities)
            if not await _signs_in(phone):
                await phone.register(profile.name)
                await phone.save_profile(profile)
            advance(1)
            return parse_user_id(phone.user_id), profile.location.time_zone

    return dict(await asyncio.gather(*(sign_up(n, phone) for n, phone in enumerate(phones))))
