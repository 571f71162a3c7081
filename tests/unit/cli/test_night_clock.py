"""The night clock never goes back, whatever was played."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from eros_cli.mesh.data_dir import DataDir
from eros_cli.mesh.options import NightClock
from eros_cli.night_clock import keep_clock, kept_clock

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_without_a_kept_clock_night_is_wall(tmp_path: Path) -> None:
    assert kept_clock(DataDir(tmp_path), NOON) == NightClock(NOON, NOON)


def test_after_a_fast_night_it_goes_on_at_the_walls_pace(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    evening = NOON + timedelta(hours=8)
    minute_later = NOON + timedelta(minutes=1)
    slow = keep_clock(data, NightClock(evening, NOON, 600.0), minute_later)
    assert slow == NightClock(evening + timedelta(hours=10), minute_later)
    later = minute_later + timedelta(hours=3)
    assert kept_clock(data, later) == NightClock(evening + timedelta(hours=13), later)


def test_the_wall_overtakes(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    keep_clock(data, NightClock(NOON - timedelta(days=1), NOON), NOON)
    assert kept_clock(data, NOON).epoch == NOON


@pytest.mark.parametrize("text", ["", "{}", '{"epoch": "soon", "t0": "x"}'])
def test_a_broken_file_counts_as_none(tmp_path: Path, text: str) -> None:
    data = DataDir(tmp_path)
    data.clock.write_text(text)
    assert kept_clock(data, NOON) == NightClock(NOON, NOON)
