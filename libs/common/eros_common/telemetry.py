"""OpenTelemetry: off unless it is told where to send to, or where to be read.

Code uses the API (``meter()``, ``tracer()``); without an SDK behind it every call is a no-op. The
SDK and its exporters are imported only when there is somewhere to send to. Every instrument has a
row in ``docs/metrics.md``; ``./eros check`` compares.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opentelemetry import context, metrics, propagate, trace

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader
    from opentelemetry.sdk.resources import Resource

_NAME: Final = "eros"

MILLISECONDS: Final = (
    *(1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 50.0, 75.0, 100.0, 150.0),
    *(250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0),
)
"""Bucket bounds of histograms of waits: fine around the promises (5, 20, 50, 500 ms)."""


class CannotExpose(Exception):
    """The address for metrics is in use or not ours."""


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where telemetry goes: an OTLP endpoint (gRPC, such as ``http://collector:4317``), and
    ``host:port`` at which Prometheus may read the metrics; empty: nowhere."""

    otlp: str = ""
    prometheus: str = ""


def tracer() -> trace.Tracer:
    return trace.get_tracer(_NAME)


def meter() -> metrics.Meter:
    return metrics.get_meter(_NAME)


def enabled() -> bool:
    """Whether spans go anywhere."""
    # The API hands out a proxy until an SDK is put behind it.
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def measuring() -> bool:
    """Whether metrics go anywhere."""
    # As above; the metrics API keeps the type of its proxy to itself.
    return type(metrics.get_meter_provider()).__name__ != "_ProxyMeterProvider"


def traceparent() -> str:
    """The current span as a W3C ``traceparent``, for what leaves this task by another way than a
    call; empty where nothing is recorded."""
    if not trace.get_current_span().get_span_context().trace_flags.sampled:
        return ""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get("traceparent", "")


def note(name: str, parent: str, begin: float, end: float, **attributes: str) -> str:
    """A span that is over: wall seconds since 1970, below the span that a ``traceparent`` names.
    Returns its own ``traceparent``; empty where nothing is recorded."""
    if not parent or not enabled():
        return ""
    above = propagate.extract({"traceparent": parent})
    span = tracer().start_span(
        name, context=above, start_time=round(begin * 1e9), attributes=attributes
    )
    span.end(end_time=round(end * 1e9))
    with trace.use_span(span):
        return traceparent()


@contextmanager
def below(parent: str) -> Iterator[None]:
    """Calls that are made inside belong to the trace of a ``traceparent``."""
    token = context.attach(propagate.extract({"traceparent": parent}))
    try:
        yield
    finally:
        context.detach(token)


@asynccontextmanager
async def exporting(service: str, outlets: Outlets) -> AsyncIterator[None]:
    """Sends traces and metrics to the outlets until the block ends; does nothing without any.

    Raises ``CannotExpose``.
    """
    if not outlets.otlp and not outlets.prometheus:
        yield
        return
    # Lazy: these imports cost a quarter of a second and are needed here only.
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource

    resource = Resource.create({"service.name": f"eros-{service}"})
    readers: list[MetricReader] = []
    async with AsyncExitStack() as stack:
        if outlets.prometheus:
            readers.append(_exposed(stack, outlets.prometheus))
        if outlets.otlp:
            readers.append(_sent(stack, outlets.otlp, resource))
        measures = MeterProvider(resource=resource, metric_readers=readers)
        metrics.set_meter_provider(measures)
        # It flushes over the network and blocks while it does.
        stack.push_async_callback(asyncio.to_thread, measures.shutdown)
        yield


def _sent(stack: AsyncExitStack, endpoint: str, resource: Resource) -> MetricReader:
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    insecure = not endpoint.startswith("https://")
    traces = TracerProvider(resource=resource)
    traces.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, insecure=insecure))
    )
    trace.set_tracer_provider(traces)
    stack.push_async_callback(asyncio.to_thread, traces.shutdown)
    return PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=endpoint, insecure=insecure))


def _exposed(stack: AsyncExitStack, listen: str) -> MetricReader:
    from opentelemetry.exporter.prometheus import PrometheusMetricReader

    # Its own registry also tells memory, CPU time and open files of the process.
    from prometheus_client import REGISTRY, start_http_server

    host, _, port = listen.rpartition(":")
    try:
        server, thread = start_http_server(int(port), host.strip("[]"), REGISTRY)
    except OSError as error:
        raise CannotExpose(f"cannot show metrics on {listen}: {error.strerror or error}") from None

    async def close() -> None:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        await asyncio.to_thread(thread.join)

    stack.push_async_callback(close)
    return PrometheusMetricReader()
