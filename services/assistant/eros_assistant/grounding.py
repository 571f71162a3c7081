"""People as accounts and matcher show them to the caller."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import grpc

from eros.accounts.v1 import accounts_pb2, accounts_pb2_grpc
from eros.matcher.v1 import matcher_pb2, matcher_pb2_grpc
from eros_advice.people import Other, Own
from eros_assistant.ports import Caller
from eros_common import logging
from eros_common.channel import AUTHORIZATION_KEY

log = logging.get("assistant.grounding")

TIMEOUT_SECONDS: Final = 1.0
"""Without these facts an answer is more general; waiting longer would be worse."""


class GrpcPeople:
    """See `eros_assistant.ports.People`. Every call carries the caller's own token."""

    def __init__(
        self,
        accounts: accounts_pb2_grpc.AccountsServiceStub,
        matcher: matcher_pb2_grpc.MatcherServiceStub,
    ) -> None:
        self._accounts = accounts
        self._matcher = matcher

    async def own(self, caller: Caller) -> Own | None:
        answer = await _ask(
            self._accounts.GetProfile, accounts_pb2.GetProfileRequest(), caller, "profile"
        )
        if answer is None:
            return None
        profile = answer.profile
        return Own(
            name=profile.name,
            age=profile.age if profile.HasField("age") else None,
            city=profile.location.city,
            bio=profile.bio,
            interests=tuple(profile.interests),
            photos=len(profile.photos),
            gender=profile.gender if profile.HasField("gender") else None,
            seeks=tuple(profile.preferences.genders),
        )

    async def matches(self, caller: Caller) -> tuple[Other, ...] | None:
        answer = await _ask(
            self._matcher.GetDailyMatches, matcher_pb2.GetDailyMatchesRequest(), caller, "matches"
        )
        if answer is None:
            return None
        return tuple(
            Other(
                user_id=match.user_id,
                name=match.name,
                age=match.age or None,
                photos=len(match.photos),
                distance_km=match.distance_km if match.HasField("distance_km") else None,
                reasons=tuple(match.reasons),
                match_id=match.match_id,
            )
            for match in answer.matches
        )

    async def public(self, caller: Caller, other: Other) -> Other:
        request = accounts_pb2.GetPublicProfileRequest(user_id=other.user_id)
        answer = await _ask(self._accounts.GetPublicProfile, request, caller, "public")
        if answer is None:
            return other
        profile = answer.profile
        return replace(
            other,
            name=profile.name or other.name,
            age=profile.age if profile.HasField("age") else other.age,
            city=profile.city,
            bio=profile.bio,
            interests=tuple(profile.interests),
            photos=len(profile.photos),
        )


async def _ask(method: Any, request: Any, caller: Caller, what: str) -> Any:
    metadata = ((AUTHORIZATION_KEY, caller.authorization),)
    try:
        return await method(request, metadata=metadata, timeout=TIMEOUT_SECONDS)
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            log.warning("away", what=what, code=error.code().name)
        return None
