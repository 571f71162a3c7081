"""What stands behind the gateway in its tests: real gRPC servers with the real pipeline, whose
answers are set by the test and whose calls are kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.api import httpbody_pb2
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from eros.accounts.v1 import accounts_pb2_grpc
from eros.activity.v1 import activity_pb2_grpc
from eros.assistant.v1 import assistant_pb2_grpc
from eros.gateway.v1 import gateway_pb2_grpc
from eros.matcher.v1 import matcher_pb2_grpc
from eros.scheduler.v1 import scheduler_pb2_grpc
from eros_common.auth.keyfiles import jwks
from eros_common.policy import service_descriptor
from eros_common.server import AddServicer
from eros_common.testing import TestServer, TestTokens, start_server
from eros_common.testing.tokens import KID

Answer = Message | Exception | Callable[[Any], Awaitable[Message]]

SERVICES: dict[str, tuple[str, AddServicer]] = {
    "accounts": (
        "eros.accounts.v1.AccountsService",
        accounts_pb2_grpc.add_AccountsServiceServicer_to_server,
    ),
    "activity": (
        "eros.activity.v1.ActivityService",
        activity_pb2_grpc.add_ActivityServiceServicer_to_server,
    ),
    "assistant": (
        "eros.assistant.v1.AssistantService",
        assistant_pb2_grpc.add_AssistantServiceServicer_to_server,
    ),
    "matcher": (
        "eros.matcher.v1.MatcherService",
        matcher_pb2_grpc.add_MatcherServiceServicer_to_server,
    ),
    "gateway": (
        "eros.gateway.v1.GatewayService",
        gateway_pb2_grpc.add_GatewayServiceServicer_to_server,
    ),
    "scheduler": (
        "eros.scheduler.v1.SchedulerService",
        scheduler_pb2_grpc.add_SchedulerServiceServicer_to_server,
    ),
}


@dataclass(frozen=True, slots=True)
class Call:
    """One call that reached a service."""

    method: str
    request: Any
    metadata: dict[str, str]


@dataclass(slots=True)
class Backends:
    """Every service of the contract. Methods answer with an empty message, ``success`` being true,
    unless ``answers`` says otherwise."""

    tokens: TestTokens = field(default_factory=TestTokens)
    answers: dict[str, Answer] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    servers: dict[str, TestServer] = field(default_factory=dict)

    def reset(self) -> None:
        self.answers.clear()
        self.calls.clear()

    @asynccontextmanager
    async def running(self, *names: str) -> AsyncIterator[Backends]:
        """Serves these services (all, if none is named) until the block ends."""
        async with AsyncExitStack() as stack:
            for name in names or SERVICES:
                self.servers[name] = await stack.enter_async_context(self.serving(name))
            yield self

    @asynccontextmanager
    async def serving(self, name: str) -> AsyncIterator[TestServer]:
        """One more server of a service."""
        service, add = SERVICES[name]
        async with start_server((add, self._servicer(service)), tokens=self.tokens, name=name) as s:
            yield s

    def address(self, name: str) -> str:
        return self.servers[name].address

    def _servicer(self, service: str) -> object:
        methods = {m.name: self._method(m) for m in service_descriptor(service).methods}
        return type("Played", (), methods)()

    def _method(self, method: MethodDescriptor) -> Any:
        async def play(_: object, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            metadata = {str(k): str(v) for k, v in context.invocation_metadata() or ()}
            if method.name == "GetJwks":
                document = jwks({KID: self.tokens.user_key.public_key()})
                return httpbody_pb2.HttpBody(
                    content_type="application/json", data=document.encode()
                )
            self.calls.append(Call(method.name, request, metadata))
            answer = self.answers.get(method.name)
            if isinstance(answer, Exception):
                raise answer
            if isinstance(answer, Message):
                return answer
            return await answer(request) if answer else _plain(method)

        async def stream(_: object, requests: Any, __: object) -> AsyncIterator[Message]:
            self.calls.append(Call(method.name, requests, {}))
            yield _plain(method)

        return stream if method.server_streaming else play


def _plain(method: MethodDescriptor) -> Message:
    answer: Any = message_factory.GetMessageClass(method.output_type)()
    if "success" in method.output_type.fields_by_name:
        answer.success = True
    return answer  # type: ignore[no-any-return]
