"""An OTLP collector that keeps the spans it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from opentelemetry.proto.collector.metrics.v1 import (
    metrics_service_pb2,
    metrics_service_pb2_grpc,
)
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


@dataclass(frozen=True, slots=True)
class Span:
    """Ids as hexadecimal digits; instants are wall seconds since 1970."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    begin: float
    end: float


class Collector(
    trace_service_pb2_grpc.TraceServiceServicer, metrics_service_pb2_grpc.MetricsServiceServicer
):
    """What came so far."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.metrics: set[str] = set()
        self.raw: list[bytes] = []
        """Everything that came, with every attribute and event."""
        self._news = asyncio.Event()
        self.url = ""

    async def Export(self, request: Any, context: Any) -> Any:
        self.raw.append(request.SerializeToString())
        if isinstance(request, metrics_service_pb2.ExportMetricsServiceRequest):
            self.metrics |= {
                metric.name
                for resource in request.resource_metrics
                for scope in resource.scope_metrics
                for metric in scope.metrics
            }
            return metrics_service_pb2.ExportMetricsServiceResponse()
        for resource in request.resource_spans:
            names = {a.key: a.value.string_value for a in resource.resource.attributes}
            self.spans += [
                Span(
                    names["service.name"],
                    span.name,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.start_time_unix_nano / 1e9,
                    span.end_time_unix_nano / 1e9,
                )
                for scope in resource.scope_spans
                for span in scope.spans
            ]
        self._news.set()
        return trace_service_pb2.ExportTraceServiceResponse()

    async def trace_with(
        self, *names: str, since: float = 0.0, seconds: float = 20.0
    ) -> dict[str, Span]:
        """The spans, by `service name`, of a trace that has all of these, begun at or after
        `since` (wall seconds); waits for it."""
        async with asyncio.timeout(seconds):
            while True:
                self._news.clear()
                for trace in dict.fromkeys(span.trace for span in self.spans):
                    spans = {
                        f"{s.service} {s.name}": s
                        for s in self.spans
                        if s.trace == trace and s.begin >= since
                    }
                    if spans.keys() >= set(names):
                        return spans
                await self._news.wait()


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """One that listens at `.url`."""
    collector = Collector()
    server = grpc.aio.server()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    collector.url = f"http://127.0.0.1:{port}"
    try:
        yield collector
    finally:
        await server.stop(None)
