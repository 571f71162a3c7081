"""Sweeps of several replicas in tiny pages, with people waking between the pages."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from itertools import pairwise
from random import Random

from eros_activity.domain.people import Interaction, Transition, TransitionKind, UserKey
from tests.ports.activity.stores import NOW, user, valkey_stores

PEOPLE = [user(i) for i in range(60)]
ROUNDS = 40


async def test_everybody_falls_asleep_and_wakes_in_turn(valkey_url: str) -> None:
    random = Random(7)
    async with valkey_stores(valkey_url, page=3, shard_count=2) as stores:
        people = stores.people
        await people.sweep(NOW)
        cursor = await stores.log.end()
        woken: list[bytes] = []
        for round_number in range(ROUNDS):
            # Everybody is seen at one of two instants, so pages end among equals.
            now = NOW + round_number * 700.0
            await people.touch(
                [Interaction(who, now - random.choice((0, 1)), 0) for who in PEOPLE], now
            )
            some = random.sample(PEOPLE, 20)

            async def wake(whom: list[UserKey], at: float) -> None:
                for who in whom:
                    woken.extend(await people.touch([Interaction(who, at, 0)], at))

            await asyncio.gather(
                people.sweep(now + 650),
                people.sweep(now + 651),
                wake(some, now + 651),
                people.sweep(now + 651),
            )
        asleep: set[bytes] = set()
        after: bytes | None = None
        while True:
            page = await people.sleepers(after, 7)
            asleep |= {sleeper.user for sleeper in page.sleepers}
            if (after := page.next) is None:
                break
        told: dict[bytes, list[Transition]] = defaultdict(list)
        for transition in await stores.since(cursor):
            told[transition.user].append(transition)
    assert set(told) == set(PEOPLE)
    for who, transitions in told.items():
        kinds = [transition.kind for transition in transitions]
        assert kinds[0] is TransitionKind.ASLEEP
        assert all(a is not b for a, b in pairwise(kinds)), kinds
        assert (kinds[-1] is TransitionKind.ASLEEP) == (who in asleep)
    # Nobody woke who was not touched to have woken.
    wakes = sum(t.kind is TransitionKind.WOKE for all_of_one in told.values() for t in all_of_one)
    assert 0 < len(woken) <= wakes
