"""What `prepare` is made of, and where what it made goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

from redis.exceptions import RedisError

from eros.accounts.v1 import profile_pb2
from eros_advice.people import Other, Own
from eros_advice.prepared import KEPT_SECONDS, encode_input, prepared_key
from eros_common import logging
from eros_common.ids import UserId
from eros_common.redis import Valkey
from eros_common.tasks import Breather
from eros_matcher.accounts import AccountsProfiles, Profiles
from eros_matcher.domain.lists import MatchList, match_id
from eros_matcher.store_lists import PostgresLists

log = logging.get("matcher.advising")

_NO_LIST: Final[tuple[Other, ...]] = ()


async def inputs(
    lists: PostgresLists,
    profiles: AccountsProfiles,
    dates: Mapping[UserId, date],
    year: int,
) -> dict[UserId, bytes]:
    """Each person with tonight's matches, as the program reads them; not who left."""
    daily = await lists.daily(list(dates), min(dates.values()))
    people = {one.other_id for matches in daily.values() for one in matches.suggestions}
    known = await profiles.of([*dates, *people])
    made: dict[UserId, bytes] = {}
    breather = Breather()
    for user in dates:
        if user in known:
            own, others = _own(known[user], year), _others(daily.get(user), known, year)
            made[user] = encode_input(own, others)
            await breather.breathe()
    return made


async def keep(cache: Valkey, made: Sequence[tuple[UserId, bytes]]) -> None:
    """Into the cache for a day. What a dead cache loses is made by day, when it is asked for."""
    pipeline = cache.pipeline(transaction=False)
    for user, data in made:
        pipeline.set(prepared_key(user), data, ex=KEPT_SECONDS)
    try:
        await pipeline.execute()
    except (RedisError, OSError) as error:
        log.warning("not_kept", people=len(made), error=type(error).__name__)


def _own(profile: profile_pb2.MatchingProfile, year: int) -> Own:
    return Own(
        name=profile.name,
        age=_age(profile, year),
        city=profile.location.city,
        bio=profile.bio,
        interests=tuple(profile.interests),
        photos=len(profile.photos),
        gender=profile.gender if profile.HasField("gender") else None,
        seeks=tuple(profile.preferences.genders),
    )


def _others(matches: MatchList | None, known: Profiles, year: int) -> tuple[Other, ...]:
    """Of others only what any signed-in person may see."""
    if matches is None:
        return _NO_LIST
    return tuple(
        Other(
            user_id=str(one.other_id),
            name=known[one.other_id].name,
            age=_age(known[one.other_id], year),
            city=known[one.other_id].location.city,
            bio=known[one.other_id].bio,
            interests=tuple(known[one.other_id].interests),
            photos=len(known[one.other_id].photos),
            distance_km=one.distance_km,
            reasons=one.reasons,
            match_id=str(match_id(matches.user_id, one.other_id, matches.list_date)),
        )
        for one in matches.suggestions
        if one.other_id in known
    )


def _age(profile: profile_pb2.MatchingProfile, year: int) -> int | None:
    return year - profile.birth_year if profile.HasField("birth_year") else None
