"""Dashboards, alerts and runbooks against the metrics there are; alerts played by promtool."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from eros_cli import metric_table
from eros_cli.paths import CHECKOUT

FOLDER = CHECKOUT / "k8s" / "components" / "monitoring"
DASHBOARDS = sorted((FOLDER / "dashboards").glob("*.json"))
RUNBOOKS = CHECKOUT / "docs" / "runbooks"
#: Of the process, by Prometheus's client, and of Prometheus itself.
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
    known = _known()
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


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on PATH")
def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    document = yaml.safe_load((FOLDER / "rules.yaml").read_text())
    rules.write_text(yaml.safe_dump(document["spec"]))
    played = tmp_path / "tests.yaml"
    played.write_text(Path(__file__).with_name("alerts_test.yaml").read_text())
    for command in (["check", "rules", str(rules)], ["test", "rules", str(played)]):
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
