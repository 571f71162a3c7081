"""The table of sizes and times in docs/security.md says what Envoy is told."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import yaml

from eros_gateway.config import GatewaySettings
from eros_gateway.domain.contract import Method, read_contract
from eros_gateway.domain.routes import MARGIN_SECONDS
from eros_gateway.domain.shedding import gate
from eros_gateway.render import write

_ROOT = Path(__file__).parents[3]
_MANAGER = "envoy.filters.network.http_connection_manager"
_CACHED = re.compile(r"READ_TIMEOUT_MS = (\d+)")


def _written() -> dict[str, str]:
    page = (_ROOT / "docs/security.md").read_text(encoding="utf-8")
    section = page.partition("## Sizes and times\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][1:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {what: most for what, most, _ in rows}


def _s(duration: str | float) -> str:
    return f"{float(str(duration).removesuffix('s')):g} s"


def _filter(manager: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [each["typed_config"] for each in manager["http_filters"] if each["name"] == name]
    return dict(found)


def _by_timeout(methods: tuple[Method, ...]) -> dict[str, str]:
    found: defaultdict[float, list[str]] = defaultdict(list)
    for method in methods:
        if method.policy.timeout and not method.streaming:
            found[method.policy.timeout].append(method.name)
    return {", ".join(names): _s(timeout) for timeout, names in found.items()}


def test_every_size_and_time_of_the_page_is_configured(tmp_path: Path) -> None:
    chosen: dict[str, Any] = {"gateway_admin_socket": tmp_path / "admin.sock"}
    settings = GatewaySettings(**chosen)
    write(settings, tmp_path / "envoy.yaml")
    envoy = yaml.safe_load((tmp_path / "envoy.yaml").read_text(encoding="utf-8"))
    resources = envoy["static_resources"]
    (public,) = [each for each in resources["listeners"] if each["name"] == "public"]
    (manager,) = [
        each["typed_config"]
        for each in public["filter_chains"][0]["filters"]
        if each["name"] == _MANAGER
    ]
    clusters = {each["name"]: each for each in resources["clusters"]}
    accounts = clusters["accounts"]
    probe, ejection = accounts["health_checks"][0], accounts["outlier_detection"]
    reads, rest = accounts["circuit_breakers"]["thresholds"]
    gated = _filter(manager, gate("accounts"))["gradient_controller_config"]
    budget = reads["retry_budget"]
    assert budget == rest["retry_budget"]
    most_reads = gated["concurrency_limit_params"]["max_concurrency_limit"]
    # The gate does not adapt, and what stands behind it is as wide.
    assert most_reads == gated["min_rtt_calc_params"]["min_concurrency"] == reads["max_requests"]

    contract = read_contract(settings.descriptor_set.read_bytes())
    streams = [method.name for method in contract.reachable if method.streaming]
    by_name: dict[str, Any] = {
        each["name"]: each for each in manager["route_config"]["virtual_hosts"][0]["routes"]
    }
    stream = by_name["eros.assistant.v1.AssistantService/StreamChat"]["route"]
    called = by_name["eros.accounts.v1.AccountsService/GetProfile"]["route"]["timeout"]
    assert _s(called) == _s(settings.call_timeout_seconds + MARGIN_SECONDS)
    lua = _filter(manager, "envoy.filters.http.lua")["default_source_code"]["inline_string"]
    cached = _CACHED.search(lua)
    assert cached
    connections = envoy["overload_manager"]["resource_monitors"][0]["typed_config"]
    protocol = manager["common_http_protocol_options"]
    body = _filter(manager, "envoy.filters.http.body_size_limit")["max_request_bytes"]

    assert _written() == {
        "connections": f"{connections['max_active_downstream_connections']:,}",
        "streams of an HTTP/2 connection": str(
            manager["http2_protocol_options"]["max_concurrent_streams"]
        ),
        "the head of a request": f"{_s(manager['request_headers_timeout'])}, "
        f"{manager['max_request_headers_kb']} KiB, {protocol['max_headers_count']} fields",
        "a whole request": f"{_s(manager['request_timeout'])}, {body // 2**20} MiB",
        "a request in which nothing moves, either way": _s(manager["stream_idle_timeout"]),
        "a connection without a request": _s(protocol["idle_timeout"]),
        f"a call (and {_s(MARGIN_SECONDS)} more at the gateway)": _s(settings.call_timeout_seconds),
        **_by_timeout(contract.reachable),
        f"a stream ({', '.join(streams)}) that is silent": _s(stream["idle_timeout"]),
        "asking a read port for an answer": _s(int(cached[1]) / 1000),
        "connecting to a service": _s(accounts["connect_timeout"]),
        f"a health probe, every {_s(probe['interval'])}": _s(probe["timeout"]),
        "failures of an endpoint in a row": str(ejection["consecutive_gateway_failure"]),
        "once more, of all that is under way": f"{budget['budget_percent']['value']} %, "
        f"but {budget['min_retry_concurrency']} always",
        "reads under way, an endpoint": str(most_reads),
        "all else under way, an endpoint": f"{rest['max_requests']:,}",
    }
