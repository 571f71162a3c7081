"""The four shapes of a call.

Streams of a service are async generators. The wrappers around them are coroutines that write,
because gRPC never closes a response generator: here it is closed whatever happens, so ``finally``
blocks of a stream run when its client goes away.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias, cast

import grpc

from eros_common.interceptors.guard import Context, Guard
from eros_common.interceptors.validation import Checked, check, reader
from eros_common.raw import serializer

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Behaviour = Callable[[Any, Context], Any]


def wrap(handler: Handler, guard: Guard) -> Handler:
    """The handler with the guard around its method."""
    serialize = handler.response_serializer
    serializers = {
        "request_deserializer": reader(handler.request_deserializer),
        "response_serializer": serialize and serializer(serialize),
    }
    make: Any
    around: Callable[[Behaviour, Guard], Any]
    method: Any  # typed for servers with threads; ours get an asyncio context
    match handler.request_streaming, handler.response_streaming:
        case False, False:
            make, around = grpc.unary_unary_rpc_method_handler, _unary
            method = handler.unary_unary
        case True, False:
            make, around = grpc.stream_unary_rpc_method_handler, _stream_unary
            method = handler.stream_unary
        case False, True:
            make, around = grpc.unary_stream_rpc_method_handler, _unary_stream
            method = handler.unary_stream
        case _:
            make, around = grpc.stream_stream_rpc_method_handler, _stream_stream
            method = handler.stream_stream
    return cast("Handler", make(around(method, guard), **serializers))


def _unary(behaviour: Behaviour, guard: Guard) -> Any:
    async def call(request: Any, context: Context) -> Any:
        async def work() -> Any:
            check(request)
            return await behaviour(request, context)

        return await guard.call(context, work)

    return call


def _stream_unary(behaviour: Behaviour, guard: Guard) -> Any:
    async def call(requests: AsyncIterator[Any], context: Context) -> Any:
        async def work() -> Any:
            return await behaviour(Checked(requests), context)

        return await guard.call(context, work)

    return call


def _unary_stream(behaviour: Behaviour, guard: Guard) -> Any:
    async def call(request: Any, context: Context) -> None:
        async def work() -> None:
            check(request)
            await _write(behaviour(request, context), context)

        await guard.call(context, work)

    return call


def _stream_stream(behaviour: Behaviour, guard: Guard) -> Any:
    async def call(requests: AsyncIterator[Any], context: Context) -> None:
        async def work() -> None:
            await _write(behaviour(Checked(requests), context), context)

        await guard.call(context, work)

    return call


async def _write(responses: Any, context: Context) -> None:
    try:
        async for response in responses:
            await context.write(response)
    finally:
        await responses.aclose()
