"""Dashboards, alerts and runbooks against the metrics there are; alerts played by promtool."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from eros_cli import metric_table
from eros_cli.paths import CHECKOUT
from tests.unit.platform.emitted import Emitted
from tests.unit.platform.manifests import CONTAINERS, containers, needs_builder, overlay

FOLDER = CHECKOUT / "k8s" / "components" / "monitoring"
DASHBOARDS = sorted((FOLDER / "dashboards").glob("*.json"))
RUNBOOKS = CHECKOUT / "docs" / "runbooks"
PLAYED = sorted(Path(__file__).parent.glob("alerts*_test.yaml"))
#: Of the process, by Prometheus's client, and of Prometheus itself.
_OF_PROMETHEUS = {"le", "pod", "namespace"}
_OTHERS = {
    "up",
    "process_resident_memory_bytes",
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_max_fds",
}


def _known() -> set[str]:
    names = set(_OTHERS)
    for metric in metric_table.told():
        parts = ("_bucket", "_count", "_sum") if metric.kind == "histogram" else ("",)
        names |= {metric.prometheus + part for part in parts}
    return names


def _metrics(expression: str) -> set[str]:
    bare = re.sub(r"\{[^}]*\}|\"[^\"]*\"", "", expression)
    bare = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", "", bare)
    return set(re.findall(r"\b(?:eros|rpc|process|envoy)_\w+|\bup\b", bare))


def _rules() -> list[dict[str, Any]]:
    document = yaml.safe_load((FOLDER / "rules.yaml").read_text())
    return [rule for group in document["spec"]["groups"] for rule in group["rules"]]


def _targets() -> Iterator[tuple[str, str]]:
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                yield f"{path.name}: {panel['title']}", target["expr"]


def test_dashboards_show_metrics_that_exist() -> None:
    known, seen = _known(), 0
    for place, expression in _targets():
        found = _metrics(expression)
        assert found, place
        # Envoy's are asked of a real one: tests/integration/gateway/test_statistics.py.
        ours = {name for name in found if not name.startswith("envoy_")}
        assert ours <= known, f"{place}: {ours - known}"
        seen += 1
    assert seen > 40


def test_each_metric_of_ours_is_on_a_dashboard() -> None:
    shown = {name for _, expression in _targets() for name in _metrics(expression)}
    for metric in metric_table.told():
        names = {metric.prometheus + part for part in ("", "_bucket", "_sum", "_count")}
        assert names & shown, f"{metric.name} is on no dashboard"


def _asked_labels() -> Iterator[tuple[str, str, str, str | None]]:
    """Place, metric, label, and the value that is asked for, if one is."""
    places = [*_targets(), *((rule["alert"], rule["expr"]) for rule in _rules())]
    for place, expression in places:
        for metric, selectors in re.findall(r"\b(\w+)\{([^}]*)\}", expression):
            for label, how, value in re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"', selectors):
                for one in value.split("|") if "~" in how else [value]:
                    yield place, metric, label, one
        for found in re.finditer(r"\bby\s*\(([^)]*)\)\s*", expression):
            for metric in _metrics(_in_parentheses(expression[found.end() :])):
                for label in found[1].split(","):
                    yield place, metric, label.strip(), None


def _in_parentheses(text: str) -> str:
    """What an aggregation is of: up to the parenthesis that closes the first."""
    depth = 0
    for position, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if not depth:
            return text[: position + 1]
    raise ValueError(text)


def test_labels_that_are_asked_for_are_those_that_the_code_gives() -> None:
    """A wrong label is no error to Prometheus: a panel stays empty, an alert never fires."""
    emitted, asked = Emitted.of_everything(), 0
    for place, metric, label, value in _asked_labels():
        of_envoy = metric.startswith("envoy_") and not metric.startswith("envoy_edge_")
        if label in _OF_PROMETHEUS or metric in _OTHERS or of_envoy:
            continue
        values = emitted.values(metric, label)
        assert values is not None, f"{place}: {metric} has no label {label}"
        if value is not None:
            known = any(re.fullmatch(value, each) for each in values)
            assert known, f"{place}: {metric} never has {label}={value}, but {sorted(values)}"
        asked += 1
    assert asked > 60


def test_each_dashboard_is_one_for_grafana() -> None:
    assert {path.stem for path in DASHBOARDS} == {
        *("eros-night", "eros-edge", "eros-halts", "eros-assistant")
    }
    for path in DASHBOARDS:
        board = json.loads(path.read_text())
        assert board["uid"] == path.stem
        ids = [panel["id"] for panel in board["panels"]]
        assert len(set(ids)) == len(ids)
        for panel in board["panels"]:
            place = panel["gridPos"]
            assert 0 <= place["x"] < place["x"] + place["w"] <= 24


def test_alerts_watch_metrics_that_exist() -> None:
    # Envoy's are asked of a real one for the dashboards.
    shown = {name for _, expression in _targets() for name in _metrics(expression)}
    known = _known() | {name for name in shown if name.startswith("envoy_")}
    for rule in _rules():
        found = _metrics(rule["expr"])
        assert found, rule["alert"]
        assert found <= known, f"{rule['alert']}: {found - known}"
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_each_alert_has_its_runbook_and_each_runbook_an_alert() -> None:
    named = set()
    for rule in _rules():
        page = RUNBOOKS / rule["annotations"]["runbook_url"].rsplit("/", 1)[1]
        text = page.read_text()
        assert f"`{rule['alert']}`" in text, f"{page.name} does not name {rule['alert']}"
        assert "## Look" in text
        assert "## Do" in text
        named.add(page.name)
    assert named == {path.name for path in RUNBOOKS.glob("*.md")}


def test_buckets_of_the_promises_exist() -> None:
    """A burn rate counts a bucket: there must be one that ends there."""
    from eros_common.telemetry import MILLISECONDS

    bounds = {
        float(bound) for rule in _rules() for bound in re.findall(r'le="([\d.]+)"', rule["expr"])
    }
    assert bounds
    assert bounds <= set(MILLISECONDS)


def test_each_alert_is_played_silent_and_firing() -> None:
    asked = [
        rule
        for path in PLAYED
        for test in yaml.safe_load(path.read_text())["tests"]
        for rule in test["alert_rule_test"]
    ]
    alerts = {rule["alert"] for rule in _rules()}
    assert {rule["alertname"] for rule in asked if rule["exp_alerts"]} == alerts
    assert {rule["alertname"] for rule in asked if not rule["exp_alerts"]} == alerts


def test_each_alert_finds_its_way_to_slack() -> None:
    """Alertmanager's operator lets a route hear only of its own namespace."""
    slack = yaml.safe_load((CHECKOUT / "k8s" / "examples" / "slack.yaml").read_text())
    for rule in _rules():
        assert rule["labels"]["namespace"] == slack["metadata"]["namespace"], rule["alert"]


@needs_builder
@pytest.mark.parametrize("name", ["staging", "production"])
def test_traces_and_metrics_are_sent_where_network_policies_let_them(name: str) -> None:
    ours = [container for container in containers(name) if container.name in CONTAINERS]
    assert len(ours) == len(CONTAINERS)
    for container in ours:
        endpoint = urlsplit(container.settings["OTEL_EXPORTER_OTLP_ENDPOINT"])
        assert endpoint.hostname is not None
        _, _, namespace = endpoint.hostname.partition(".")
        assert _may_send(name, namespace, endpoint.port), container.name


def _may_send(name: str, namespace: str, port: int | None) -> bool:
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    return any(
        {"namespaceSelector": selector} in rule["to"] and port in [p["port"] for p in rule["ports"]]
        for policy in overlay(name)
        if policy["kind"] == "NetworkPolicy" and policy["metadata"]["name"] == "telemetry"
        for rule in policy["spec"]["egress"]
    )


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on PATH")
def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    document = yaml.safe_load((FOLDER / "rules.yaml").read_text())
    rules.write_text(yaml.safe_dump(document["spec"]))
    played = [str(shutil.copy(path, tmp_path)) for path in PLAYED]
    for command in (["check", "rules", str(rules)], ["test", "rules", *played]):
        done = subprocess.run(
            ["promtool", *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on PATH")
def test_dashboards_ask_what_prometheus_understands(tmp_path: Path) -> None:
    rules = [{"record": f"r{n}", "expr": expr} for n, (_, expr) in enumerate(_targets())]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
