"""Protos to what was seen and back, nothing else."""

from __future__ import annotations

from typing import Any, Final

import grpc

from eros.gateway.v1 import gateway_pb2 as pb
from eros.gateway.v1 import gateway_pb2_grpc
from eros_gateway.domain.wellness import Status
from eros_gateway.front import wire
from eros_gateway.front.health import Health

Context = grpc.aio.ServicerContext[Any, Any]

# The gateway makes it the HTTP status: lua/status.lua.
_UNWELL: Final = (("x-eros-status", "503"),)


class GatewayServicer(gateway_pb2_grpc.GatewayServiceServicer):
    """``eros.gateway.v1.GatewayService``."""

    def __init__(self, health: Health) -> None:
        self._health = health

    async def GetHealth(
        self, request: pb.GetHealthRequest, context: Context
    ) -> pb.GetHealthResponse:
        look = await self._health.look()
        await _tell(context, look.status)
        return wire.health(self._health, look)

    async def GetDetailedHealth(
        self, request: pb.GetDetailedHealthRequest, context: Context
    ) -> pb.GetDetailedHealthResponse:
        look = await self._health.look()
        await _tell(context, look.status)
        return wire.detailed(self._health, look)


async def _tell(context: Context, status: Status) -> None:
    if status is Status.DOWN:
        await context.send_initial_metadata(_UNWELL)
