"""Valkey's functions and the ledger in memory agree, whatever happens in whatever order."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from eros_activity.domain.cursor import Cursor
from eros_activity.domain.people import Interaction, Rules, Transition, UserKey
from eros_activity.ports import Swept
from eros_common.phases import IdleThresholds
from tests.ports.activity.stores import NOW, Stores, memory_stores, user, valkey_stores
from tests.support.stores import empty_valkey

#: Small and coarse numbers, so that people stand at the same instant, on the mark, and behind it.
UNIT = 10.0
PEOPLE = [user(i) for i in range(9)]
#: A session may end before or after falling asleep.
RULES = [
    Rules(IdleThresholds(30, 60, 90), session_end=end, forget_after=150) for end in (30, 20, 50)
]
steps = st.integers(0, 8).map(lambda n: n * UNIT)
touches = st.lists(st.tuples(st.sampled_from(PEOPLE), steps), min_size=1, max_size=8)


def agreement(url: str) -> type[RuleBasedStateMachine]:
    class Agreement(RuleBasedStateMachine):
        @initialize(rules=st.sampled_from(RULES), shards=st.sampled_from([1, 2]))
        def begin(self, rules: Rules, shards: int) -> None:
            self.runner = asyncio.Runner()
            self.now = NOW
            self.limits = rules
            self.runner.run(self._begin(shards))

        async def _begin(self, shards: int) -> None:
            await empty_valkey(url)
            self.stack = AsyncExitStack()
            real = valkey_stores(url, self.limits, shard_count=shards, page=3)
            self.both: tuple[Stores, Stores] = (
                await self.stack.enter_async_context(real),
                memory_stores(self.limits),
            )
            for stores in self.both:
                await stores.people.sweep(self.now)
            self.cursors = [await stores.log.end() for stores in self.both]

        def teardown(self) -> None:
            if hasattr(self, "runner"):
                self.runner.run(self.stack.aclose())
                self.runner.close()

        @rule(seconds=steps)
        def time_passes(self, seconds: float) -> None:
            self.now += seconds

        @rule(batch=touches)
        def people_are_seen(self, batch: list[tuple[UserKey, float]]) -> None:
            interactions = [Interaction(who, self.now - ago, ago) for who, ago in batch]

            async def touch(stores: Stores) -> object:
                return await stores.people.touch(interactions, self.now)

            self._same(touch)

        @rule()
        def sweeps(self, *, starting: bool = False) -> None:
            async def sweep(stores: Stores) -> object:
                swept: Swept = await stores.people.sweep(self.now, starting=starting)
                return swept.asleep, swept.continuity

            self._same(sweep)

        @rule()
        def cleans(self) -> None:
            async def forget(stores: Stores) -> object:
                return await stores.people.forget(self.now)

            self._same(forget)

        @rule(seconds=steps, starting=st.booleans())
        def clock_is_set_back(self, seconds: float, starting: bool) -> None:
            self.now -= seconds
            before = [cursor.epoch for cursor in self.cursors]
            self.sweeps(starting=starting)

            async def ends() -> list[Cursor]:
                return [await stores.log.end() for stores in self.both]

            after = self.runner.run(ends())
            changed = [b != a.epoch for b, a in zip(before, after, strict=True)]
            assert changed[0] == changed[1]
            self.cursors = after

        @invariant()
        def state_is_the_same(self) -> None:
            async def state(stores: Stores) -> object:
                people = stores.people
                sleepers: list[Transition] = []
                page = await people.sleepers(None, 2)
                sleepers += page.sleepers
                while page.next is not None:
                    page = await people.sleepers(page.next, 2)
                    sleepers += page.sleepers
                newest = await people.recent(20)
                seen = {who: await people.find(who) for who in PEOPLE}
                order = [found.last_seen for who in newest if (found := seen[who]) is not None]
                assert order == sorted(order, reverse=True)
                return seen, sorted(sleepers, key=repr), await people.counts(self.now)

            self._same(state)

        def _same(self, ask: object) -> None:
            async def answers() -> list[object]:
                return [
                    (await ask(stores), await self._events(i))  # type: ignore[operator]
                    for i, stores in enumerate(self.both)
                ]

            real, memory = self.runner.run(answers())
            assert real == memory

        async def _events(self, which: int) -> dict[UserKey, list[Transition]]:
            """What happened since the last look, by person, in order."""
            stores, cursor = self.both[which], self.cursors[which]
            if cursor.epoch != (await stores.log.end()).epoch:
                return {}  # the clock was set back: everybody begins anew
            events: dict[UserKey, list[Transition]] = {}
            while entries := await stores.log.read(cursor, 100):
                for entry in entries:
                    cursor = cursor.advanced(entry.stream, entry.id)
                    for transition in entry.transitions:
                        events.setdefault(transition.user, []).append(transition)
            self.cursors[which] = cursor
            return events

    return Agreement


def test_valkey_and_memory_agree(valkey_url: str) -> None:
    run_state_machine_as_test(
        agreement(valkey_url),
        settings=settings(
            max_examples=60,
            stateful_step_count=30,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
