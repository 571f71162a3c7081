"""Envoy's statistics and readiness for the inside, and nothing else of its admin interface."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import AsyncExitStack, closing
from pathlib import Path

import httpx
import pytest

from eros_cli.mesh.ports import Ports
from eros_cli.paths import CHECKOUT
from eros_common import config
from eros_gateway import admin
from eros_gateway.config import GatewaySettings, jwks_socket
from tests.integration.gateway.edge import open_edge

DASHBOARDS = CHECKOUT / "k8s/components/monitoring/dashboards"


def _free_port() -> int:
    # None that an outgoing connection could take before Envoy does.
    return Ports().free()


HEARTBEAT = "eros.activity.v1.ActivityService/Heartbeat"
GET_PROFILE = "eros.accounts.v1.AccountsService/GetProfile"


async def _measured(inside: httpx.AsyncClient, route: str) -> tuple[int, int]:
    """How many requests of a route were answered within five seconds, and at all."""
    text = (await inside.get("/metrics")).text
    of_route = rf'{{.*route="{re.escape(route)}".*'
    within = re.search(
        rf'^envoy_edge_request_time_bucket{of_route}le="5000".* (\d+)$', text, re.MULTILINE
    )
    count = re.search(rf"^envoy_edge_request_time_count{of_route} (\d+)$", text, re.MULTILINE)
    return (int(within[1]), int(count[1])) if within and count else (0, 0)


async def test_what_dashboards_show_is_there_and_nothing_else_can_be_asked(tmp_path: Path) -> None:
    where = f"127.0.0.1:{_free_port()}"
    async with (
        open_edge(tmp_path, gateway_metrics_listen=where) as edge,
        httpx.AsyncClient(base_url=f"http://{where}", trust_env=False) as inside,
    ):
        assert (await edge.call("GET", "/api/v1/users/profile")).status == 200
        assert (await edge.call("GET", "/api/v1/nothing")).status == 404
        ready = await inside.get("/ready")
        assert (ready.status_code, ready.text.strip()) == (200, "LIVE")
        answer = await inside.get("/metrics")
        assert answer.status_code == 200
        assert 'envoy_http_downstream_rq_xx{envoy_response_code_class="2"' in answer.text
        assert str(edge.user) not in answer.text
        # What was never counted is left out there; the admin interface itself names everything.
        transport = httpx.AsyncHTTPTransport(uds=str(edge.settings.gateway_admin_socket))
        async with httpx.AsyncClient(transport=transport, base_url="http://envoy") as admin:
            everything = (await admin.get("/stats/prometheus")).text
        told = set(re.findall(r"^# TYPE (\w+) ", everything, re.MULTILINE))
        shown = {
            name
            for path in DASHBOARDS.glob("*.json")
            for panel in json.loads(path.read_text())["panels"]
            for target in panel["targets"]
            # Followed like that they are metrics and no labels.
            for name in re.findall(r"\benvoy_\w+(?=[{\[])", target["expr"])
        }
        assert shown
        assert {name.removesuffix("_bucket").removesuffix("_count") for name in shown} <= told
        for method, path in (
            ("POST", "/quitquitquit"),
            ("GET", "/config_dump"),
            ("GET", "/stats"),
            ("GET", "/stats/prometheus"),
            ("GET", "/certs"),
            ("GET", "/"),
            ("GET", "/metrics?filter=x"),
            ("GET", "/metrics/../config_dump"),
            ("POST", "/metrics"),
            ("POST", "/ready"),
        ):
            assert (await inside.request(method, path)).status_code == 404, path


async def test_each_route_is_measured_also_where_envoy_answers(tmp_path: Path) -> None:
    where = f"127.0.0.1:{_free_port()}"
    async with (
        open_edge(tmp_path, gateway_metrics_listen=where) as edge,
        httpx.AsyncClient(base_url=f"http://{where}", trust_env=False) as inside,
    ):
        in_use = '{"appActive":true,"screenOn":true}'
        assert (await edge.call("POST", "/api/v1/heartbeat", in_use)).status == 200
        assert not edge.backends.calls, "its router never sees it"
        assert (await edge.call("POST", "/api/v1/heartbeat", "{}")).status == 200
        async with asyncio.timeout(15):
            while await _measured(inside, HEARTBEAT) != (2, 2):
                await asyncio.sleep(0.05)  # its threads gather them a little later
        # What the burn rate of heartbeats counts.
        assert re.search(
            rf'bucket{{route="{HEARTBEAT}",le="50"}} 2', (await inside.get("/metrics")).text
        )
        assert (await _measured(inside, GET_PROFILE))[0], "asked by open_edge itself"


async def test_who_holds_all_connections_shuts_nobody_of_the_inside_out(tmp_path: Path) -> None:
    """Else its probes fail, and it is killed for being busy; and it could not be drained."""
    where = f"127.0.0.1:{_free_port()}"
    async with (
        open_edge(tmp_path, gateway_metrics_listen=where, gateway_max_connections=20) as edge,
        AsyncExitStack() as held,
    ):
        for _ in range(40):
            _, writer = await asyncio.open_connection("127.0.0.1", edge.port)
            held.enter_context(closing(writer))
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{edge.port}", trust_env=False
        ) as stranger:
            with pytest.raises(httpx.TransportError):
                await stranger.get("/health")
        async with httpx.AsyncClient(base_url=f"http://{where}", trust_env=False) as inside:
            assert (await inside.get("/ready")).status_code == 200
        await admin.ready(edge.settings.gateway_admin_socket)
        keys = httpx.AsyncHTTPTransport(uds=str(jwks_socket(edge.settings.gateway_admin_socket)))
        async with httpx.AsyncClient(transport=keys, base_url="http://jwks") as itself:
            assert (await itself.get("/.well-known/jwks.json")).status_code == 200


async def test_it_is_nowhere_unless_asked_for(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        assert not edge.settings.gateway_metrics_listen
        for path in ("/metrics", "/ready"):
            assert (await edge.call("GET", path)).status == 404


@pytest.mark.parametrize("value", ["9465", "host:port", "0.0.0.0:99999"])
def test_a_faulty_address_is_refused(value: str, tmp_path: Path) -> None:
    with pytest.raises(config.SettingsFault, match="EROS_GATEWAY_METRICS_LISTEN"):
        config.read(
            GatewaySettings, gateway_admin_socket=tmp_path / "a", gateway_metrics_listen=value
        )
