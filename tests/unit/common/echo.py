"""A service of all four shapes and every kind of policy, made from a descriptor at run time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from buf.validate import validate_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from eros.options.v1 import options_pb2
from eros_common.auth import current_service, current_user
from eros_common.ids import UserId
from eros_common.logging import request_id

PACKAGE = "eros.commontest.v1"
SERVICE = f"{PACKAGE}.EchoService"

# Name: (access, callers, timeout in ms, request streams, response streams)
METHODS: dict[str, tuple[options_pb2.Access.ValueType, tuple[str, ...], int, bool, bool]] = {
    "Say": (options_pb2.ACCESS_USER, (), 0, False, False),
    "Public": (options_pb2.ACCESS_PUBLIC, (), 0, False, False),
    "Admin": (options_pb2.ACCESS_ADMIN, (), 0, False, False),
    "Internal": (options_pb2.ACCESS_SERVICE, ("scheduler", "worker"), 0, False, False),
    "Slow": (options_pb2.ACCESS_PUBLIC, (), 50, False, False),
    "Watch": (options_pb2.ACCESS_PUBLIC, (), 0, False, True),
    "Gather": (options_pb2.ACCESS_PUBLIC, (), 0, True, False),
    "Talk": (options_pb2.ACCESS_PUBLIC, (), 0, True, True),
}


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name="eros/commontest/v1/echo.proto",
        package=PACKAGE,
        syntax="proto3",
        dependency=["eros/options/v1/options.proto", "buf/validate/validate.proto"],
    )
    echo = file.message_type.add(name="Echo")
    text = echo.field.add(
        name="short_text",
        json_name="shortText",
        number=1,
        type=descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
        label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
    )
    text.options.Extensions[validate_pb2.field].string.max_len = 20
    inner = echo.field.add(
        name="inner_parts",
        json_name="innerParts",
        number=2,
        type=descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE,
        type_name=f".{PACKAGE}.Echo",
        label=descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED,
    )
    inner.options.Extensions[validate_pb2.field].repeated.max_items = 100
    service = file.service.add(name="EchoService")
    for name, (access, callers, timeout_ms, client, server) in METHODS.items():
        method = service.method.add(
            name=name,
            input_type=f".{PACKAGE}.Echo",
            output_type=f".{PACKAGE}.Echo",
            client_streaming=client,
            server_streaming=server,
        )
        policy = method.options.Extensions[options_pb2.policy]
        policy.access = access
        policy.callers.extend(callers)
        policy.timeout_ms = timeout_ms
    return file


_pool = descriptor_pool.Default()
_pool.AddSerializedFile(_file().SerializeToString())
Echo: Any = message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"{PACKAGE}.Echo"))


def add_echo_to_server(servicer: Any, server: Any, *, service: str = SERVICE) -> None:
    """As generated code would."""
    make: dict[tuple[bool, bool], Callable[..., Any]] = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    handlers = {
        name: make[client, streams](
            getattr(servicer, name),
            request_deserializer=Echo.FromString,
            response_serializer=Echo.SerializeToString,
        )
        for name, (_, _, _, client, streams) in METHODS.items()
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))


class EchoStub:
    """As generated code would."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        make = {
            (False, False): channel.unary_unary,
            (False, True): channel.unary_stream,
            (True, False): channel.stream_unary,
            (True, True): channel.stream_stream,
        }
        for name, (_, _, _, client, streams) in METHODS.items():
            call: Any = make[client, streams]
            setattr(
                self,
                name,
                call(
                    f"/{SERVICE}/{name}",
                    request_serializer=Echo.SerializeToString,
                    response_deserializer=Echo.FromString,
                ),
            )

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


class EchoServicer:
    """Says who asked; ``fail`` is raised by every method that has a turn."""

    def __init__(self, fail: BaseException | None = None) -> None:
        self.fail = fail
        self.closed = asyncio.Event()
        self.started = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.user: UserId | None = None

    def _turn(self) -> None:
        if self.fail is not None:
            raise self.fail

    async def Say(self, request: Any, _: Any) -> Any:
        self._turn()
        self.user = current_user().user_id
        return Echo(short_text=request.short_text)

    async def Public(self, _: Any, __: Any) -> Any:
        self._turn()
        return Echo(short_text=request_id.get()[:20])

    async def Admin(self, _: Any, __: Any) -> Any:
        return Echo(short_text=",".join(current_user().roles))

    async def Internal(self, _: Any, __: Any) -> Any:
        return Echo(short_text=current_service())

    async def Slow(self, _: Any, __: Any) -> Any:
        self.started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def Watch(self, request: Any, _: Any) -> AsyncIterator[Any]:
        try:
            for part in request.inner_parts:
                yield part
            self._turn()
            if request.short_text == "for ever":
                self.started.set()
                await asyncio.Event().wait()
        finally:
            self.closed.set()

    async def Gather(self, requests: AsyncIterator[Any], _: Any) -> Any:
        texts = [request.short_text async for request in requests]
        self._turn()
        return Echo(short_text="+".join(texts))

    async def Talk(self, requests: AsyncIterator[Any], _: Any) -> AsyncIterator[Any]:
        try:
            async for request in requests:
                self._turn()
                yield Echo(short_text=request.short_text.upper())
        finally:
            self.closed.set()
