"""Mutual likes and blocks: what a person may ask of them."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp

from eros.matcher.v1 import matcher_pb2 as pb
from eros_common.clocks import Clock
from eros_common.errors import FieldFault, InvalidArgument, NotFound
from eros_common.ids import UserId
from eros_matcher.accounts import AccountsProfiles, card_of
from eros_matcher.domain.cards import Card
from eros_matcher.domain.mutual import After, Pair, parse_token
from eros_matcher.domain.people import distance_km
from eros_matcher.store_relations import PostgresRelations


@dataclass(frozen=True, slots=True)
class Relations:
    """The use cases."""

    store: PostgresRelations
    profiles: AccountsProfiles
    clock: Clock

    async def mutual(
        self, user: UserId, limit: int, page_token: str | None
    ) -> pb.ListMutualMatchesResponse:
        """A page. ``InvalidArgument`` for a token that is none."""
        after = None if page_token is None else _place(page_token)
        pairs = await self.store.mutual(user, after, limit + 1)
        page = pairs[:limit]
        profiles = await self.profiles.of([user, *(pair.other_id for pair in page)])
        cards = {other: card_of(profile) for other, profile in profiles.items()}
        year = self.clock.night().year
        own = cards.get(user)
        # Whoever has left since is passed over.
        matches = [
            _match(pair, cards[pair.other_id], own, year) for pair in page if pair.other_id in cards
        ]
        return pb.ListMutualMatchesResponse(
            success=True,
            matches=matches,
            count=len(matches),
            next_page_token=page[-1].token if len(pairs) > limit else None,
        )

    async def block(self, user: UserId, other: UserId) -> None:
        """``InvalidArgument`` for oneself, ``NotFound`` for nobody."""
        if user == other:
            raise InvalidArgument("you cannot block yourself", FieldFault("userId", "is your own"))
        if not await self.profiles.of([other]):
            raise NotFound("there is no such account")
        await self.store.block(user, other, self.clock.wall())

    async def unblock(self, user: UserId, other: UserId) -> bool:
        """Whether there was a block."""
        return await self.store.unblock(user, other)


def _place(token: str) -> After:
    try:
        return parse_token(token)
    except ValueError as error:
        raise InvalidArgument(f"pageToken {error}", FieldFault("pageToken", str(error))) from None


def _match(pair: Pair, card: Card, own: Card | None, year: int) -> pb.MutualMatch:
    places = [c.filters.place if c and c.filters else None for c in (own, card)]
    distance = distance_km(places[0], places[1])
    since = Timestamp()
    since.FromDatetime(pair.since)
    return pb.MutualMatch(
        match_id="" if pair.match_id is None else str(pair.match_id),
        user_id=str(card.user_id),
        name=card.name,
        age=None if card.birth_year is None else year - card.birth_year,
        photos=card.photos,
        # Whole kilometres: no exact place can be worked out.
        distance_km=None if distance is None else round(distance),
        since=since,
    )
