"""Reading, changing and importing profiles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from eros.accounts.v1 import profile_pb2
from eros_accounts import wire
from eros_accounts.domain.credentials import Email, parse_email
from eros_accounts.domain.faults import Faults
from eros_accounts.domain.profile import Profile
from eros_accounts.domain.profile_rules import ProfileDraft, check
from eros_accounts.domain.text import line_fault
from eros_accounts.ports import CachedView, Imported, Person, ProfileCache, ProfileStore
from eros_common.clocks import Clock
from eros_common.errors import NotFound
from eros_common.ids import UserId
from eros_common.shielded import Shield

_GONE: Final = "there is no such account"
_LONGEST_EXTERNAL_ID: Final = 80
_SLICE: Final = 50
"""So many are translated before other requests get a turn: half a millisecond."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class PersonDraft:
    """Somebody of another source, as they were sent."""

    external_id: str
    email: str | None
    profile: ProfileDraft


class Profiles:
    """The use cases around a profile. Views are read from the cache first."""

    def __init__(
        self, store: ProfileStore, cache: ProfileCache, clock: Clock, shield: Shield
    ) -> None:
        self._store = store
        self._cache = cache
        self._clock = clock
        self._shield = shield

    async def own(self, user_id: UserId) -> bytes:
        """The answer with the person's own profile, printed. Raises ``NotFound``."""
        return await self._view(CachedView.OWN, user_id, wire.printed_own)

    async def public(self, asking: UserId, user_id: UserId) -> bytes:
        """A ``PublicProfile``, serialized.

        Raises ``NotFound``, also for somebody whom the asking person must not see.
        """
        view = CachedView.PUBLIC
        hidden, profile = await asyncio.gather(
            self._store.is_hidden(asking, user_id),
            self._view(view, user_id, wire.serialized_public),
        )
        if hidden:
            raise NotFound(_GONE)
        return profile

    async def change(self, user_id: UserId, draft: ProfileDraft) -> profile_pb2.Profile:
        """The profile as it is stored then. Raises ``InvalidArgument`` and ``NotFound``."""
        year, faults = self._year(), Faults()
        change = check(draft, year=year, faults=faults)
        faults.refuse_if_any()
        now, night = self._clock.wall(), self._clock.night()
        left = asyncio.Event()

        async def save() -> Profile | None:
            saved = await self._store.save(user_id, change, now, night, left.is_set)
            if saved is not None:
                await self._cache.forget(user_id, saved.version)
            return saved

        try:
            saved = await self._shield.run(save())
        except asyncio.CancelledError:
            left.set()
            raise
        if saved is None:
            raise NotFound(_GONE)
        return wire.own_profile(saved, year)

    async def matching(self, user_ids: Sequence[UserId]) -> list[profile_pb2.MatchingProfile]:
        """Those that exist, in any order."""
        found = await self._store.find_many(user_ids)
        return [message async for message in _in_slices(wire.matching_profile, found)]

    async def create(self, source: str, people: Iterable[PersonDraft]) -> Imported:
        """Creates those of a source who are not there yet. Raises ``InvalidArgument``, and
        ``AlreadyExists`` where an e-mail is somebody else's; nothing is stored then."""
        year, faults = self._year(), Faults()

        def checked(item: tuple[int, PersonDraft]) -> Person:
            index, sent = item
            return _person(sent, year, faults, f"accounts[{index}].")

        checks = _in_slices(checked, enumerate(people))
        persons = [person async for person in checks]
        _refuse_twins(persons, faults)
        faults.refuse_if_any()
        return await self._store.create(source, persons, self._clock.wall(), self._clock.night())

    async def _view(
        self,
        view: CachedView,
        user_id: UserId,
        render: Callable[[Profile, int], bytes],
    ) -> bytes:
        cached = await self._cache.get(view, user_id)
        if cached is not None:
            return cached
        profile = await self._store.find(user_id)
        if profile is None:
            raise NotFound(_GONE)
        data = render(profile, self._year())
        await self._cache.fill(view, user_id, profile.version, data)
        return data

    def _year(self) -> int:
        return self._clock.night().year


def _person(sent: PersonDraft, year: int, faults: Faults, at: str) -> Person:
    fault = line_fault(sent.external_id, _LONGEST_EXTERNAL_ID)
    if fault is not None:
        faults.add(f"{at}externalId", fault)
    email: Email | None = None
    if sent.email is not None:
        email = parse_email(sent.email)
        if email is None:
            faults.add(f"{at}email", "is no e-mail address")
    change = check(sent.profile, year=year, faults=faults, at=f"{at}profile.")
    if change.name is None:
        faults.add(f"{at}profile.name", "is required")
    return Person(sent.external_id, email, change)


def _refuse_twins(people: Sequence[Person], faults: Faults) -> None:
    """One batch names nobody twice."""
    ids: set[str] = set()
    emails: set[Email] = set()
    for index, person in enumerate(people):
        if person.external_id in ids:
            faults.add(f"accounts[{index}].externalId", "is named twice")
        ids.add(person.external_id)
        if person.email is None:
            continue
        if person.email in emails:
            faults.add(f"accounts[{index}].email", "is named twice")
        emails.add(person.email)


async def _in_slices(work: Callable[[T], R], items: Iterable[T]) -> AsyncIterator[R]:
    """Does the work item by item, and lets others have a turn in between."""
    for index, item in enumerate(items, start=1):
        yield work(item)
        if index % _SLICE == 0:
            await asyncio.sleep(0)
