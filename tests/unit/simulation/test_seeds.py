"""Small nights, everything breaking all the time: no rule is violated, whatever the seed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from eros_cli.simulation.options import Options
from eros_cli.simulation.report import Report, text_of
from eros_cli.simulation.run import simulate

HARD = Options(users=400, hours=1.5, faults=40, work=20, aim_seconds=1)


def hard(seed: int, **others: object) -> Options:
    return replace(HARD, seed=seed, **others)  # type: ignore[arg-type]


def assert_clean(found: Report) -> None:
    texts = [text_of(found.options, violation) for violation in found.violations]
    assert not texts, "\n".join(texts)


@pytest.mark.parametrize("seed", range(1, 7))
def test_no_rule_is_violated(seed: int) -> None:
    found = simulate(hard(seed))
    assert_clean(found)
    assert found.figures["jobs"] > 100
    assert found.figures["halts_by_reason"]["woke"] > 20
    assert found.figures["faults"] > 100


@pytest.mark.parametrize(
    "start",
    [
        datetime(2026, 3, 28, 23, 30, tzinfo=UTC),  # Europe loses an hour
        datetime(2026, 10, 25, 0, tzinfo=UTC),  # Europe has one twice
        datetime(2026, 11, 1, 5, tzinfo=UTC),  # so has America
        datetime(2026, 10, 3, 14, 30, tzinfo=UTC),  # Lord Howe loses half an hour
    ],
)
def test_windows_hold_when_the_clocks_change(start: datetime) -> None:
    found = simulate(hard(1, start=start, hours=2.5, faults=4, users=600, work=5))
    assert_clean(found)
    assert found.figures["jobs"] > 100


def test_with_nothing_broken_halts_are_quick_and_nothing_waits() -> None:
    found = simulate(Options(users=2000, hours=4, faults=0, aim_seconds=5))
    assert_clean(found)
    assert found.figures["faults"] == 0
    assert found.figures["halts_by_reason"]["woke"] > 10
    assert found.figures["stopped_max_ms"] < 500


def test_the_same_seed_is_the_same_night_in_any_process() -> None:
    program = (
        "import json; from tests.unit.simulation.test_seeds import hard;"
        "from eros_cli.simulation.run import simulate;"
        "print(json.dumps(simulate(hard(5, hours=0.5)).figures))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    here = simulate(hard(5, hours=0.5))
    assert json.loads(done.stdout) == here.figures
    assert simulate(hard(6, hours=0.5)).figures != here.figures
