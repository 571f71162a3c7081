"""The one server interceptor: it wraps each method once, at its first call, and then only looks up.

Order of a call: request id, observation, policy and identity, deadline, validation, the method.
Whatever is raised on the way is turned into a status at the outside.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

import grpc

from eros_common.auth.authenticator import Authenticator
from eros_common.errors import PermissionDenied
from eros_common.interceptors.guard import Guard
from eros_common.interceptors.shapes import wrap
from eros_common.policy import Policy

OPEN_SERVICES: Final = (
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1alpha.ServerReflection/",
)
"""Everybody may ask these; they go past the pipeline."""

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class Pipeline(grpc.aio.ServerInterceptor):
    """``policies`` by full method path; a method that is not in there is refused."""

    def __init__(
        self,
        policies: Mapping[str, Policy],
        authenticator: Authenticator,
        *,
        default_timeout: float | None,
    ) -> None:
        self._policies = policies
        self._authenticator = authenticator
        self._default_timeout = default_timeout
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        method = handler_call_details.method
        known = self._wrapped.get(method)
        if known is not None:
            return known
        # None for a method that does not exist: gRPC answers UNIMPLEMENTED.
        handler = await continuation(handler_call_details)
        if handler is None or method.startswith(OPEN_SERVICES):
            return handler
        wrapped = self._wrapped[method] = self._wrap(method, handler)
        return wrapped

    def _wrap(self, method: str, handler: Handler) -> Handler:
        policy = self._policies.get(method)
        if policy is None:
            return wrap(handler, Guard(method, _refuse, None))
        timeout = policy.timeout
        if timeout is None and not handler.request_streaming and not handler.response_streaming:
            timeout = self._default_timeout
        authenticator = self._authenticator

        async def admit(authorization: str | None) -> None:
            await authenticator.admit(policy, authorization)

        return wrap(handler, Guard(method, admit, timeout))


async def _refuse(_: str | None) -> None:
    raise PermissionDenied("nobody may call this method: it declares no policy")
