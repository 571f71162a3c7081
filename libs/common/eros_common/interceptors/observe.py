"""What is noted about a call: one access-log line, and span and duration where telemetry is on."""

from __future__ import annotations

import logging as levels
import time
from collections.abc import Mapping
from typing import Final

from opentelemetry import propagate, trace
from opentelemetry.context import attach
from opentelemetry.trace import SpanKind, StatusCode

from eros_common import logging, telemetry
from eros_common.errors import ErrorCode

OK: Final = "OK"
_SERVER_FAULTS: Final = frozenset(
    {ErrorCode.INTERNAL, ErrorCode.UNKNOWN, ErrorCode.DATA_LOSS, ErrorCode.UNAVAILABLE}
)

log = logging.get("rpc")


class MethodObserver:
    """Notes the calls of one method. Cheap where nobody looks: no span, no line."""

    __slots__ = ("_attributes", "_duration", "_measuring", "_method", "_name", "_tracer")

    def __init__(self, method: str) -> None:
        self._method = method
        self._name = method.lstrip("/")
        service, _, name = self._name.partition("/")
        self._attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}
        self._tracer = telemetry.tracer() if telemetry.enabled() else None
        self._measuring = telemetry.measuring()
        self._duration = telemetry.meter().create_histogram(
            "rpc.server.duration",
            unit="ms",
            description="Duration of a call on the server",
            explicit_bucket_boundaries_advisory=telemetry.MILLISECONDS,
        )

    def begin(self, metadata: Mapping[str, str | bytes]) -> CallObserver:
        span = None
        if self._tracer is not None:
            carrier = {k: v for k, v in metadata.items() if isinstance(v, str)}
            span = self._tracer.start_span(
                self._name,
                context=propagate.extract(carrier),
                kind=SpanKind.SERVER,
                attributes=self._attributes,
            )
            # A call has a task of its own, so there is nothing to detach from: whatever is logged
            # or called from here on belongs to the trace.
            attach(trace.set_span_in_context(span))
        return CallObserver(self, span)

    def record(self, outcome: str, seconds: float) -> None:
        if self._measuring:
            self._duration.record(
                seconds * 1000, {**self._attributes, "rpc.grpc.status_code": outcome}
            )
        if outcome == OK or outcome == ErrorCode.CANCELLED:
            level = levels.DEBUG
        elif outcome in _SERVER_FAULTS:
            level = levels.WARNING
        else:
            level = levels.INFO
        if log.enabled(level):
            log.log(level, "call", method=self._method, code=outcome, ms=round(seconds * 1000, 3))


class CallObserver:
    """One call, from its arrival to its end."""

    __slots__ = ("_method", "_span", "_started")

    def __init__(self, method: MethodObserver, span: trace.Span | None) -> None:
        self._method = method
        self._span = span
        self._started = time.perf_counter()

    def end(self, outcome: str = OK) -> None:
        self._method.record(outcome, time.perf_counter() - self._started)
        if self._span is not None:
            if outcome in _SERVER_FAULTS:
                self._span.set_status(StatusCode.ERROR)
            self._span.set_attribute("rpc.grpc.status_code", outcome)
            self._span.end()
