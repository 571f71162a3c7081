"""People as accounts knows them: whole profiles, or what is shown beside a match."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final

import grpc

from eros.accounts.v1 import accounts_pb2, accounts_pb2_grpc, profile_pb2
from eros_common.errors import from_rpc_error
from eros_common.ids import UserId, user_id_from_bytes
from eros_matcher.domain.cards import Card
from eros_matcher.features.analysis import filters_of

_AT_ONCE: Final = 250
"""Profiles a call: a quarter of a megabyte when people write much."""

Profiles = dict[UserId, profile_pb2.MatchingProfile]


class AccountsProfiles:
    """Profiles by `ListMatchingProfiles`."""

    def __init__(self, stub: accounts_pb2_grpc.AccountsServiceStub) -> None:
        self._stub = stub

    async def of(self, users: Iterable[UserId]) -> Profiles:
        """Unknown people are left out. Raises ErosError where accounts does not answer."""
        ids = [user.bytes for user in dict.fromkeys(users)]
        found: Profiles = {}
        for start in range(0, len(ids), _AT_ONCE):
            for profile in await self._some(ids[start : start + _AT_ONCE]):
                found[user_id_from_bytes(profile.user_id)] = profile
        return found

    async def _some(self, ids: Sequence[bytes]) -> list[profile_pb2.MatchingProfile]:
        request = accounts_pb2.ListMatchingProfilesRequest(user_ids=ids)
        try:
            response = await self._stub.ListMatchingProfiles(request)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and len(ids) > 1:
                # More text than one message holds.
                half = len(ids) // 2
                return [*await self._some(ids[:half]), *await self._some(ids[half:])]
            raise from_rpc_error(error) from error
        return list(response.profiles)


def card_of(profile: profile_pb2.MatchingProfile) -> Card:
    """What is shown of a profile, and its filters."""
    return Card(
        user_id=user_id_from_bytes(profile.user_id),
        name=profile.name,
        birth_year=profile.birth_year if profile.HasField("birth_year") else None,
        photos=tuple(profile.photos),
        filters=filters_of(profile),
    )


class KeptCards:
    """Cards that are asked for again and again during a night, kept for some minutes.

    Each is at most a kilobyte, unless people have many photos; the least recently used go first.
    """

    def __init__(
        self,
        profiles: Callable[[Iterable[UserId]], Awaitable[Profiles]],
        monotonic: Callable[[], float],
        *,
        kept_seconds: float = 300.0,
        most: int = 65_536,
    ) -> None:
        self._profiles = profiles
        self._monotonic = monotonic
        self._kept_seconds = kept_seconds
        self._most = most
        self._cards: OrderedDict[UserId, tuple[float, Card]] = OrderedDict()

    async def of(self, users: Iterable[UserId]) -> Mapping[UserId, Card]:
        """Unknown people are left out. Raises ErosError where accounts does not answer."""
        now = self._monotonic()
        found: dict[UserId, Card] = {}
        missing: list[UserId] = []
        for user in dict.fromkeys(users):
            kept = self._cards.get(user)
            if kept is None or kept[0] <= now:
                missing.append(user)
            else:
                self._cards.move_to_end(user)
                found[user] = kept[1]
        for user, profile in (await self._profiles(missing)).items():
            found[user] = card_of(profile)
            self._cards[user] = (now + self._kept_seconds, found[user])
            self._cards.move_to_end(user)
        while len(self._cards) > self._most:
            self._cards.popitem(last=False)
        return found
