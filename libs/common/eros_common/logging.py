"""Structured logs: one JSON object a line, or text for people.

Events have stable dotted names (``activity.sweep.done``) and fields; there are no sentences to
parse. The request id, and the trace id where there is one, are added by themselves.
"""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

from opentelemetry import trace

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request being served; empty outside of one."""

_FIELDS: Final = "eros_fields"
LogFormat = Literal["json", "text"]


class Log:
    """Logs events below one dotted name."""

    __slots__ = ("_logger",)

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, event: str, /, **fields: object) -> None:
        self._emit(logging.DEBUG, event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        self._emit(logging.INFO, event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        self._emit(logging.WARNING, event, fields)

    def error(self, event: str, /, *, cause: BaseException | None = None, **fields: object) -> None:
        """With ``cause``, its traceback too."""
        self._emit(logging.ERROR, event, fields, cause)

    def exception(self, event: str, /, **fields: object) -> None:
        """An error with the traceback of the exception being handled."""
        self._emit(logging.ERROR, event, fields, sys.exception())

    def log(self, level: int, event: str, /, **fields: object) -> None:
        self._emit(level, event, fields)

    def enabled(self, level: int) -> bool:
        return self._logger.isEnabledFor(level)

    def _emit(
        self,
        level: int,
        event: str,
        fields: dict[str, object],
        cause: BaseException | None = None,
    ) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, event, extra={_FIELDS: fields}, exc_info=cause)


def get(name: str) -> Log:
    """The log of one part, such as ``activity.sweep``."""
    return Log(logging.getLogger(name))


def configure(
    *, fmt: LogFormat = "json", level: str = "INFO", service: str = "", stream: TextIO | None = None
) -> None:
    """Sets up the root logger once per process."""
    handler = logging.StreamHandler(stream or sys.stderr)
    formatter: logging.Formatter
    match fmt:
        case "json":
            formatter = JsonFormatter(service)
        case "text":
            formatter = TextFormatter(service)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def _trace_ids() -> dict[str, str]:
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"traceId": format(context.trace_id, "032x"), "spanId": format(context.span_id, "016x")}


def _event_of(record: logging.LogRecord) -> tuple[str, dict[str, object]]:
    fields: dict[str, object] | None = getattr(record, _FIELDS, None)
    if fields is None:
        # A library's sentence: it goes into a field of its own.
        return record.name, {"message": record.getMessage()}
    return f"{record.name}.{record.msg}", fields


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        event, fields = _event_of(record)
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self._service,
            "event": event,
        }
        if current := request_id.get():
            line["requestId"] = current
        line |= _trace_ids()
        line.update(fields)
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """``12:00:01.123 info  activity.sweep.done users=3``"""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        event, fields = _event_of(record)
        at = datetime.fromtimestamp(record.created).astimezone()
        parts = [at.strftime("%H:%M:%S.%f")[:-3], f"{record.levelname.lower():<7}", event]
        parts += [f"{key}={value}" for key, value in fields.items()]
        if current := request_id.get():
            parts.append(f"requestId={current}")
        text = " ".join(parts)
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text
