"""How often one address may call, per Envoy process.

Each route has one limit (the policy in the descriptors says which) and a token bucket for every
address, shared with no other route; all but heartbeats count for the sum of all as well. Whoever is
over one of the two is answered 429. Routes carry their limit and their name as metadata, which the
one filter reads.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from eros_common.policy import Access, Limit
from eros_gateway.domain.contract import Method
from eros_gateway.domain.json import Json, Object, extension, seconds

RETRY_AFTER: Final = "%METADATA(ROUTE:eros:retry_after)%"
"""Of an answer 429; every route has it."""
UNCOUNTED: Final[Object] = {"filter_metadata": {"eros": {"retry_after": "1"}}}
"""The metadata of a route that leads nowhere: it counts for the sum only, which is per second."""

# One IPv6 customer has a whole /64.
_ADDRESS: Final = {"masked_remote_address": {"v6_prefix_mask_len": 64}}
# Entries without a value are a bucket for each value there is.
_EACH_ADDRESS: Final = {"key": "masked_remote_address"}
_EACH_ROUTE: Final = {"key": "route"}
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

    @property
    def wait(self) -> int:
        """Whole seconds until there is room again: a bucket gets its tokens one by one."""
        return math.ceil(self.per / max(self.requests, 1))


@dataclass(frozen=True, slots=True)
class Rates:
    """What one address may do: in all but heartbeats, and at each route by its limit.
    ``remembered`` is how many buckets are kept of each limit, and how many of the sum."""

    all: Rate
    of: Mapping[Limit, Rate]
    remembered: int


def limit_of(method: Method) -> Limit:
    """Which limit a method's routes have."""
    if method.policy.limit is not None:
        return method.policy.limit
    if not any(path.verb == "GET" for path in method.rest):
        return Limit.WRITE
    return Limit.OPEN if method.policy.access is Access.PUBLIC else Limit.READ


def counted(method: Method, rates: Rates) -> Object:
    """The metadata of a route, for the filter and for what is said to whom it refuses. All routes
    of a method are one to the limits: the same thing in other words."""
    limit = limit_of(method)
    found = {
        "limit": limit.name.lower(),
        "route": method.grpc_path,
        "retry_after": str(rates.of[limit].wait),
    }
    if limit is Limit.HEARTBEAT:
        found["all"] = "no"
    return {"filter_metadata": {"eros": found}}


def per_address(rates: Rates) -> Object:
    """Envoy's filter: token buckets per route and address. Without a limit in all there is none."""
    enabled = _ALWAYS if rates.all.requests else _NEVER
    buckets: list[Json] = [
        {
            # The limit is there for its figures: looked up among nine, not among all routes.
            "entries": [
                {"key": "limit", "value": limit.name.lower()},
                _EACH_ROUTE,
                _EACH_ADDRESS,
            ],
            "token_bucket": _bucket(rate),
        }
        for limit, rate in rates.of.items()
        if rate.requests
    ]
    buckets.append(
        {
            "entries": [{"key": "all", "value": "yes"}, _EACH_ADDRESS],
            "token_bucket": _bucket(rates.all),
        }
    )
    return extension(
        "extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        stat_prefix="gateway",
        filter_enabled=enabled,
        filter_enforced=enabled,
        token_bucket=_BOTTOMLESS,
        always_consume_default_token_bucket=False,
        descriptors=buckets,
        rate_limits=[
            {"actions": [_of_route("limit"), _of_route("route"), _ADDRESS]},
            # What leads nowhere counts as well.
            {"actions": [_of_route("all", "yes"), _ADDRESS]},
        ],
        max_dynamic_descriptors=rates.remembered,
        enable_x_ratelimit_headers="DRAFT_VERSION_03",
    )


def _bucket(rate: Rate) -> Object:
    return {
        "max_tokens": max(rate.burst, 1),
        "tokens_per_fill": max(rate.requests, 1),
        "fill_interval": seconds(rate.per),
    }


def _of_route(key: str, otherwise: str = "") -> Object:
    action: Object = {
        "descriptor_key": key,
        "metadata_key": {"key": "eros", "path": [{"key": key}]},
        "source": "ROUTE_ENTRY",
    }
    if otherwise:
        action["default_value"] = otherwise
    return {"metadata": action}
