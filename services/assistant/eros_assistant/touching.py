"""Tells activity of people at once, in the background."""

from __future__ import annotations

from collections.abc import Sequence

import grpc

from eros.activity.v1 import activity_pb2, activity_pb2_grpc
from eros_common import logging
from eros_common.ids import UserId
from eros_common.tasks import Batcher

log = logging.get("assistant.touching")


class GrpcTouching:
    """See `eros_assistant.ports.Touching`. People who come within some milliseconds share a call.

    What is lost here is still learned from the gateway's access log when the answer is sent.
    """

    def __init__(self, activity: activity_pb2_grpc.ActivityServiceStub) -> None:
        self._activity = activity
        self._batcher = Batcher[UserId](self._send, max_items=500, max_seconds=0.005)

    def touch(self, user: UserId) -> None:
        self._batcher.offer(user)

    async def run(self) -> None:
        """Sends for ever; a background task."""
        await self._batcher.run()

    async def _send(self, users: Sequence[UserId]) -> None:
        request = activity_pb2.TouchRequest(
            interactions=[
                activity_pb2.Interaction(user_id=user.bytes) for user in dict.fromkeys(users)
            ]
        )
        try:
            await self._activity.Touch(request, timeout=1.0)
        except grpc.aio.AioRpcError as error:
            log.warning("away", code=error.code().name)
