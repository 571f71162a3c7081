"""Envoy's own refusals in the one error shape.

The first reply that fits wins. Services' errors are not here: the Lua filter converts those.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from eros_common.errors import ErrorCode
from eros_gateway.domain.headers import IS_GRPC
from eros_gateway.domain.json import Json, Object, extension
from eros_gateway.domain.limits import RETRY_AFTER

ENVOYS_WORDS: Final = "%LOCAL_REPLY_BODY%"
"""Where Envoy, or the route that refuses, says best what is wrong."""


@dataclass(frozen=True, slots=True)
class OwnReply:
    """What to say instead of Envoy when it answers with ``status`` (``GE``: or more)."""

    status: int
    code: ErrorCode
    message: str
    details: str | None = None
    """How Envoy's ``%RESPONSE_CODE_DETAILS%`` must begin."""
    op: Literal["EQ", "GE"] = "EQ"
    answered: int | None = None
    """The status to answer with, where Envoy's own is not ours."""
    retry_after: str | None = None
    """Seconds."""
    percent: int | None = None
    """Of those that come so far, how many have this; the others go on looking."""
    by_transcoder: bool = False
    """The Lua filter looks at it again, for the field it names."""


_DENIED: Final = "jwt_authn_access_denied{"
_BUSY: Final = "This part of EROS cannot be reached now; please try again."

REPLIES: Final = (
    # First, because it is said most often when there is least time to look for it. Who is sent away
    # together does not come back together: a third each after one, two and three seconds.
    OwnReply(503, ErrorCode.UNAVAILABLE, _BUSY, retry_after="1", percent=33),
    OwnReply(503, ErrorCode.UNAVAILABLE, _BUSY, retry_after="2", percent=50),
    OwnReply(503, ErrorCode.UNAVAILABLE, _BUSY, retry_after="3"),
    OwnReply(
        401,
        ErrorCode.UNAUTHENTICATED,
        "Sign in first: this needs an access token (authorization: Bearer TOKEN).",
        details=f"{_DENIED}Jwt_is_missing",
    ),
    OwnReply(
        401,
        ErrorCode.UNAUTHENTICATED,
        "The access token has expired: refresh it.",
        details=f"{_DENIED}Jwt_is_expired",
    ),
    OwnReply(
        401,
        ErrorCode.UNAVAILABLE,
        "Tokens cannot be verified right now; please try again.",
        details=f"{_DENIED}Jwks_remote_fetch",
        answered=503,
        retry_after="1",
    ),
    OwnReply(401, ErrorCode.UNAUTHENTICATED, "The access token is not valid."),
    OwnReply(
        403,
        ErrorCode.UNAUTHENTICATED,
        "The access token is for somebody else.",
        details=f"{_DENIED}Audiences",
        answered=401,
    ),
    OwnReply(
        400,
        ErrorCode.INVALID_ARGUMENT,
        "The path must not hold encoded slashes or a fragment (#).",
        details="path_normalization_failed",
    ),
    OwnReply(
        400,
        ErrorCode.INVALID_ARGUMENT,
        ENVOYS_WORDS,
        details="grpc_json_transcode_failure",
        by_transcoder=True,
    ),
    OwnReply(
        400,
        ErrorCode.INVALID_ARGUMENT,
        ENVOYS_WORDS,
        details="early_grpc_json_transcode_failure",
        by_transcoder=True,
    ),
    # lua/bodies.lua.
    OwnReply(
        400,
        ErrorCode.INVALID_ARGUMENT,
        ENVOYS_WORDS,
        details="lua_response",
        by_transcoder=True,
    ),
    OwnReply(400, ErrorCode.INVALID_ARGUMENT, ENVOYS_WORDS, details="direct_response"),
    OwnReply(400, ErrorCode.INVALID_ARGUMENT, "This is no well-formed request."),
    OwnReply(404, ErrorCode.NOT_FOUND, "There is nothing at this path; /docs lists what there is."),
    OwnReply(405, ErrorCode.METHOD_NOT_ALLOWED, ENVOYS_WORDS),
    OwnReply(408, ErrorCode.REQUEST_TIMEOUT, "The request did not arrive in time."),
    OwnReply(413, ErrorCode.PAYLOAD_TOO_LARGE, "The body is larger than 1 MiB."),
    OwnReply(426, ErrorCode.INVALID_ARGUMENT, "This needs HTTP/1.1 or HTTP/2."),
    OwnReply(
        429,
        ErrorCode.RATE_LIMITED,
        "Too many requests from this address; wait before trying again.",
        retry_after=RETRY_AFTER,
    ),
    OwnReply(431, ErrorCode.HEADERS_TOO_LARGE, "Path and headers are larger than 16 KiB."),
    # A transfer coding that Envoy does not know.
    OwnReply(501, ErrorCode.INVALID_ARGUMENT, "This is no well-formed request.", answered=400),
    OwnReply(502, ErrorCode.UNAVAILABLE, _BUSY, answered=503, retry_after="1"),
    OwnReply(504, ErrorCode.DEADLINE_EXCEEDED, "This took too long; please try again."),
    OwnReply(500, ErrorCode.INTERNAL, "Something went wrong on our side.", op="GE"),
    OwnReply(400, ErrorCode.INVALID_ARGUMENT, "This request is not accepted.", op="GE"),
)


def _header(name: str, match: Object) -> Object:
    return {"header_filter": {"header": {"name": name, **match}}}


# What the transcoder has converted is application/grpc by then, but has its REST path beside it.
_IS_GRPC: Final = (
    _header("content-type", {"string_match": IS_GRPC}),
    _header("x-envoy-original-path", {"present_match": False}),
)
# What Envoy could not read as a request has no id; its connection is in the access log.
_HAS_NO_ID: Final = (_header("x-request-id", {"present_match": False}),)


# What the scripts answer themselves: nobody need look at all the others for it.
_NO_FAULT: Final[Object] = {
    "filter": {
        "status_code_filter": {
            "comparison": {"op": "LE", "value": {"default_value": 399, "runtime_key": "none"}}
        }
    }
}


def mappers() -> list[Json]:
    """``mappers`` of Envoy's ``local_reply_config``.

    There are three of each reply: for gRPC callers, who read the message in ``grpc-message``; for
    what was no request yet; and for everybody else.
    """
    return [_NO_FAULT, *(mapper for reply in REPLIES for mapper in _mappers(reply))]


def _mappers(reply: OwnReply) -> tuple[Object, Object, Object]:
    stand_in = "connection-%CONNECTION_ID%"
    unread = _mapper(reply, _rest_error(reply, stand_in), *_HAS_NO_ID)
    unread.setdefault("headers_to_add", []).append(
        {"header": {"key": "x-request-id", "value": stand_in}}
    )
    return (
        _mapper(reply, {"text_format_source": {"inline_string": reply.message}}, *_IS_GRPC),
        unread,
        _mapper(reply, _rest_error(reply, "%REQ(X-REQUEST-ID)%")),
    )


def _rest_error(reply: OwnReply, request_id: str) -> Object:
    error = {"code": reply.code.value, "message": reply.message, "requestId": request_id}
    answer: Object = {"success": False, "error": error}
    if reply.by_transcoder:
        answer["byTranscoder"] = True
    return {"json_format": answer}


def _mapper(reply: OwnReply, body: Object, *conditions: Object) -> Object:
    comparison = {"op": reply.op, "value": {"default_value": reply.status, "runtime_key": "none"}}
    filters: list[Json] = [{"status_code_filter": {"comparison": comparison}}, *conditions]
    if reply.percent is not None:
        share = {"numerator": reply.percent, "denominator": "HUNDRED"}
        filters.append(
            {
                "runtime_filter": {
                    "runtime_key": "none",
                    "percent_sampled": share,
                    # Of the request's id, which may be the client's own.
                    "use_independent_randomness": True,
                }
            }
        )
    if reply.details is not None:
        begins = extension(
            "extensions.access_loggers.filters.cel.v3.ExpressionFilter",
            expression=f"response.code_details.startsWith('{reply.details}')",
        )
        filters.append({"extension_filter": {"name": "eros.details", "typed_config": begins}})
    mapper: Object = {
        "filter": filters[0] if len(filters) == 1 else {"and_filter": {"filters": filters}},
        "body_format_override": body,
    }
    if reply.answered is not None:
        mapper["status_code"] = reply.answered
    if reply.retry_after is not None:
        mapper["headers_to_add"] = [{"header": {"key": "retry-after", "value": reply.retry_after}}]
    return mapper
