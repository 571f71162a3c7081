"""The matcher's API: from proto to the matcher and back, nothing else."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from eros.matcher.v1 import matcher_pb2 as pb
from eros.matcher.v1 import matcher_pb2_grpc
from eros_common.auth import current_user
from eros_common.clocks import Clock
from eros_common.errors import FieldFault, InvalidArgument
from eros_common.idempotency import once_of
from eros_common.ids import UserId
from eros_common.postgres import reached
from eros_matcher.answers import DEFAULT_LIMIT, beyond_of, daily_of
from eros_matcher.domain.actions import Action
from eros_matcher.domain.mutual import DEFAULT_PAGE
from eros_matcher.reading import Reading
from eros_matcher.relations import Relations
from eros_matcher.store_actions import PostgresActions


class MatcherServicer(matcher_pb2_grpc.MatcherServiceServicer):
    """See protos/eros/matcher/v1/matcher.proto."""

    def __init__(
        self, reading: Reading, actions: PostgresActions, relations: Relations, clock: Clock
    ) -> None:
        self._reading = reading
        self._actions = actions
        self._relations = relations
        self._clock = clock

    async def GetDailyMatches(
        self, request: pb.GetDailyMatchesRequest, context: Any
    ) -> pb.GetDailyMatchesResponse:
        with reached():
            return daily_of(await self._reading.daily(current_user().user_id))

    async def GetDailyMatchesByDate(
        self, request: pb.GetDailyMatchesByDateRequest, context: Any
    ) -> pb.GetDailyMatchesByDateResponse:
        try:
            day = date.fromisoformat(request.date)
        except ValueError:
            raise InvalidArgument(
                "there is no such date", FieldFault("date", "is no date of the calendar")
            ) from None
        with reached():
            return await self._reading.on(current_user().user_id, day)

    async def ListRecommendations(
        self, request: pb.ListRecommendationsRequest, context: Any
    ) -> pb.ListRecommendationsResponse:
        limit = request.limit if request.HasField("limit") else DEFAULT_LIMIT
        with reached():
            return beyond_of(await self._reading.beyond(current_user().user_id, limit))

    async def ActOnMatch(
        self, request: pb.ActOnMatchRequest, context: Any
    ) -> pb.ActOnMatchResponse:
        with reached():
            outcome = await self._actions.act(
                current_user().user_id,
                UUID(request.match_id),
                Action.named(request.action),
                self._clock.wall(),
                self._clock.night(),
                once_of(context, request.match_id.lower(), request.action),
            )
        return pb.ActOnMatchResponse(success=True, message=outcome.message())

    async def ListMutualMatches(
        self, request: pb.ListMutualMatchesRequest, context: Any
    ) -> pb.ListMutualMatchesResponse:
        with reached():
            return await self._relations.mutual(
                current_user().user_id,
                request.limit if request.HasField("limit") else DEFAULT_PAGE,
                request.page_token if request.HasField("page_token") else None,
            )

    async def BlockUser(self, request: pb.BlockUserRequest, context: Any) -> pb.BlockUserResponse:
        with reached():
            await self._relations.block(current_user().user_id, UserId(UUID(request.user_id)))
        return pb.BlockUserResponse(success=True, message="You will not see each other again.")

    async def UnblockUser(
        self, request: pb.UnblockUserRequest, context: Any
    ) -> pb.UnblockUserResponse:
        with reached():
            was_blocked = await self._relations.unblock(
                current_user().user_id, UserId(UUID(request.user_id))
            )
        message = "The block is taken back." if was_blocked else "You had not blocked this person."
        return pb.UnblockUserResponse(success=True, message=message)
