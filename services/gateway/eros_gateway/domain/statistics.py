"""What Envoy counts, for whoever collects it: a listener that gives away its statistics and whether
it is ready, and nothing else of what the admin interface behind it could do."""

from __future__ import annotations

from typing import Final

from eros_gateway.domain.clusters import Endpoint
from eros_gateway.domain.json import Json, Object, extension

_CLUSTER: Final = "admin"
_ROUTE: Final = "%ROUTE_NAME%"
#: Only what was ever counted: a tenth of all that Envoy has names for.
_PATHS: Final = {"/metrics": "/stats/prometheus?usedonly", "/ready": "/ready"}


def listeners(listen: Endpoint | None) -> list[Json]:
    """The listener; none where there is no address for it."""
    if listen is None:
        return []
    manager = extension(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="statistics",
        request_timeout="5s",
        stream_idle_timeout="10s",
        route_config={
            "name": "statistics",
            "virtual_hosts": [{"name": "statistics", "domains": ["*"], "routes": _routes()}],
        },
        http_filters=[
            {
                "name": "envoy.filters.http.router",
                "typed_config": extension("extensions.filters.http.router.v3.Router"),
            }
        ],
    )
    hcm = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    return [
        {
            "name": "statistics",
            "address": listen.address,
            # However many strangers hold: else its probes fail when it is busy, and it is killed.
            "ignore_global_conn_limit": True,
            "bypass_overload_manager": True,
            # Who asks for them is told of a drain like everybody else: no new connections.
            "filter_chains": [{"filters": [hcm]}],
        }
    ]


def access_logs(listen: Endpoint | None) -> list[Json]:
    """What measures each route: ``envoy_edge_request_time{route=…}``, milliseconds from the end of
    a request to the beginning of its answer, whoever gave it. None where nobody could read it.

    Envoy's own measures of routes are those of its router, which sees nothing of what is answered
    before it: nearly all heartbeats and cached reads."""
    if listen is None:
        return []
    histogram = {
        # The names are the contract's; a request that has none shares one.
        "stat": {"name": "request_time", "tags": [{"name": "route", "value_format": _ROUTE}]},
        "unit": "Milliseconds",
        "value_format": "%COMMON_DURATION(DS_RX_END:DS_TX_BEG:ms)%",
    }
    logger = "extensions.access_loggers.stats.v3.Config"
    return [
        {
            "name": "envoy.access_loggers.stats",
            "typed_config": extension(logger, stat_prefix="edge", histograms=[histogram]),
        }
    ]


def cluster(admin_socket: Endpoint) -> Object:
    """The admin interface of this same Envoy."""
    return {
        "name": _CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": _CLUSTER,
            "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": admin_socket.address}}]},
            ],
        },
    }


def _routes() -> list[Json]:
    known: list[Json] = [
        {
            # With its query, which must be none: nothing that the caller wrote goes on.
            "match": {
                "path": path,
                "headers": [_exactly(":method", "GET"), _exactly(":path", path)],
            },
            "route": {"cluster": _CLUSTER, "timeout": "5s", "prefix_rewrite": target},
        }
        for path, target in _PATHS.items()
    ]
    return [*known, {"match": {"prefix": "/"}, "direct_response": {"status": 404}}]


def _exactly(header: str, value: str) -> Object:
    return {"name": header, "string_match": {"exact": value}}
