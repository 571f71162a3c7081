"""Protos to the console and back, nothing else."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from importlib import resources
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import grpc
from google.api import httpbody_pb2

from eros.accounts.v1 import accounts_pb2
from eros.accounts.v1.accounts_pb2_grpc import AccountsServiceStub
from eros.gateway.v1 import console_pb2 as pb
from eros.gateway.v1 import console_pb2_grpc
from eros.scheduler.v1 import scheduler_pb2, work_pb2
from eros.scheduler.v1.scheduler_pb2_grpc import SchedulerServiceStub
from eros_common import logging
from eros_common.errors import FieldFault, InvalidArgument, NotFound, from_rpc_error
from eros_common.ids import SessionId
from eros_gateway.console.feed import Feed
from eros_gateway.console.session import Sessions

log = logging.get("gateway.console")
Context = grpc.aio.ServicerContext[Any, Any]

_CSS: Final = "text/css; charset=utf-8"
_JAVASCRIPT: Final = "text/javascript; charset=utf-8"
_OWN: Final = {
    "console.css": _CSS,
    "console.js": _JAVASCRIPT,
    "charts.js": _JAVASCRIPT,
    "icon.svg": "image/svg+xml",
}
#: The chart library, where the set-up and the image unpack it (`charts.lock`).
_CHARTS: Final = Path(sys.prefix) / "share/eros/charts/uplot/static"
_LIBRARY: Final = {"uPlot.min.css": _CSS, "uPlot.iife.js": _JAVASCRIPT}
#: Nothing is loaded from anywhere else, nothing is written into the page, nobody may frame it.
_SECURITY: Final = (
    (
        "content-security-policy",
        "; ".join(
            (
                *("default-src 'none'", "script-src 'self'", "style-src 'self'"),
                *("connect-src 'self'", "img-src 'self'", "form-action 'self'"),
                *("base-uri 'none'", "frame-ancestors 'none'"),
            )
        ),
    ),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
    # Asked for again each time, so a release is seen at once.
    ("cache-control", "no-cache"),
)


class ConsoleServicer(console_pb2_grpc.ConsoleServiceServicer):
    """``eros.gateway.v1.ConsoleService``."""

    def __init__(
        self,
        feed: Feed,
        sessions: Sessions,
        accounts: AccountsServiceStub,
        scheduler: SchedulerServiceStub,
        stopping: asyncio.Event,
    ) -> None:
        self._feed = feed
        self._sessions = sessions
        self._accounts = accounts
        self._scheduler = scheduler
        self._stopping = stopping
        own = resources.files("eros_gateway.console") / "assets"
        self._page = (own / "index.html").read_bytes()
        self._assets = {name: (kind, (own / name).read_bytes()) for name, kind in _OWN.items()}
        for name, kind in _LIBRARY.items():
            self._assets[name] = kind, (_CHARTS / name).read_bytes()

    async def GetPage(self, request: pb.GetPageRequest, context: Context) -> httpbody_pb2.HttpBody:
        await context.send_initial_metadata(_SECURITY)
        return httpbody_pb2.HttpBody(content_type="text/html; charset=utf-8", data=self._page)

    async def GetAsset(
        self, request: pb.GetAssetRequest, context: Context
    ) -> httpbody_pb2.HttpBody:
        if request.name not in self._assets:
            raise NotFound("the console has no such part")
        kind, data = self._assets[request.name]
        await context.send_initial_metadata(_SECURITY)
        return httpbody_pb2.HttpBody(content_type=kind, data=data)

    async def SignIn(self, request: pb.SignInRequest, context: Context) -> pb.SignInResponse:
        login = accounts_pb2.LoginRequest(email=request.email, password=request.password)
        try:
            answer = await self._accounts.Login(login)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        cookie = self._sessions.begin(answer.token, secure=_secure(context))
        log.info("signed_in", user=answer.user_id)
        await context.send_initial_metadata((("set-cookie", cookie),))
        return pb.SignInResponse(success=True)

    async def SignOut(self, request: pb.SignOutRequest, context: Context) -> pb.SignOutResponse:
        session_id = self._admin(context)
        end = accounts_pb2.EndSessionRequest(session_id=session_id)
        try:
            # Accounts ends it: what only Valkey knows is forgotten with Valkey's data.
            await self._accounts.EndSession(end)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        cookie = self._sessions.end(secure=_secure(context))
        await context.send_initial_metadata((("set-cookie", cookie),))
        return pb.SignOutResponse(success=True)

    async def Watch(
        self, request: pb.WatchRequest, context: Context
    ) -> AsyncIterator[pb.WatchResponse]:
        self._admin(context)
        async for message in self._feed.watch(self._stopping):
            # A session that was ended meanwhile, or grew too old.
            self._admin(context)
            yield message

    async def RetryJob(self, request: pb.RetryJobRequest, context: Context) -> pb.RetryJobResponse:
        self._admin(context)
        retry = scheduler_pb2.RetryJobsRequest(user_id=_user(request), kind=_kind(request))
        try:
            answer = await self._scheduler.RetryJobs(retry)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        return pb.RetryJobResponse(success=True, retried=answer.retried > 0)

    def _admin(self, context: Context) -> SessionId:
        return self._sessions.read(_metadata(context, "cookie"))


def _user(request: pb.RetryJobRequest) -> bytes:
    try:
        return UUID(request.user_id).bytes
    except ValueError:
        raise _fault("userId", "must be a UUID") from None


def _kind(request: pb.RetryJobRequest) -> work_pb2.JobKind.ValueType:
    if not request.kind or request.kind not in work_pb2.JobKind.values():
        raise _fault("kind", "must be a kind of job, such as JOB_KIND_MATCH")
    return request.kind


def _fault(field: str, message: str) -> InvalidArgument:
    return InvalidArgument(f"{field} {message}", FieldFault(field, message))


def _metadata(context: Context, key: str) -> str:
    found = [value for name, value in context.invocation_metadata() or () if name == key]
    return "; ".join(value for value in found if isinstance(value, str))


def _secure(context: Context) -> bool:
    return _metadata(context, "x-forwarded-proto") == "https"
