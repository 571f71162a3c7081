"""Waiting for a gRPC server to say that it serves."""

from __future__ import annotations

import asyncio

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2

_RETRY_SECONDS = 0.05
_CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.enable_http_proxy", 0),
    # Its own connection: a shared one may still be backing off from the server's last life.
    ("grpc.use_local_subchannel_pool", 1),
)


async def until_serving(address: str) -> None:
    """Returns when the health service at `host:port` answers SERVING for the whole server."""
    async with grpc.aio.insecure_channel(address, options=_CHANNEL_OPTIONS) as channel:
        watch = channel.unary_stream(
            "/grpc.health.v1.Health/Watch",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        while True:
            answers = watch(health_pb2.HealthCheckRequest(), wait_for_ready=True)
            try:
                async for answer in answers:
                    if answer.status == health_pb2.HealthCheckResponse.SERVING:
                        return
            except grpc.aio.AioRpcError as error:
                # It went away while starting; whether it died is seen elsewhere.
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    raise
            finally:
                answers.cancel()
            await asyncio.sleep(_RETRY_SECONDS)
