"""Protos to what was seen and back, nothing else."""

from __future__ import annotations

from typing import Any, Final

import grpc
from google.api.httpbody_pb2 import HttpBody

from eros.gateway.v1 import gateway_pb2 as pb
from eros.gateway.v1 import gateway_pb2_grpc
from eros_gateway.domain.wellness import Status
from eros_gateway.front import wire
from eros_gateway.front.health import Health
from eros_gateway.front.pages import Pages

Context = grpc.aio.ServicerContext[Any, Any]

# The gateway makes it the HTTP status: lua/status.lua.
_UNWELL: Final = (("x-eros-status", "503"),)


class GatewayServicer(gateway_pb2_grpc.GatewayServiceServicer):
    """``eros.gateway.v1.GatewayService``."""

    def __init__(self, health: Health, pages: Pages) -> None:
        self._health = health
        self._pages = pages

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

    async def GetOpenApi(self, request: pb.GetOpenApiRequest, context: Context) -> HttpBody:
        return HttpBody(content_type="application/json", data=self._pages.openapi)

    async def GetDocs(self, request: pb.GetDocsRequest, context: Context) -> HttpBody:
        await context.send_initial_metadata((("content-security-policy", self._pages.policy),))
        return HttpBody(content_type="text/html; charset=utf-8", data=self._pages.docs)


async def _tell(context: Context, status: Status) -> None:
    if status is Status.DOWN:
        await context.send_initial_metadata(_UNWELL)
