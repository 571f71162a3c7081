"""Puts what every request goes through around each method, once, when a server is made.

Order of a call: request id, observation, policy and identity, deadline, validation, the method.
Whatever is raised on the way is turned into a status at the outside. These are wrapped handlers
and no ``grpc.aio.ServerInterceptor``: gRPC runs those anew for each call, for the same result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import grpc

from eros_common.auth.authenticator import Authenticator
from eros_common.errors import PermissionDenied
from eros_common.interceptors.guard import Guard
from eros_common.interceptors.shapes import wrap
from eros_common.policy import Policy

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class Pipeline(grpc.GenericRpcHandler):
    """Serves ``handlers`` by full method path, each behind its policy; a method without one is
    refused."""

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        policies: Mapping[str, Policy],
        authenticator: Authenticator,
        *,
        default_timeout: float | None,
    ) -> None:
        self._authenticator = authenticator
        self._default_timeout = default_timeout
        self._handlers = {
            method: wrap(handler, self._guard(method, handler, policies.get(method)))
            for method, handler in handlers.items()
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        """The handler of a method; None makes gRPC look elsewhere, then answer UNIMPLEMENTED."""
        return self._handlers.get(handler_call_details.method)

    def _guard(self, method: str, handler: Handler, policy: Policy | None) -> Guard:
        if policy is None:
            return Guard(method, _refuse, None)
        timeout = policy.timeout
        if timeout is None and not handler.request_streaming and not handler.response_streaming:
            timeout = self._default_timeout
        authenticator = self._authenticator

        async def admit(authorization: str | None) -> None:
            await authenticator.admit(policy, authorization)

        return Guard(method, admit, timeout)


async def _refuse(_: str | None) -> None:
    raise PermissionDenied("nobody may call this method: it declares no policy")
