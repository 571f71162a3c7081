"""What the gateway must know to answer heartbeats itself, nothing else."""

from __future__ import annotations

import secrets
from typing import Any

from eros.activity.v1 import activity_pb2 as pb
from eros.activity.v1 import activity_pb2_grpc
from eros_common.auth.revocation import RevocationMirror


class EdgeServicer(activity_pb2_grpc.EdgeServiceServicer):
    """``eros.activity.v1.EdgeService``."""

    def __init__(self, revoked: RevocationMirror) -> None:
        self._revoked = revoked
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
