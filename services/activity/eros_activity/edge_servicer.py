"""What the gateway must know to answer heartbeats itself, and those signs of life of it that do not
come by the access-log stream."""

from __future__ import annotations

import secrets
from collections.abc import Container
from typing import Any, Final

from eros.activity.v1 import activity_pb2 as pb
from eros.activity.v1 import activity_pb2_grpc
from eros_activity.domain.people import Interaction, UserKey
from eros_activity.touching import Touches
from eros_common.auth.revocation import RevocationMirror
from eros_common.clocks import Clock
from eros_common.errors import FieldFault, InvalidArgument

_ID: Final = 36
_INSTANT: Final = 13
#: The gateway does not wait for longer.
_PATIENCE_SECONDS: Final = 0.25


class EdgeServicer(activity_pb2_grpc.EdgeServiceServicer):
    """``eros.activity.v1.EdgeService``."""

    def __init__(self, revoked: RevocationMirror, touches: Touches, clock: Clock) -> None:
        self._revoked = revoked
        self._touches = touches
        self._clock = clock
        # Another replica counts its changes for itself.
        self._replica = secrets.token_hex(8)

    async def ListEndedSessions(
        self, request: pb.ListEndedSessionsRequest, context: Any
    ) -> pb.ListEndedSessionsResponse:
        version = f"{self._replica}-{self._revoked.changes}"
        known = request.known == version
        return pb.ListEndedSessionsResponse(
            version=version, session_ids=() if known else self._revoked.session_ids()
        )

    async def TakeSigns(self, request: pb.TakeSignsRequest, context: Any) -> pb.TakeSignsResponse:
        signs = _signs(request.signs, self._clock, self._revoked)
        await self._touches.apply(signs, patience_seconds=_PATIENCE_SECONDS)
        return pb.TakeSignsResponse()


def _signs(text: str, clock: Clock, revoked: Container[str]) -> list[Interaction]:
    """Those of sessions that have not ended."""
    wall, now, rate = clock.wall().timestamp(), clock.night().timestamp(), clock.rate
    signs: list[Interaction] = []
    for line in text.splitlines():
        if line[_ID + _INSTANT :] in revoked:
            continue
        try:
            user = bytes.fromhex(line[:_ID].replace("-", ""))
            instant = int(line[_ID : _ID + _INSTANT]) / 1000
        except ValueError:
            user = b""
        if len(user) != 16:
            raise InvalidArgument("no sign of life", FieldFault("signs", f"holds {line[:64]!r}"))
        # By two machines' clocks a request may arrive in the future.
        arrived = min(instant, wall)
        signs.append(Interaction(UserKey(user), now - (wall - arrived) * rate, arrived))
    return signs
