"""gRPC to domain and back, nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import grpc

from eros.activity.v1 import activity_pb2 as pb
from eros.activity.v1 import activity_pb2_grpc
from eros_activity.domain.people import Interaction, Rules, UserKey
from eros_activity.keeping import Keeper
from eros_activity.lookout import Lookout
from eros_activity.ports import PeopleStore
from eros_activity.touching import Touches
from eros_activity.watching import Watching
from eros_activity.wire import stats_message, timestamp, update_message
from eros_common.auth import current_user
from eros_common.clocks import Clock
from eros_common.errors import FieldFault, PermissionDenied
from eros_common.telemetry import traceparent

_Context = grpc.aio.ServicerContext[Any, Any]
#: Longer than a store that is only slow, shorter than a phone waits.
_PATIENCE_SECONDS: Final = 2.0


class ActivityServicer(activity_pb2_grpc.ActivityServiceServicer):
    """``eros.activity.v1.ActivityService``."""

    def __init__(
        self,
        people: PeopleStore,
        touches: Touches,
        watching: Watching,
        keeper: Keeper,
        lookout: Lookout,
        clock: Clock,
        rules: Rules,
    ) -> None:
        self._people = people
        self._touches = touches
        self._watching = watching
        self._keeper = keeper
        self._lookout = lookout
        self._clock = clock
        self._rules = rules
        self._began = clock.monotonic()

    async def Heartbeat(
        self, request: pb.HeartbeatRequest, context: _Context
    ) -> pb.HeartbeatResponse:
        user_id = current_user().user_id
        if request.HasField("user_id") and request.user_id.lower() != str(user_id):
            raise PermissionDenied(
                "a heartbeat is one's own", FieldFault("userId", "is somebody else's")
            )
        user = UserKey(user_id.bytes)
        wall, now = self._clock.wall(), self._clock.night().timestamp()
        app_active = request.app_active if request.HasField("app_active") else True
        screen_on = request.screen_on if request.HasField("screen_on") else True
        if app_active and screen_on:
            touch = Interaction(user, now, wall.timestamp(), traceparent())
            await self._touches.apply((touch,), patience_seconds=_PATIENCE_SECONDS)
            return pb.HeartbeatResponse(success=True, timestamp=timestamp(wall))
        seen = await self._people.find(user)
        return pb.HeartbeatResponse(
            success=True,
            idle_time=0.0 if seen is None else seen.idle(now),
            processing_phase=0 if seen is None else seen.phase(now, self._rules),
            timestamp=timestamp(wall),
        )

    async def GetStatus(
        self, request: pb.GetStatusRequest, context: _Context
    ) -> pb.GetStatusResponse:
        user_id = current_user().user_id
        seen = await self._people.find(UserKey(user_id.bytes))
        if seen is None:
            return pb.GetStatusResponse(user_id=str(user_id))
        now = self._clock.night().timestamp()
        return pb.GetStatusResponse(
            user_id=str(user_id),
            last_interaction=timestamp(seen.last_seen),
            idle_time=seen.idle(now),
            processing_phase=seen.phase(now, self._rules),
            session_duration=seen.session_duration(now, self._rules),
        )

    async def GetStats(self, request: pb.GetStatsRequest, context: _Context) -> pb.GetStatsResponse:
        return pb.GetStatsResponse(success=True, stats=await self._stats())

    async def CountPeople(
        self, request: pb.CountPeopleRequest, context: _Context
    ) -> pb.CountPeopleResponse:
        return pb.CountPeopleResponse(stats=await self._stats())

    async def _stats(self) -> pb.ActivityStats:
        counts = await self._people.counts(self._clock.night().timestamp())
        pause = self._lookout.active_pause()
        return stats_message(
            counts,
            paused_until=None if pause is None else pause.until,
            uptime=self._clock.monotonic() - self._began,
        )

    async def Touch(self, request: pb.TouchRequest, context: _Context) -> pb.TouchResponse:
        wall, now = self._clock.wall().timestamp(), self._clock.night().timestamp()
        touches = [
            Interaction(UserKey(i.user_id), min(i.at or now, now), wall)
            for i in request.interactions
        ]
        woke = await self._touches.apply(touches, patience_seconds=_PATIENCE_SECONDS)
        return pb.TouchResponse(woke=len(woke & {touch.user for touch in touches}))

    async def Erase(self, request: pb.EraseRequest, context: _Context) -> pb.EraseResponse:
        users = [UserKey(user) for user in request.user_ids]
        known = await self._people.erase(users, self._clock.night().timestamp())
        return pb.EraseResponse(known=known)

    async def WatchTransitions(
        self, request: pb.WatchTransitionsRequest, context: _Context
    ) -> AsyncIterator[pb.WatchTransitionsResponse]:
        async for update in self._watching.watch(request.cursor):
            yield update_message(
                update, sent_at=self._clock.wall(), watched_since=self._keeper.watched_since
            )

    async def ListRecentlyActive(
        self, request: pb.ListRecentlyActiveRequest, context: _Context
    ) -> pb.ListRecentlyActiveResponse:
        return pb.ListRecentlyActiveResponse(user_ids=await self._people.recent(request.limit))
