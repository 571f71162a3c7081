"""What a person sees of a simulation: the picture, the page, the line of JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eros_cli.main import app
from eros_cli.simulation.caps import Meter
from eros_cli.simulation.draw import draw
from eros_cli.simulation.options import Options
from eros_cli.simulation.run import simulate

SMALL = ("simulate", "--users", "50", "--hours", "0.2", "--seed", "4", "--faults", "20")


def test_the_last_line_is_json_and_the_night_is_drawn(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, [*SMALL, "--json", "--out", str(tmp_path / "here")])
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout.splitlines()[-1])
    assert {"violations", "seconds", "halts", "jobs"} <= figures.keys()
    assert (figures["users"], figures["hours"], figures["seed"]) == (50, 0.2, 4)
    assert (tmp_path / "here" / "night.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "here" / "night.html").read_text()
    assert "data:image/png;base64," in page
    assert not re.search(r"(src|href)=.https?:", page), "one file, nothing fetched"


def test_a_person_can_be_followed(tmp_path: Path) -> None:
    words = ["simulate", "--users", "20", "--hours", "3", "--follow", "3", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0
    assert "scheduler begins" in done.output
    assert "person 3 " in done.output
    assert "person 4 " not in done.output


@pytest.mark.parametrize(
    "words",
    [("--users", "0"), ("--hours", "x"), ("--faults", "-1"), ("--start", "tomorrow")],
)
def test_bad_options_are_named(words: tuple[str, str]) -> None:
    done = CliRunner().invoke(app, ["simulate", *words])
    assert done.exit_code == 2
    assert words[0] in done.output


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(app, [*SMALL, "--out", str(tmp_path / "file")])
    assert done.exit_code == 2
    assert "--out" in done.output


def test_an_empty_night_is_drawn_too(tmp_path: Path) -> None:
    found = simulate(Options(users=1, hours=0.1, faults=0))
    assert found.figures["violations"] == 0
    assert all(path.exists() for path in draw(found, tmp_path))


def test_the_meter_looks_at_any_ten_seconds() -> None:
    meter = Meter()
    # Half a core for a minute, allowed half a core; then a second of a whole one.
    for second in range(1, 61):
        assert meter.read(second, used=0.5, allowed=0.5) == pytest.approx(0)
    assert meter.read(61, used=1.0, allowed=0.5) == pytest.approx(0.05)
    for second in range(62, 71):
        meter.read(second, used=0.5, allowed=0.5)
    assert meter.read(71, used=0.5, allowed=0.5) == pytest.approx(0)
