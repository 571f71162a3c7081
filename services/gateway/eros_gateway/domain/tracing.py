"""Envoy's own spans: where they go, and which requests have any."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from eros_gateway.domain.clusters import Endpoint, collector_cluster
from eros_gateway.domain.json import Json, extension, seconds

_CLUSTER: Final = "otel"
_DEFAULT_PORT: Final = 4317


def tracing(endpoint: str, percent: float) -> Json:
    """``HttpConnectionManager.Tracing``; None where there is no OTLP endpoint.

    What a client says of its own trace is not listened to: it could have all of its requests
    recorded.
    """
    if not endpoint:
        return None
    return {
        "random_sampling": {"value": percent},
        "client_sampling": {"value": 0},
        "spawn_upstream_span": False,
        "provider": {
            "name": "envoy.tracers.opentelemetry",
            "typed_config": extension(
                "config.trace.v3.OpenTelemetryConfig",
                grpc_service={"envoy_grpc": {"cluster_name": _CLUSTER}, "timeout": seconds(2)},
                service_name="eros-gateway",
            ),
        },
    }


def runtime(delay_ms: int) -> dict[str, Json]:
    """How long spans are kept to be sent together: for this Envoy has no other place."""
    return {"tracing.opentelemetry.flush_interval_ms": delay_ms}


def log_tags(endpoint: str) -> list[Json]:
    """What the access-log stream says of the trace of a request that Envoy answers itself: only its
    router writes a ``traceparent`` header. Whether it is recorded is in the request id."""
    return [{"tag": "trace", "value": "00-%TRACE_ID%-%SPAN_ID%"}] if endpoint else []


def collectors(endpoint: str) -> list[Json]:
    """The collector as a cluster; none where there is no endpoint."""
    if not endpoint:
        return []
    url = urlsplit(endpoint)
    where = Endpoint(url.hostname or "", url.port or _DEFAULT_PORT)
    return [collector_cluster(_CLUSTER, where, tls=url.scheme == "https")]
