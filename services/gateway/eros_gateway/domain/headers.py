"""What is taken from a client's headers, and what a browser may read of an answer's."""

from __future__ import annotations

from typing import Final

from eros_gateway.domain.json import Json, Object, extension

BACKGROUND: Final = "x-eros-background"
REQUEST_ID: Final = "x-request-id"

# Headers by which some stacks tell a service who calls. Ours believe only a token, so a client has
# no reason to send any of these.
_SPOOFED_PREFIXES: Final = ("x-eros-", "x-user", "x-auth-", "x-jwt-", "x-service-", "x-envoy-")
_SPOOFED: Final = (
    *("x-roles", "x-forwarded-user", "x-real-ip", "x-remote-user"),
    # Whether a request is traced is ours to say: a trace costs every service something.
    *("traceparent", "tracestate"),
)

# What a gRPC server refuses, or reads as its own: such a header would end the call with an error.
_UNSPEAKABLE: Final = {"safe_regex": {"regex": ".*[^a-z0-9_.:-].*|.*-bin"}}
GRPC_ONLY: Final = ("grpc-timeout", "grpc-encoding", "grpc-accept-encoding")
"""Of gRPC callers; taken out of what comes by REST."""

IS_GRPC: Final = {"safe_regex": {"regex": r"application/grpc(\+.*)?"}}
"""The content type of a native call; that of grpc-web, which nobody speaks here, is another."""

_KEPT: Final = "eros-kept"
_SANE: Final = (
    f"'{REQUEST_ID}' in request.headers && size(request.headers['{REQUEST_ID}']) <= 64 "
    f"&& request.headers['{REQUEST_ID}'].matches('^[A-Za-z0-9._-]+$')"
)

_ALLOWED: Final = (
    *("authorization", "content-type", "idempotency-key", "if-none-match"),
    *(REQUEST_ID, BACKGROUND),
)
_EXPOSED: Final = (
    "etag",
    REQUEST_ID,
    "retry-after",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
)
_METHODS: Final = ("GET", "POST", "PUT", "DELETE")


def mutations() -> list[Json]:
    """Applied before anything else looks at a request: spoofed identities are taken out, and
    request ids that are not 1 to 64 plain characters."""
    sane = f"%CEL({_SANE} ? request.headers['{REQUEST_ID}'] : '')%"
    return [
        *_set(_KEPT, f"%REQ({BACKGROUND})%"),
        *({"remove_on_match": {"key_matcher": {"prefix": name}}} for name in _SPOOFED_PREFIXES),
        *({"remove": name} for name in _SPOOFED),
        {"remove_on_match": {"key_matcher": _UNSPEAKABLE}},
        *_set(BACKGROUND, f"%REQ({_KEPT})%"),
        *_set(_KEPT, sane),
        *_set(REQUEST_ID, f"%REQ({_KEPT})%"),
        {"remove": _KEPT},
    ]


def _set(name: str, value: str) -> list[Json]:
    """Replaces a header; with an empty value it is gone."""
    return [{"remove": name}, {"append": {"header": {"key": name, "value": value}}}]


def cors_policy(origins: tuple[str, ...]) -> Object:
    """Which web pages may call. The app needs none of this; without origins no page may."""
    match = [{"prefix": ""} if origin == "*" else {"exact": origin} for origin in origins]
    return extension(
        "extensions.filters.http.cors.v3.CorsPolicy",
        allow_origin_string_match=match,
        allow_methods=", ".join(_METHODS),
        allow_headers=", ".join(_ALLOWED),
        expose_headers=", ".join(_EXPOSED),
        max_age="86400",
    )
