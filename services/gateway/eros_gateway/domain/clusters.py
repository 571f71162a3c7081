"""Where the services are, as Envoy's clusters."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final

from eros_gateway.domain.json import Json, Object, extension, seconds

_H2_KEEPALIVE: Final = {"interval": seconds(30), "timeout": seconds(5)}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``host:port``, or the path of a unix socket (then there is no port)."""

    host: str
    port: int | None = None

    @property
    def address(self) -> Object:
        """As Envoy's ``core.Address``."""
        if self.port is None:
            return {"pipe": {"path": self.host}}
        return {"socket_address": {"address": self.host, "port_value": self.port}}

    @property
    def named(self) -> bool:
        """Whether its addresses must be asked of the DNS."""
        if self.port is None:
            return False
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return True
        return False


def listening(address: str) -> Endpoint:
    """Where to listen, from ``host:port``."""
    host, _, port = address.rpartition(":")
    return Endpoint(host.strip("[]"), int(port))


def endpoints(targets: str) -> tuple[Endpoint, ...]:
    """Several gRPC targets between commas: ``host:port``, ``dns:///name:port``, ``unix:path``.
    ``ValueError`` says which is none."""
    found = tuple(_endpoint(target.strip()) for target in targets.split(","))
    if len(set(found)) < len(found):
        raise ValueError("names the same endpoint twice")
    return found


def _endpoint(target: str) -> Endpoint:
    if target.startswith("unix:"):
        return Endpoint(target.removeprefix("unix:").removeprefix("//"))
    host, _, port = target.removeprefix("dns:").lstrip("/").rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{target!r} is not host:port, dns:///name:port or unix:path")
    return Endpoint(host.strip("[]"), int(port))


def service_cluster(
    name: str, where: tuple[Endpoint, ...], *, max_reads: int, max_requests: int
) -> Object:
    """A service: HTTP/2, asked for its health, protected from more calls than it can hold.

    ``max_reads`` and ``max_requests`` are how many reads, and how many other calls, may be under
    way at once in each Envoy and per endpoint of `where`; more are answered 503.
    """
    return {
        **_grpc_cluster(name, where),
        "health_checks": [
            {
                "grpc_health_check": {},
                "timeout": seconds(2),
                "interval": seconds(2),
                "unhealthy_interval": seconds(0.5),
                "no_traffic_interval": seconds(2),
                "no_traffic_healthy_interval": seconds(2),
                "unhealthy_threshold": 2,
                "healthy_threshold": 1,
            }
        ],
        "common_lb_config": {
            # With nobody healthy, say so at once instead of trying the ill.
            "healthy_panic_threshold": {"value": 0},
        },
        # A lone endpoint is kept.
        "outlier_detection": _ejection(most_percent=50),
        "circuit_breakers": {
            "thresholds": [
                _threshold("DEFAULT", max_reads * len(where)),
                _threshold("HIGH", max_requests * len(where)),
            ]
        },
    }


def _ejection(*, most_percent: int) -> Object:
    """When an endpoint is left alone for a while, and how many of them at once."""
    return {
        "consecutive_gateway_failure": 5,
        "enforcing_consecutive_gateway_failure": 100,
        # A service that answers INTERNAL is wrong, not gone.
        "enforcing_consecutive_5xx": 0,
        "enforcing_success_rate": 0,
        "interval": seconds(1),
        "base_ejection_time": seconds(2),
        "max_ejection_time": seconds(30),
        "max_ejection_percent": most_percent,
    }


def _threshold(priority: str, most: int) -> Object:
    """Routes say which of the two they count for."""
    return {
        "priority": priority,
        "max_requests": most,
        "max_pending_requests": most,
        "retry_budget": {"budget_percent": {"value": 10}, "min_retry_concurrency": 3},
    }


def access_log_cluster(where: tuple[Endpoint, ...]) -> Object:
    """The activity service's access-log port."""
    return _grpc_cluster("als", where)


def reads_cluster(name: str, where: tuple[Endpoint, ...], *, max_reads: int) -> Object:
    """A service's read port, plain HTTP/1.1. Where it is not well nobody waits for it: the service
    itself is asked."""
    return {
        "name": name,
        **_discovery(where),
        "connect_timeout": seconds(0.25),
        "load_assignment": _assignment(name, [endpoint.address for endpoint in where]),
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "outlier_detection": _ejection(most_percent=100),
        "circuit_breakers": {"thresholds": [_threshold("DEFAULT", max_reads * len(where))]},
    }


def collector_cluster(name: str, where: Endpoint, *, tls: bool) -> Object:
    """A collector of telemetry."""
    cluster = _grpc_cluster(name, (where,))
    if tls:
        cluster["transport_socket"] = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": extension(
                "extensions.transport_sockets.tls.v3.UpstreamTlsContext", sni=where.host
            ),
        }
    return cluster


def jwks_cluster(socket: Endpoint) -> Object:
    """The listener "jwks" of this same Envoy."""
    return {
        "name": "jwks",
        "type": "STATIC",
        "connect_timeout": seconds(1),
        "load_assignment": _assignment("jwks", [socket.address]),
    }


def clock_cluster() -> Object:
    """The listener "clock" of this same Envoy, in the thread that asks."""
    address: Json = {"envoy_internal_address": {"server_listener_name": "clock"}}
    return {
        "name": "clock",
        "type": "STATIC",
        "connect_timeout": seconds(0.25),
        "load_assignment": _assignment("clock", [address]),
    }


def _grpc_cluster(name: str, where: tuple[Endpoint, ...]) -> Object:
    return {
        "name": name,
        **_discovery(where),
        "connect_timeout": seconds(1),
        "load_assignment": _assignment(name, [endpoint.address for endpoint in where]),
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": extension(
                "extensions.upstreams.http.v3.HttpProtocolOptions",
                explicit_http_config={
                    "http2_protocol_options": {"connection_keepalive": _H2_KEEPALIVE}
                },
            )
        },
    }


def _discovery(where: tuple[Endpoint, ...]) -> Object:
    if not any(endpoint.named for endpoint in where):
        return {"type": "STATIC"}
    dns = extension(
        "extensions.clusters.dns.v3.DnsCluster",
        # Every address a name has is an endpoint of its own.
        all_addresses_in_single_endpoint=False,
        dns_lookup_family="V4_PREFERRED",
        dns_refresh_rate=seconds(2),
    )
    return {"cluster_type": {"name": "envoy.clusters.dns", "typed_config": dns}}


def _assignment(name: str, addresses: list[Json]) -> Object:
    hosts = [{"endpoint": {"address": address}} for address in addresses]
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": hosts}]}
