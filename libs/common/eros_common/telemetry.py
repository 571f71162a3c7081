"""OpenTelemetry: off unless an endpoint is set.

Code uses the API (``meter()``, ``tracer()``); without an SDK behind it every call is a no-op. The
SDK and its exporter are imported only when there is somewhere to send to.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from opentelemetry import metrics, trace

_NAME: Final = "eros"


def tracer() -> trace.Tracer:
    return trace.get_tracer(_NAME)


def meter() -> metrics.Meter:
    return metrics.get_meter(_NAME)


def enabled() -> bool:
    """Whether spans and metrics go anywhere."""
    # The API hands out a proxy until an SDK is put behind it.
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


@asynccontextmanager
async def exporting(service: str, endpoint: str) -> AsyncIterator[None]:
    """Sends traces and metrics to an OTLP endpoint (gRPC, such as ``http://collector:4317``) until
    the block ends; does nothing where the endpoint is empty."""
    if not endpoint:
        yield
        return
    # Lazy: these imports cost a quarter of a second and are needed here only.
    import asyncio

    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": f"eros-{service}"})
    insecure = not endpoint.startswith("https://")
    traces = TracerProvider(resource=resource)
    traces.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, insecure=insecure))
    )
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=endpoint, insecure=insecure))
    measures = MeterProvider(resource=resource, metric_readers=[reader])
    trace.set_tracer_provider(traces)
    metrics.set_meter_provider(measures)
    try:
        yield
    finally:
        # Both flush over the network and block while they do.
        await asyncio.to_thread(traces.shutdown)
        await asyncio.to_thread(measures.shutdown)
