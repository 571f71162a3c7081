"""Who may call whom: network policies, the mesh's policies and the channels of the code agree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from eros_cli.paths import CHECKOUT
from tests.unit.platform.manifests import containers, needs_builder, overlay

pytestmark = needs_builder

PUBLIC = ("gateway", 3000)
METRICS = {"gateway": {9464, 9465}}
#: Ports of stores and of a language model, which are wherever they are.
ELSEWHERE = {5432, 6379, 443}
HBONE = 15008
NAME = "app.kubernetes.io/name"
MONITORING = {"kubernetes.io/metadata.name": "monitoring"}
PRINCIPAL = "cluster.local/ns/eros/sa/"
MESHED = pytest.mark.parametrize("name", ["staging", "production"])


class Arrow(NamedTuple):
    caller: str
    target: str
    port: int


def specs(name: str, kind: str) -> dict[str, dict[str, Any]]:
    return {d["metadata"]["name"]: d["spec"] for d in overlay(name) if d["kind"] == kind}


def sides(name: str, way: str) -> Iterator[tuple[str, dict[str, Any] | None, int]]:
    """(whose policy, the other side or None for anybody, port) of each rule of that way."""
    for spec in specs(name, "NetworkPolicy").values():
        own = spec["podSelector"].get("matchLabels", {}).get(NAME, "*")
        for rule in spec.get(way, ()):
            others = rule.get("from" if way == "ingress" else "to", [None])
            for other in others:
                for port in rule.get("ports", [{"port": 0}]):
                    yield own, other, port["port"]


def arrows(name: str, way: str) -> set[Arrow]:
    """From one of our pods to another, tunnels included."""
    found = set()
    for own, other, port in sides(name, way):
        if peer := ((other or {}).get("podSelector") or {}).get("matchLabels", {}).get(NAME):
            found.add(Arrow(peer, own, port) if way == "ingress" else Arrow(own, peer, port))
    return found


def by_identity(name: str) -> set[Arrow]:
    found = set()
    for spec in specs(name, "AuthorizationPolicy").values():
        for rule in spec.get("rules", ()):
            for source in rule.get("from", ()):
                for principal in source["source"].get("principals", ()):
                    caller = principal.removeprefix(PRINCIPAL)
                    for to in rule["to"]:
                        found |= {
                            Arrow(caller, spec["selector"]["matchLabels"][NAME], int(port))
                            for port in to["operation"]["ports"]
                        }
    return found


@MESHED
def test_only_the_public_port_asks_not_who_calls(name: str) -> None:
    probes = {"ipBlock": {"cidr": "169.254.7.127/32"}}
    for own, other, port in sides(name, "ingress"):
        if other is None:
            assert (own, port) == PUBLIC
        elif "podSelector" in other:
            assert NAME in other["podSelector"]["matchLabels"]
        elif other == probes:
            assert (own, port) == ("*", 0)
        elif other["namespaceSelector"].get("matchLabels") == MONITORING:
            # One policy says 9464 for all.
            assert port in (METRICS.get(own) or set()) | {9464, HBONE}
        else:
            (expression,) = other["namespaceSelector"]["matchExpressions"]
            assert expression["values"] == ["istio-ingress", "istio-system"]
            assert (own, port) == ("gateway", HBONE)
    default = specs(name, "NetworkPolicy")["default-deny"]
    assert default == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@MESHED
def test_who_may_be_called_may_be_spoken_to(name: str) -> None:
    assert arrows(name, "ingress") == arrows(name, "egress")
    for own, other, port in sides(name, "egress"):
        if other is None:
            assert port in ELSEWHERE, f"{own} may speak to anybody at {port}"


@MESHED
def test_the_mesh_knows_the_same_arrows(name: str) -> None:
    """By pod at the tunnel's port, and by identity and port inside of it."""
    every = arrows(name, "ingress")
    plain = {arrow for arrow in every if arrow.port != HBONE}
    assert len(plain) > 15
    assert {arrow[:2] for arrow in every - plain} == {arrow[:2] for arrow in plain}
    assert by_identity(name) == plain


@MESHED
def test_the_mesh_refuses_everybody_else(name: str) -> None:
    policies = specs(name, "AuthorizationPolicy")
    # Without a rule it fits nothing; and because it is there, what fits nowhere is refused.
    assert policies.pop("default-deny") == {}
    assert policies.keys() == specs(name, "Deployment").keys()
    for target, spec in policies.items():
        assert spec["selector"] == {"matchLabels": {NAME: target}}
        assert spec["action"] == "ALLOW"
        for rule in spec["rules"]:
            ports = {int(port) for to in rule["to"] for port in to["operation"]["ports"]}
            sources = [source["source"] for source in rule.get("from", ())]
            if not sources:
                assert {(target, port) for port in ports} == {PUBLIC}
            elif not all(source.keys() == {"principals"} for source in sources):
                assert sources == [{"namespaces": ["monitoring"]}, {"notPrincipals": ["*"]}]
                assert ports == METRICS.get(target, {9464})


@MESHED
def test_without_a_certificate_only_metrics_and_the_public_port(name: str) -> None:
    peers = specs(name, "PeerAuthentication")
    assert peers.pop("strict") == {"mtls": {"mode": "STRICT"}}
    # Of two that fit a workload the older one holds alone: each has one.
    assert peers.keys() == specs(name, "Deployment").keys()
    for target, spec in peers.items():
        assert spec["selector"] == {"matchLabels": {NAME: target}}
        assert spec["mtls"] == {"mode": "STRICT"}
        open_ports = {int(port) for port in spec["portLevelMtls"]}
        public = {PUBLIC[1]} if target == PUBLIC[0] else set()
        assert open_ports == METRICS.get(target, {9464}) | public
        assert {m["mode"] for m in spec["portLevelMtls"].values()} == {"PERMISSIVE"}


@pytest.mark.parametrize("name", ["local", "staging", "production"])
def test_every_workload_has_a_name_of_its_own_and_no_token(name: str) -> None:
    accounts = {
        d["metadata"]["name"]: d["automountServiceAccountToken"]
        for d in overlay(name)
        if d["kind"] == "ServiceAccount"
    }
    assert not any(accounts.values())
    labels = {
        d["metadata"]["labels"][NAME]: d["spec"]["template"]["spec"]["serviceAccountName"]
        for d in overlay(name)
        if d["kind"] in ("Deployment", "Job")
    }
    assert {account: account for account in accounts} == labels
    for container in containers(name):
        assert container.pod["automountServiceAccountToken"] is False


def test_every_channel_of_the_code_is_an_arrow() -> None:
    known = {arrow[:2] for arrow in arrows("production", "ingress")}
    opened = set()
    for service in ("accounts", "activity", "assistant", "scheduler", "matcher"):
        for path in (CHECKOUT / "services" / service).rglob("*.py"):
            # A worker's process for batches is in its pod.
            caller = "worker" if path.parent.name in ("worker", "work") else service
            for target in re.findall(r"app\.channel\(\s*settings\.(\w+)_address", path.read_text()):
                opened.add((caller, target))
    assert {("worker", "scheduler"), ("worker", "accounts"), ("assistant", "matcher")} <= opened
    assert opened <= known
    # The service, its access log.
    ports = {a.port for a in arrows("production", "ingress") if a[:2] == ("gateway", "activity")}
    assert ports == {50052, 50062, HBONE}
    # Nobody calls a worker, and nobody but workers and the gateway calls the scheduler.
    assert {caller for caller, target in known if target == "scheduler"} == {"worker", "gateway"}
    assert "worker" not in {target for _, target in known}
