"""How often one address may call, per Envoy process."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from eros_common.policy import Access
from eros_gateway.domain.contract import Method
from eros_gateway.domain.json import Object, extension, seconds

# One IPv6 customer has a whole /64.
_ADDRESS: Final = {"masked_remote_address": {"v6_prefix_mask_len": 64}}
_KEY: Final = "masked_remote_address"
_ALWAYS: Final = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
_NEVER: Final = {"default_value": {"numerator": 0, "denominator": "HUNDRED"}}
# The filter wants a bucket for everybody together as well; this one is never empty.
_BOTTOMLESS: Final = {
    "max_tokens": 4_000_000_000,
    "tokens_per_fill": 4_000_000_000,
    "fill_interval": seconds(1),
}


@dataclass(frozen=True, slots=True)
class Rate:
    """``requests`` per ``per`` seconds, and ``burst`` at once; 0 requests: no limit."""

    requests: int
    per: float
    burst: int


@dataclass(frozen=True, slots=True)
class Rates:
    """What one address may do. ``remembered`` is how many addresses are kept in mind at once."""

    request: Rate
    sign_in: Rate
    remembered: int


def is_sign_in(method: Method) -> bool:
    """Whether a call can be used to guess secrets or costs a password hash: it needs no token and
    is no read."""
    return method.policy.access is Access.PUBLIC and any(path.verb != "GET" for path in method.rest)


def per_address(rate: Rate, remembered: int) -> Object:
    """Envoy's filter configuration: a token bucket per address. On a route it stands instead of
    what the listener has, with buckets of its own."""
    bucket = {
        "max_tokens": max(rate.burst, 1),
        "tokens_per_fill": max(rate.requests, 1),
        "fill_interval": seconds(rate.per),
    }
    enabled = _ALWAYS if rate.requests else _NEVER
    return extension(
        "extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        stat_prefix="gateway",
        filter_enabled=enabled,
        filter_enforced=enabled,
        token_bucket=_BOTTOMLESS,
        always_consume_default_token_bucket=False,
        # A descriptor without a value is a bucket for each value there is.
        descriptors=[{"entries": [{"key": _KEY}], "token_bucket": bucket}],
        rate_limits=[{"actions": [_ADDRESS]}],
        response_headers_to_add=[_retry_after(rate)],
        max_dynamic_descriptors=remembered,
        enable_x_ratelimit_headers="DRAFT_VERSION_03",
    )


def _retry_after(rate: Rate) -> Object:
    # A bucket gets its tokens one by one: the next comes within this time.
    wait = math.ceil(rate.per / max(rate.requests, 1))
    return {"header": {"key": "retry-after", "value": str(wait)}}
