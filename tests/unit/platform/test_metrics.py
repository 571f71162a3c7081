"""docs/metrics.md says what the exporters send."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys

import pytest

from eros_cli import metric_table
from eros_cli.mesh.ports import Ports
from eros_cli.metric_table import Metric

# A process of its own: providers are set once in each. What the exporter shows after every
# instrument of the table was used once.
_SHOW = """
import asyncio, sys, urllib.request
from eros_cli.metric_table import told
from eros_common import telemetry

async def main(listen):
    async with telemetry.exporting("test", telemetry.Outlets(prometheus=listen)):
        assert telemetry.measuring() and not telemetry.enabled()
        meter = telemetry.meter()
        for m in told():
            match m.kind:
                case "counter": meter.create_counter(m.name, unit=m.unit).add(1)
                case "gauge": meter.create_gauge(m.name, unit=m.unit).set(1)
                case "histogram": meter.create_histogram(m.name, unit=m.unit).record(1)
        get = lambda: urllib.request.urlopen(f"http://{listen}/metrics").read()
        sys.stdout.write((await asyncio.to_thread(get)).decode())

asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture
def free_port() -> int:
    return Ports().free()


async def test_prometheus_reads_the_names_of_the_table(free_port: int) -> None:
    environment = {**os.environ, "no_proxy": "*"}
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _SHOW, f"127.0.0.1:{free_port}"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    families = dict(re.findall(r"^# TYPE (\S+) (\S+)$", done.stdout, re.MULTILINE))
    assert {m.prometheus: m.kind for m in metric_table.told()}.items() <= families.items()
    assert {"process_resident_memory_bytes", "process_open_fds"} <= families.keys()


def test_the_table_is_complete() -> None:
    assert metric_table.faults() == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"unit": "ms"}, "its row in docs/metrics.md must be"),
        ({"name": "eros.activity.nothing"}, "nobody makes"),
    ],
)
def test_what_differs_is_named(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], said: str
) -> None:
    first, *others = metric_table.made()
    odd = Metric(**{"name": first.name, "unit": first.unit, **changed}, kind="gauge", meaning="x")
    monkeypatch.setattr(metric_table, "told", lambda: [odd, *others])
    assert any(said in line for line in metric_table.faults())
