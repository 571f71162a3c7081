"""Who runs the mesh of a directory, and what becomes of what a dead one left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from eros_cli.mesh.data_dir import DataDir
from eros_cli.mesh.faults import AlreadyRunning
from eros_cli.mesh.processes import ProcessId
from eros_cli.mesh.state import (
    Child,
    State,
    read_state,
    running_state,
    sole_supervisor,
    write_state,
)
from eros_cli.mesh.temporary import temporary_data_dir

_SLEEPS = "import signal; signal.pause()"
_IGNORES_SIGTERM = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); "
    "signal.pause()"
)


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    data = DataDir(tmp_path / "data")
    data.create()
    return data


def state_of(data: DataDir, supervisor: ProcessId, **children: Child) -> State:
    return State(supervisor, "http://127.0.0.1:3000", str(data.root), children)


def dead(process: ProcessId) -> ProcessId:
    """The same pid in another life."""
    return replace(process, start_time=process.start_time - 1)


def test_a_process_is_known_by_pid_and_start_time() -> None:
    me = ProcessId.of_this_process()
    assert me.is_alive()
    assert not dead(me).is_alive()
    assert not replace(me, boot="another").is_alive()


def test_a_zombie_is_not_alive() -> None:
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", ""], stdout=subprocess.PIPE) as child:
        process = ProcessId.of(child.pid)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert process is None or not process.is_alive()


def test_the_state_file_says_what_runs(data: DataDir) -> None:
    state = state_of(data, ProcessId.of_this_process())
    write_state(data, state)
    assert running_state(data) == state
    assert "at http://127.0.0.1:3000" in state.describe()
    assert f"kill {os.getpid()}" in state.describe()
    assert str(data.root) in state.describe()


def test_a_dead_supervisors_state_does_not_count(data: DataDir) -> None:
    write_state(data, state_of(data, dead(ProcessId.of_this_process())))
    assert read_state(data) is not None
    assert running_state(data) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"supervisor": 1}'])
def test_a_damaged_state_file_is_no_state(data: DataDir, text: str) -> None:
    data.state.write_text(text)
    assert read_state(data) is None
    with sole_supervisor(data):
        assert not data.state.exists()


def test_a_second_start_says_what_is_running(data: DataDir) -> None:
    with sole_supervisor(data):
        with pytest.raises(AlreadyRunning, match="starting or stopping"), sole_supervisor(data):
            pytest.fail("two supervisors hold one directory")
        state = state_of(data, ProcessId.of_this_process())
        write_state(data, state)
        with pytest.raises(AlreadyRunning) as refused, sole_supervisor(data):
            pytest.fail("two supervisors hold one directory")
        assert str(refused.value) == state.describe()
    with sole_supervisor(data):
        assert read_state(data) is None


def test_what_a_killed_supervisor_left_is_ended_first(data: DataDir) -> None:
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", _SLEEPS]) as left:
        process = ProcessId.of(left.pid)
        assert process is not None
        supervisor = dead(ProcessId.of_this_process())
        child = Child(process, signal.SIGTERM)
        write_state(data, state_of(data, supervisor, postgres=child))
        with sole_supervisor(data):
            assert left.wait(timeout=0) == -signal.SIGTERM


def test_a_pid_that_another_process_has_now_is_left_alone(data: DataDir) -> None:
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", _SLEEPS]) as stranger:
        process = ProcessId.of(stranger.pid)
        assert process is not None
        child = Child(dead(process), signal.SIGTERM)
        write_state(data, state_of(data, dead(ProcessId.of_this_process()), postgres=child))
        with sole_supervisor(data):
            assert stranger.poll() is None
        stranger.kill()


def test_who_does_not_stop_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _IGNORES_SIGTERM], stdout=subprocess.PIPE
    ) as deaf:
        assert deaf.stdout is not None
        deaf.stdout.readline()
        process = ProcessId.of(deaf.pid)
        assert process is not None
        process.end(signal.SIGTERM, seconds=0.1)
        assert deaf.wait(timeout=0) == -signal.SIGKILL


def test_what_a_killed_supervisor_left_in_the_temporary_folder_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    me = ProcessId.of_this_process()
    with temporary_data_dir() as running:
        running.create()
        write_state(running, state_of(running, me))
        abandoned = DataDir(tmp_path / "eros-mesh-abandoned")
        abandoned.create()
        write_state(abandoned, state_of(abandoned, dead(me)))
        starting = tmp_path / "eros-mesh-starting"
        starting.mkdir()
        with temporary_data_dir() as another:
            left = {path.name for path in tmp_path.iterdir()}
            assert left == {running.root.name, starting.name, another.root.name}
    assert {path.name for path in tmp_path.iterdir()} == {starting.name}


def test_a_log_that_has_grown_begins_anew_under_who_writes_it(data: DataDir) -> None:
    log, small = data.logs / "envoy.log", data.logs / "small.log"
    small.write_text("little")
    with log.open("ab") as writer:
        writer.write(b"x" * 1000)
        writer.flush()
        data.shorten_logs(most=500)
        writer.write(b"goes on")
    assert log.read_bytes() == b"goes on"
    assert log.with_name("envoy.log.1").read_bytes() == b"x" * 1000
    assert small.read_text() == "little"
    assert not small.with_name("small.log.1").exists()


def test_where_there_is_no_room_a_log_begins_anew_all_the_same(
    data: DataDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("eros_cli.mesh.data_dir.shutil.copyfile", full)
    log = data.logs / "envoy.log"
    log.write_bytes(b"x" * 1000)
    data.shorten_logs(most=500)
    assert log.read_bytes() == b""
