"""What every line carries, without being told."""

from __future__ import annotations

import json
import logging

from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from eros_common.logging import JsonFormatter, request_id


def formatted(message: str = "done") -> dict[str, object]:
    record = logging.LogRecord("eros.thing", logging.INFO, __file__, 1, message, (), None)
    line: dict[str, object] = json.loads(JsonFormatter("activity").format(record))
    return line


def test_a_line_within_a_request_names_it_and_its_trace() -> None:
    context = SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(1))
    token = request_id.set("id-1")
    try:
        with trace.use_span(NonRecordingSpan(context)):
            line = formatted()
    finally:
        request_id.reset(token)
    assert line["requestId"] == "id-1"
    assert line["traceId"] == f"{0xABC:032x}"
    assert line["spanId"] == f"{0xDEF:016x}"
    assert (line["service"], line["level"]) == ("activity", "info")


def test_a_line_outside_of_one_names_none() -> None:
    assert not {"requestId", "traceId", "spanId"} & formatted().keys()
