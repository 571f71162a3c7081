"""What Envoy reads, from the template, the settings and the contract."""

from __future__ import annotations

import base64
import json
import os
from importlib import resources
from pathlib import Path
from string import Template
from typing import Final

from eros_common.auth.tokens import USER_AUDIENCE, USER_ISSUER
from eros_common.errors import TABLE, code_of
from eros_gateway.config import GatewaySettings, jwks_socket, split, tls_secret
from eros_gateway.domain import clusters, headers, replies, shedding, statistics, tls, tracing
from eros_gateway.domain.clusters import Endpoint
from eros_gateway.domain.contract import Contract, read_contract
from eros_gateway.domain.json import Json, seconds
from eros_gateway.domain.limits import per_address
from eros_gateway.domain.routes import Limits, routes

_LUA: Final = (
    "json.lua",
    "errors.lua",
    "gather.lua",
    "stamp.lua",
    "ended.lua",
    "heartbeat.lua",
    "status.lua",
    "etag.lua",
    "cached.lua",
    "bodies.lua",
    "edge.lua",
)
_MIB: Final = 1024 * 1024


def write(settings: GatewaySettings, configuration: Path) -> None:
    """Writes all that Envoy reads: its configuration there, and beside its admin socket which
    certificate it has. ``ContractFault`` if the descriptors are wrong."""
    if (files := settings.certificate_and_key) is not None:
        secret = tls.secret(*files)
        _put(tls_secret(settings.gateway_admin_socket), json.dumps(secret))
    _put(configuration, _render(settings))


def _put(path: Path, text: str) -> None:
    """Puts the file there whole or not at all, for its owner only."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with open(draft, "w", encoding="utf-8", opener=_private) as file:
        file.write(text)
    draft.replace(path)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _render(settings: GatewaySettings) -> str:
    """Envoy's bootstrap configuration as YAML."""
    contract = read_contract(settings.descriptor_set.read_bytes())
    values = {name: json.dumps(value) for name, value in _values(settings, contract).items()}
    monitors, actions = shedding.heap(settings.gateway_max_heap_mib * _MIB)
    values["memory"] = _items(monitors, indent=4)
    values["overload_actions"] = json.dumps(actions)
    more = statistics.listeners(settings.metrics_endpoint)
    values["more_listeners"] = _items(more, indent=4)
    values["gates"] = _items(_gates(settings, contract), indent=18)
    logs = statistics.access_logs(settings.metrics_endpoint)
    values["route_statistics"] = _items(logs, indent=18)
    return Template(_resource("envoy.yaml.template")).substitute(values)


def _items(values: list[Json], *, indent: int) -> str:
    """As items of a YAML list, which may be none."""
    return "\n".join(f"{' ' * indent}- {json.dumps(value)}" for value in values)


def _values(settings: GatewaySettings, contract: Contract) -> dict[str, Json]:
    rates = settings.rates
    secret = settings.certificate_and_key and tls_secret(settings.gateway_admin_socket)
    return {
        "admin_socket": str(settings.gateway_admin_socket),
        "jwks_socket": str(jwks_socket(settings.gateway_admin_socket)),
        "listen": clusters.listening(settings.gateway_listen).address,
        "tls": tls.transport_socket(secret),
        "max_connections": settings.gateway_max_connections,
        "trusted_proxies": settings.gateway_trusted_proxies,
        "request_timeout": seconds(settings.gateway_request_seconds),
        "header_mutations": headers.mutations(),
        "own_replies": replies.mappers(),
        "access_log": settings.gateway_access_log,
        "tracing": tracing.tracing(settings.otel_endpoint, settings.gateway_trace_percent),
        "runtime": tracing.runtime(settings.span_delay_ms),
        "log_tags": tracing.log_tags(settings.otel_endpoint),
        "als_flush": seconds(settings.als_flush_seconds),
        "routes": routes(contract, Limits(settings.call_timeout_seconds, rates)),
        "rate_limit": per_address(rates),
        "cors": headers.cors_policy(split(settings.cors_origins)),
        "jwt_issuer": USER_ISSUER,
        "jwt_audience": USER_AUDIENCE,
        "jwks_refresh": seconds(settings.jwks_refresh_seconds),
        "lua": _lua(settings),
        "descriptors": base64.b64encode(contract.descriptors).decode(),
        "services": list(contract.services),
        "clusters": _clusters(settings, contract),
    }


def _clusters(settings: GatewaySettings, contract: Contract) -> list[Json]:
    services = [
        clusters.service_cluster(
            name,
            clusters.endpoints(settings.address_of(name)),
            max_reads=settings.gateway_max_reads,
            max_requests=settings.gateway_max_requests,
        )
        for name in contract.clusters
    ]
    reads: list[Json] = [
        clusters.reads_cluster(
            f"{name}-reads",
            clusters.endpoints(settings.reads_address_of(name)),
            max_reads=settings.gateway_max_reads,
        )
        for name in contract.reading
    ]
    als = clusters.access_log_cluster(clusters.endpoints(settings.als_address))
    jwks = clusters.jwks_cluster(Endpoint(str(jwks_socket(settings.gateway_admin_socket))))
    admin = statistics.cluster(Endpoint(str(settings.gateway_admin_socket)))
    collectors = tracing.collectors(settings.otel_endpoint)
    return [*services, *reads, als, jwks, clusters.clock_cluster(), admin, *collectors]


def _gates(settings: GatewaySettings, contract: Contract) -> list[Json]:
    gates = [
        shedding.closed_gate(
            name,
            settings.gateway_max_reads * len(clusters.endpoints(settings.address_of(name))),
        )
        for name in contract.clusters
    ]
    return [shedding.whole(), *gates]


def _lua(settings: GatewaySettings) -> str:
    """The scripts as one, behind the error table of ``eros_common`` and the settings."""
    http = ", ".join(f"{code.value} = {status}" for code, (_, status) in TABLE.items())
    grpc = ", ".join(
        f'[{status.value[0]}] = "{code_of(status).value}"' for status, _ in TABLE.values()
    )
    tables = f"local HTTP_STATUS = {{{http}}}\nlocal CODE_OF_GRPC = {{{grpc}}}\n"
    numbers = (
        f"local RECENT_MS = {round(settings.recent_seconds * 1000)}\n"
        f"local GATHERED_PER_SECOND = {settings.gateway_gather_per_second}\n"
    )
    return tables + numbers + "".join(_resource(f"lua/{name}") for name in _LUA)


def _resource(name: str) -> str:
    return (resources.files("eros_gateway") / name).read_text(encoding="utf-8")
