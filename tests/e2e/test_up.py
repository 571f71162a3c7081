"""`./eros up` as a person meets it: serving, said twice, stopped in every way."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from eros_cli.mesh.data_dir import DataDir
from eros_cli.mesh.state import read_state
from tests.support import cli
from tests.support.processes import descendants, ends_within


@pytest.fixture
def data_dir(public_tmp_path: Path) -> Path:
    return public_tmp_path / "data"


PROGRAMS = {
    *("postgres", "valkey", "accounts", "activity", "scheduler", "matcher", "worker-1"),
    *("assistant", "gateway", "envoy"),
}


def running_in(data_dir: Path) -> set[int]:
    """Every process of the mesh: the programs of its state file, and what they started."""
    state = read_state(DataDir(data_dir))
    assert state is not None
    assert set(state.children) == PROGRAMS
    processes = descendants(state.supervisor.pid)
    assert {child.process.pid for child in state.children.values()} < processes
    return processes


def left_of(processes: set[int]) -> set[int]:
    """Those that have not ended after a while."""
    return {pid for pid in processes if not ends_within(pid, 20)}


def test_it_serves_says_so_twice_and_stops_in_order(data_dir: Path) -> None:
    # With a night clock as it was asked for.
    epoch, now = "2031-05-04T00:00:00+00:00", datetime.now(UTC).isoformat()
    with cli.up(data_dir, EROS_NIGHT_EPOCH=epoch, EROS_NIGHT_T0=now) as command:
        assert command.stdout is not None
        url = cli.until_serving(command.stdout)
        person = {"email": "ann@example.org", "password": "a good long password", "name": "Ann"}
        answer = httpx.post(f"{url}/api/v1/auth/register", json=person, trust_env=False)
        assert answer.status_code == 200, answer.text

        again = cli.run(data_dir, "up")
        assert again.returncode == 1
        expected = (
            f"eros: EROS is already running at {url} (process {command.pid}, data in {data_dir})"
        )
        assert again.stderr.startswith(expected)

        granted = cli.run(data_dir, "admin", "grant", "ann@example.org")
        assert granted.returncode == 0, granted.stderr
        assert answer.json()["userId"] in granted.stdout
        unknown = cli.run(data_dir, "admin", "grant", "bob@example.org")
        assert unknown.returncode == 1
        assert re.fullmatch(r"eros: .+\n", unknown.stderr)
        jobs = cli.run(data_dir, "jobs")
        assert jobs.returncode == 0, jobs.stderr
        assert answer.json()["userId"][:8] in jobs.stdout
        assert "Night clock 2031-05-04" in jobs.stdout

        processes = running_in(data_dir)
        command.send_signal(signal.SIGTERM)
        assert command.wait(timeout=60) == 0
        assert "postgres has stopped" in command.stdout.read()
    assert left_of(processes) == set()
    assert read_state(DataDir(data_dir)) is None

    stopped = cli.run(data_dir, "jobs")
    assert stopped.returncode == 1
    assert "no EROS runs here" in stopped.stderr


def test_a_closed_terminal_leaves_no_process(data_dir: Path) -> None:
    ours, theirs = pty.openpty()
    with cli.up(data_dir, terminal=theirs) as command:
        os.close(theirs)
        with os.fdopen(ours, errors="replace", newline="") as screen:
            cli.until_serving(screen)
            processes = running_in(data_dir)
        # Closing our end is the terminal's end: the kernel hangs up on the session.
        assert command.wait(timeout=60) == 0
    assert left_of(processes) == set()


def test_a_killed_supervisor_leaves_no_process(data_dir: Path) -> None:
    with cli.up(data_dir) as command:
        assert command.stdout is not None
        cli.until_serving(command.stdout)
        processes = running_in(data_dir)
        command.kill()
    assert left_of(processes) == set()


def test_a_taken_port_is_one_clear_line(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        refused = cli.run(data_dir, "up", EROS_GATEWAY_LISTEN=f"127.0.0.1:{port}")
    assert refused.returncode == 1
    assert re.fullmatch(
        rf"eros: port {port} is already in use; set EROS_GATEWAY_LISTEN to another, .*\n",
        refused.stderr,
    )


def test_faulty_settings_are_named_before_anything_serves(data_dir: Path) -> None:
    refused = cli.run(data_dir, "up", EROS_LEASE_SECONDS="-1", EROS_WORKERS="1")
    assert refused.returncode == 1
    assert "EROS_LEASE_SECONDS" in refused.stderr
    assert read_state(DataDir(data_dir)) is None
