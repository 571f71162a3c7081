"""gRPC channels to other services."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final, Self

import grpc
from opentelemetry import propagate

from eros_common import telemetry
from eros_common.auth.identity import ServiceIdentity
from eros_common.logging import request_id

REQUEST_ID_KEY: Final = "x-request-id"
AUTHORIZATION_KEY: Final = "authorization"
DEFAULT_TIMEOUT_SECONDS: Final = 10.0
PING_SECONDS: Final = 20.0
MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024
LOOK_UP_AGAIN_MS: Final = 1000
"""How soon names are asked for again when an address has gone; gRPC's own 30 s are longer than pods
take to be replaced, and until then nobody calls the new ones."""

Metadata = Iterable[tuple[str, str | bytes]]


def service_config(*, retry: bool) -> str:
    """Round robin over all addresses; UNAVAILABLE alone is tried again, thrice at most."""
    config: dict[str, Any] = {"loadBalancingConfig": [{"round_robin": {}}]}
    if retry:
        config["methodConfig"] = [
            {
                "name": [{}],
                "retryPolicy": {
                    "maxAttempts": 4,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "1s",
                    "backoffMultiplier": 2.5,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    return json.dumps(config)


def open_channel(
    target: str,
    *,
    audience: str = "",
    identity: ServiceIdentity | None = None,
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ping_seconds: float = PING_SECONDS,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
    retry: bool = True,
) -> grpc.aio.Channel:
    """A channel whose calls carry this service's identity for ``audience`` (if it has one), the
    request id and the trace. Nothing is connected before the first call; close it.

    ``timeout_seconds`` holds for unary calls that give none. ``retry``: an UNAVAILABLE answer is
    tried again, so every unary method of EROS is safe to repeat; say False where one is not.
    """
    options = [
        ("grpc.service_config", service_config(retry=retry)),
        ("grpc.enable_retries", int(retry)),
        ("grpc.keepalive_time_ms", round(ping_seconds * 1000)),
        ("grpc.keepalive_timeout_ms", 5000),
        # Without it a ping may stay unanswered for a minute, whatever the line above says.
        ("grpc.http2.ping_timeout_ms", 5000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.dns_min_time_between_resolutions_ms", LOOK_UP_AGAIN_MS),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2000),
    ]
    inner = grpc.aio.insecure_channel(target, options=options)
    return Channel(inner, audience, identity, timeout_seconds)


class Channel(grpc.aio.Channel):
    """Adds metadata and the default deadline where a call is made.

    A thin wrapper and no client interceptors: those cost a task per call and proxy every stream
    message through a queue.
    """

    def __init__(
        self,
        inner: grpc.aio.Channel,
        audience: str,
        identity: ServiceIdentity | None,
        timeout_seconds: float,
    ) -> None:
        self._inner = inner
        self._audience = audience
        self._identity = identity
        self._timeout = timeout_seconds

    def _metadata(self, given: Metadata | None) -> tuple[tuple[str, str | bytes], ...]:
        metadata = list(given) if given is not None else []
        keys = {key for key, _ in metadata}
        if self._identity is not None and AUTHORIZATION_KEY not in keys:
            metadata.append((AUTHORIZATION_KEY, self._identity.authorization(self._audience)))
        current = request_id.get()
        if current and REQUEST_ID_KEY not in keys:
            metadata.append((REQUEST_ID_KEY, current))
        if telemetry.enabled():
            carrier: dict[str, str] = {}
            propagate.inject(carrier)
            metadata += carrier.items()
        return tuple(metadata)

    def _unary(self, call: Callable[..., Any]) -> Any:
        def start(
            request: Any, *, timeout: float | None = None, metadata: Any = None, **more: Any
        ) -> Any:
            limit = self._timeout if timeout is None else timeout
            return call(request, timeout=limit, metadata=self._metadata(metadata), **more)

        return start

    def _stream(self, call: Callable[..., Any]) -> Any:
        # A stream has no default deadline: it may be meant to live as long as the service.
        def start(*request: Any, metadata: Any = None, **more: Any) -> Any:
            return call(*request, metadata=self._metadata(metadata), **more)

        return start

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any:
        return self._unary(self._inner.unary_unary(*args, **kwargs))

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:
        return self._stream(self._inner.unary_stream(*args, **kwargs))

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:
        return self._stream(self._inner.stream_unary(*args, **kwargs))

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        return self._stream(self._inner.stream_stream(*args, **kwargs))

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._inner.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._inner.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._inner.channel_ready()

    async def close(self, grace: float | None = None) -> None:
        await self._inner.close(grace)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
