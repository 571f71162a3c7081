"""How many reads may be under way at once, and how much memory all may take; what is over is
refused before anything is done for it.

One gate a service, so that a slow one keeps nobody from the others. A gate is Envoy's adaptive
concurrency filter with its adapting taken out (the least it may allow is the most): what is left is
a counter that all threads share, and that no request can leave without being taken off it, however
it ends. The filters are off but at routes that read.

A gate is reached by whole requests only, and so is a service: else whoever begins one and never
ends it would be under way, and as many as may be would shut everybody out.
"""

from __future__ import annotations

from typing import Final

from eros_gateway.domain.json import Json, Object, extension, seconds

ENTERED: Final = extension("config.route.v3.FilterConfig", config={})
"""What a route says of the gate it leads through."""


WHOLE: Final = "envoy.filters.http.buffer"
"""The name of the filter in front of the gates, which waits for a request's end."""
_BODY: Final = {"max_request_bytes": 1048576}
WAITED_FOR: Final = extension("extensions.filters.http.buffer.v3.BufferPerRoute", buffer=_BODY)
"""What a route says of it where it is on."""


def whole() -> Object:
    """The HTTP filter. What has no body, as reads have none, it lets through at once."""
    return {
        "name": WHOLE,
        "disabled": True,
        "typed_config": extension("extensions.filters.http.buffer.v3.Buffer", **_BODY),
    }


def gate(cluster: str) -> str:
    """The name of the gate before a service."""
    return f"eros.reads.{cluster}"


def closed_gate(cluster: str, most: int) -> Object:
    """The HTTP filter: at most `most` reads of this service at once, others are answered 503."""
    return {
        "name": gate(cluster),
        "disabled": True,
        "typed_config": extension(
            "extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency",
            gradient_controller_config={
                "concurrency_limit_params": {
                    "max_concurrency_limit": most,
                    "concurrency_update_interval": seconds(1),
                },
                # Whatever the time of an answer is held against, the limit stays.
                "min_rtt_calc_params": {"min_concurrency": most, "fixed_value": seconds(1)},
            },
        ),
    }


def heap(most_bytes: int) -> tuple[list[Json], list[Json]]:
    """Envoy's overload manager: what looks at its memory, and what is done when it is nearly all it
    may take. Nothing where that is 0.

    A connection that is kept takes 23 KB, a body that does not end 1 MB: of slow ones some hundreds
    are enough to have a process killed that is not to take more.
    """
    if not most_bytes:
        return [], []
    memory = "envoy.resource_monitors.fixed_heap"
    config = "extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig"
    monitor = {"name": memory, "typed_config": extension(config, max_heap_size_bytes=most_bytes)}
    steps = (
        ("shrink_heap", 0.8),
        ("disable_http_keepalive", 0.85),
        # What is under way goes on. What comes is answered 503; but what it sends has been read.
        ("stop_accepting_requests", 0.9),
        ("stop_accepting_connections", 0.95),
    )
    actions: list[Json] = [
        {
            "name": f"envoy.overload_actions.{action}",
            "triggers": [{"name": memory, "threshold": {"value": share}}],
        }
        for action, share in steps
    ]
    return [monitor], actions
