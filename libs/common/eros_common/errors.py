"""Domain errors and their one mapping to gRPC and HTTP.

Raise an ``ErosError`` anywhere below a servicer; the interceptor turns it into a
``google.rpc.Status`` (ErrorInfo, BadRequest, RequestInfo) and the gateway turns that into the REST
error. ``from_rpc_error`` does the way back for callers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final

import grpc
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2, status_pb2

DOMAIN: Final = "eros"
STATUS_DETAILS_KEY: Final = "grpc-status-details-bin"
# Statuses travel in trailers, and both sides refuse more than 8 KB of those.
MAX_FIELDS: Final = 16
MAX_FIELD_NAME: Final = 100
MAX_TEXT: Final = 200


class ErrorCode(StrEnum):
    """What the REST error calls ``code``."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    NOT_FOUND = "NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    ABORTED = "ABORTED"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    REQUEST_TIMEOUT = "REQUEST_TIMEOUT"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    HEADERS_TOO_LARGE = "HEADERS_TOO_LARGE"
    RATE_LIMITED = "RATE_LIMITED"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    CANCELLED = "CANCELLED"
    UNKNOWN = "UNKNOWN"
    INTERNAL = "INTERNAL"
    DATA_LOSS = "DATA_LOSS"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    UNAVAILABLE = "UNAVAILABLE"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"


TABLE: Final[dict[ErrorCode, tuple[grpc.StatusCode, int]]] = {
    ErrorCode.INVALID_ARGUMENT: (grpc.StatusCode.INVALID_ARGUMENT, 400),
    ErrorCode.UNAUTHENTICATED: (grpc.StatusCode.UNAUTHENTICATED, 401),
    ErrorCode.PERMISSION_DENIED: (grpc.StatusCode.PERMISSION_DENIED, 403),
    ErrorCode.NOT_FOUND: (grpc.StatusCode.NOT_FOUND, 404),
    # These five are HTTP's and the gateway's: gRPC has no status of its own for them.
    ErrorCode.METHOD_NOT_ALLOWED: (grpc.StatusCode.UNIMPLEMENTED, 405),
    ErrorCode.REQUEST_TIMEOUT: (grpc.StatusCode.DEADLINE_EXCEEDED, 408),
    ErrorCode.PAYLOAD_TOO_LARGE: (grpc.StatusCode.RESOURCE_EXHAUSTED, 413),
    ErrorCode.HEADERS_TOO_LARGE: (grpc.StatusCode.RESOURCE_EXHAUSTED, 431),
    ErrorCode.RATE_LIMITED: (grpc.StatusCode.RESOURCE_EXHAUSTED, 429),
    ErrorCode.ALREADY_EXISTS: (grpc.StatusCode.ALREADY_EXISTS, 409),
    ErrorCode.ABORTED: (grpc.StatusCode.ABORTED, 409),
    ErrorCode.FAILED_PRECONDITION: (grpc.StatusCode.FAILED_PRECONDITION, 400),
    ErrorCode.OUT_OF_RANGE: (grpc.StatusCode.OUT_OF_RANGE, 400),
    ErrorCode.RESOURCE_EXHAUSTED: (grpc.StatusCode.RESOURCE_EXHAUSTED, 429),
    ErrorCode.CANCELLED: (grpc.StatusCode.CANCELLED, 499),
    ErrorCode.UNKNOWN: (grpc.StatusCode.UNKNOWN, 500),
    ErrorCode.INTERNAL: (grpc.StatusCode.INTERNAL, 500),
    ErrorCode.DATA_LOSS: (grpc.StatusCode.DATA_LOSS, 500),
    ErrorCode.UNIMPLEMENTED: (grpc.StatusCode.UNIMPLEMENTED, 501),
    ErrorCode.UNAVAILABLE: (grpc.StatusCode.UNAVAILABLE, 503),
    ErrorCode.DEADLINE_EXCEEDED: (grpc.StatusCode.DEADLINE_EXCEEDED, 504),
}
"""The one table: code -> (gRPC status, HTTP status)."""


@dataclass(frozen=True, slots=True)
class FieldFault:
    """One field of a request and what is wrong with it.

    ``field`` is the REST name: lowerCamelCase, dots between levels, ``[i]`` for list items.
    """

    field: str
    message: str


class ErosError(Exception):
    """A refusal with a code, a sentence for people, and the fields it is about."""

    default_code: ClassVar[ErrorCode] = ErrorCode.INTERNAL

    def __init__(
        self,
        message: str,
        *fields: FieldFault,
        code: ErrorCode | None = None,
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        """``retry_after``: seconds until trying again makes sense."""
        super().__init__(message)
        self.message = message
        self.fields = fields
        self.code = code or self.default_code
        self.request_id = request_id
        self.retry_after = retry_after

    @property
    def grpc_status(self) -> grpc.StatusCode:
        return TABLE[self.code][0]

    @property
    def http_status(self) -> int:
        return TABLE[self.code][1]


class InvalidArgument(ErosError):
    """The request is wrong whatever the state of the system."""

    default_code = ErrorCode.INVALID_ARGUMENT


class Unauthenticated(ErosError):
    """Nobody, or nobody we believe."""

    default_code = ErrorCode.UNAUTHENTICATED


class PermissionDenied(ErosError):
    """We know who it is, and they may not."""

    default_code = ErrorCode.PERMISSION_DENIED


class NotFound(ErosError):
    """There is no such thing, or not for this caller."""

    default_code = ErrorCode.NOT_FOUND


class AlreadyExists(ErosError):
    """It exists already."""

    default_code = ErrorCode.ALREADY_EXISTS


class FailedPrecondition(ErosError):
    """The state of the system does not allow it now."""

    default_code = ErrorCode.FAILED_PRECONDITION


class ResourceExhausted(ErosError):
    """A limit is reached; later it may work."""

    default_code = ErrorCode.RESOURCE_EXHAUSTED


class RateLimited(ErosError):
    """Too often from one place or for one account."""

    default_code = ErrorCode.RATE_LIMITED


class Unavailable(ErosError):
    """A part is not there now; trying again is right."""

    default_code = ErrorCode.UNAVAILABLE


class DeadlineExceeded(ErosError):
    """It took longer than allowed."""

    default_code = ErrorCode.DEADLINE_EXCEEDED


_BY_CODE: Final[dict[ErrorCode, type[ErosError]]] = {
    kind.default_code: kind
    for kind in (
        InvalidArgument,
        Unauthenticated,
        PermissionDenied,
        NotFound,
        AlreadyExists,
        FailedPrecondition,
        ResourceExhausted,
        RateLimited,
        Unavailable,
        DeadlineExceeded,
    )
}


def to_status(error: ErosError, request_id: str = "") -> status_pb2.Status:
    """The error as ``google.rpc.Status`` with its details; long lists and texts are cut."""
    status = status_pb2.Status(code=error.grpc_status.value[0], message=error.message[:MAX_TEXT])
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=error.code, domain=DOMAIN))
    if error.fields:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(
                field=f.field[:MAX_FIELD_NAME], description=f.message[:MAX_TEXT]
            )
            for f in error.fields[:MAX_FIELDS]
        ]
        status.details.add().Pack(error_details_pb2.BadRequest(field_violations=violations))
    if error.retry_after is not None:
        delay = duration_pb2.Duration(seconds=max(1, math.ceil(error.retry_after)))
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    if request_id:
        status.details.add().Pack(error_details_pb2.RequestInfo(request_id=request_id))
    return status


def from_status(status: status_pb2.Status) -> ErosError:
    """The error that ``to_status`` wrote; foreign statuses keep their gRPC code."""
    code = _code_of_number(status.code)
    fields: list[FieldFault] = []
    request_id = ""
    info = error_details_pb2.ErrorInfo()
    bad = error_details_pb2.BadRequest()
    request = error_details_pb2.RequestInfo()
    retry = error_details_pb2.RetryInfo()
    retry_after: float | None = None
    for detail in status.details:
        if detail.Unpack(info) and info.domain == DOMAIN and info.reason in ErrorCode.__members__:
            code = ErrorCode(info.reason)
        elif detail.Unpack(bad):
            fields += [FieldFault(v.field, v.description) for v in bad.field_violations]
        elif detail.Unpack(request):
            request_id = request.request_id
        elif detail.Unpack(retry):
            retry_after = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    kind = _BY_CODE.get(code, ErosError)
    return kind(status.message, *fields, code=code, request_id=request_id, retry_after=retry_after)


def from_rpc_error(error: grpc.aio.AioRpcError) -> ErosError:
    """What a failed call means, as an ``ErosError``."""
    for key, value in error.trailing_metadata() or ():
        if key == STATUS_DETAILS_KEY and isinstance(value, bytes):
            return from_status(status_pb2.Status.FromString(value))
    status = status_pb2.Status(code=error.code().value[0], message=error.details() or "")
    return from_status(status)


def code_of(status: grpc.StatusCode) -> ErrorCode:
    """The code that has the same name as the gRPC status."""
    return ErrorCode.__members__.get(status.name, ErrorCode.UNKNOWN)


def _code_of_number(number: int) -> ErrorCode:
    for status in grpc.StatusCode:
        if status.value[0] == number:
            return code_of(status)
    return ErrorCode.UNKNOWN
