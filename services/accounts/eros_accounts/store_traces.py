"""What is left of a person outside PostgreSQL: cached answers, and activity's memory of them."""

from __future__ import annotations

from typing import Any, Final

import grpc
from redis.exceptions import RedisError

from eros.activity.v1 import activity_pb2, activity_pb2_grpc
from eros_accounts.ports import ProfileCache
from eros_common.errors import Unavailable, from_rpc_error
from eros_common.ids import UserId
from eros_common.redis import Valkey

# docs: the cache's keys, by the service that fills them. Profiles are the ProfileCache's.
_KEYS: Final = ("matches:daily", "recommendations", "assistant:prepared")
_NEWEST: Final = 2**53 - 1
"""No profile has this version: no reader on its way can put one back."""


class Traces:
    """The port ``TraceStore``."""

    def __init__(
        self,
        profiles: ProfileCache,
        cache: Valkey,
        activity: activity_pb2_grpc.ActivityServiceStub,
    ) -> None:
        self._profiles = profiles
        self._cache = cache
        self._activity = activity

    async def remove(self, user_id: UserId) -> None:
        await self._profiles.forget(user_id, _NEWEST)
        try:
            await self._cache.delete(*(f"{key}:{user_id}" for key in _KEYS))
        except (RedisError, OSError) as error:
            raise Unavailable("the cache cannot be reached just now") from error
        try:
            # Last: whoever works on this person stops by it.
            await self._activity.Erase(activity_pb2.EraseRequest(user_ids=[user_id.bytes]))
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error

    async def activity(self, authorization: str) -> dict[str, Any]:
        try:
            status = await self._activity.GetStatus(
                activity_pb2.GetStatusRequest(), metadata=(("authorization", authorization),)
            )
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error
        seen = (
            status.last_interaction.ToJsonString() if status.HasField("last_interaction") else None
        )
        return {"lastInteraction": seen, "sessionSeconds": status.session_duration}
