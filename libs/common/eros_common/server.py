"""One gRPC server: its options, health, reflection, and the pipeline around what it serves."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from eros_common.auth.authenticator import Authenticator
from eros_common.interceptors import Pipeline
from eros_common.policy import Policy, policies, service_descriptor

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
AddServicer = Callable[[Any, Any], None]
"""A generated ``add_XServicer_to_server(servicer, server)``."""


def _tells_no_header(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Invalid encoding on")


# Of a header that is not UTF-8 it logs the bytes, secrets or not, with a traceback for each look.
logging.getLogger("grpc._cython.cygrpc").addFilter(_tells_no_header)


class CannotListen(Exception):
    """The address is in use or not ours."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Limits and times of a server; seconds and bytes."""

    client_ping_seconds: float = 20.0
    max_message_bytes: int = 4 * 1024 * 1024
    max_connection_age_seconds: float = 0.0
    default_timeout_seconds: float | None = 10.0
    gone_after_seconds: float | None = None
    """A client that answers no ping for so long is gone; None: 5 s after two ping intervals."""

    def channel_arguments(self) -> list[tuple[str, int]]:
        ping_ms = round(self.client_ping_seconds * 1000)
        our_ping_ms, answer_ms = ping_ms * 2, 5000
        if self.gone_after_seconds is not None:
            our_ping_ms = answer_ms = round(self.gone_after_seconds * 500)
        arguments = [
            # On by default, and then two servers share a port without a word.
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", self.max_message_bytes),
            ("grpc.max_send_message_length", self.max_message_bytes),
            # The gateway takes 16 KiB of path and headers and adds its own. By default, from 8 KiB
            # on, requests are refused by chance.
            ("grpc.max_metadata_size", 32 * 1024),
            ("grpc.absolute_max_metadata_size", 64 * 1024),
            # A client that is gone without a word is noticed here.
            ("grpc.keepalive_time_ms", our_ping_ms),
            ("grpc.keepalive_timeout_ms", answer_ms),
            # Without it a ping may stay unanswered for a minute, whatever the line above says.
            ("grpc.http2.ping_timeout_ms", answer_ms),
            ("grpc.keepalive_permit_without_calls", 1),
            # By default no more than two pings go to a stream on which we send nothing.
            ("grpc.http2.max_pings_without_data", 0),
            # Pings more often than every 5 minutes are refused by default.
            ("grpc.http2.min_ping_interval_without_data_ms", ping_ms // 2),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", ping_ms // 2),
        ]
        if self.max_connection_age_seconds:
            age_ms = round(self.max_connection_age_seconds * 1000)
            arguments += [
                ("grpc.max_connection_age_ms", age_ms),
                ("grpc.max_connection_age_grace_ms", age_ms),
            ]
        return arguments


class Registration:
    """A servicer: its methods, with the names and policies of the services they belong to.

    ``policy`` is for foreign protos, which declare none; ours must declare theirs:
    ``ValueError`` otherwise. ``TypeError`` for a stream that is no async generator.
    """

    def __init__(self, add: AddServicer, servicer: object, *, policy: Policy | None = None) -> None:
        captured = _Capture()
        add(servicer, captured)
        self.names = [handler.service_name() for handler in captured.services]
        self.policies: dict[str, Policy] = {}
        self.handlers: dict[str, Handler] = {}
        for name, service in zip(self.names, captured.services, strict=True):
            descriptor = service_descriptor(name)
            paths = [f"/{name}/{method.name}" for method in descriptor.methods]
            self.policies |= (
                policies(descriptor) if policy is None else dict.fromkeys(paths, policy)
            )
            for path in paths:
                handler = service.service(_Details(path))
                if handler is not None:
                    _check_stream(path, handler)
                    self.handlers[path] = handler


class _Capture:
    """Takes what a generated add function tells a server."""

    def __init__(self) -> None:
        self.services: list[Any] = []

    def add_generic_rpc_handlers(self, handlers: Sequence[Any]) -> None:
        self.services.extend(handlers)

    def add_registered_method_handlers(self, name: str, handlers: object) -> None:
        """The same handlers once more, for servers with threads."""


@dataclass(frozen=True, slots=True)
class _Details:
    """What a service is asked for one of its methods with."""

    method: str


def _check_stream(path: str, handler: Handler) -> None:
    if inspect.iscoroutinefunction(handler.unary_stream or handler.stream_stream):
        raise TypeError(f"{path}: write streams as async generators")


class Server:
    """Bound at once, NOT_SERVING until told."""

    def __init__(
        self,
        listen: str,
        registrations: Sequence[Registration],
        authenticator: Authenticator,
        options: ServerOptions,
    ) -> None:
        handlers: dict[str, Handler] = {}
        known: dict[str, Policy] = {}
        for registration in registrations:
            handlers |= registration.handlers
            known |= registration.policies
        timeout = options.default_timeout_seconds
        pipeline = Pipeline(handlers, known, authenticator, default_timeout=timeout)
        self._server = grpc.aio.server(handlers=(pipeline,), options=options.channel_arguments())
        self._health = health.aio.HealthServicer()
        self._names = ["", *(name for r in registrations for name in r.names)]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            [*self._names[1:], health.SERVICE_NAME, reflection.SERVICE_NAME], self._server
        )
        try:
            self.port = self._server.add_insecure_port(listen)
        except RuntimeError:
            raise CannotListen(
                f"cannot listen on {listen}: the address is in use or not of this machine"
            ) from None

    async def start(self) -> None:
        # The health servicer starts as SERVING; nobody may see that.
        await self._set(health_pb2.HealthCheckResponse.NOT_SERVING)
        await self._server.start()

    async def serving(self) -> None:
        await self._set(health_pb2.HealthCheckResponse.SERVING)

    async def not_serving(self) -> None:
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace: float) -> None:
        """Refuses new calls, lets running ones end for ``grace`` seconds, then cancels them."""
        await self._server.stop(grace)

    async def _set(self, status: Any) -> None:
        for name in self._names:
            await self._health.set(name, status)
