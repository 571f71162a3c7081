"""Programs are started, watched, started again, given up on, and never outlive the supervisor."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from eros_cli.mesh import keeper as keeper_module
from eros_cli.mesh.events import EventKind, MeshEvent
from eros_cli.mesh.faults import ProgramFailed
from eros_cli.mesh.keeper import Keeper
from eros_cli.mesh.process import Process
from eros_cli.mesh.program import Program
from tests.support.processes import CHECKOUT, ends_within
from tests.support.programs import python_program, until_file

_SLEEPS = "import signal; signal.pause()"
_FAILS = "import sys; print('no luck'); sys.exit(3)"
_DEAF = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('deaf', 'w').write('.\\n');"
    " [signal.pause() for _ in iter(int, 1)]"
)


def keep(program: Program, logs: Path, events: list[MeshEvent], *, restart: bool = True) -> Keeper:
    return Keeper(lambda: program, logs, events.append, lambda: None, restart=restart)


async def never_ready() -> None:
    await asyncio.get_running_loop().create_future()


async def test_a_program_runs_until_it_is_stopped(tmp_path: Path) -> None:
    process = Process(python_program(_SLEEPS, tmp_path), tmp_path / "log")
    await process.start()
    await process.until_ready()
    assert process.id is not None
    assert process.id.is_alive()
    await process.stop()
    assert process.has_ended
    assert process.id is None


async def test_one_that_ends_before_it_is_ready_tells_why(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = Process(python_program(_FAILS, tmp_path, ready=never_ready), log)
    await process.start()
    with pytest.raises(ProgramFailed, match="sample ended at once") as failure:
        await process.until_ready()
    assert "exit code 3" in str(failure.value)
    assert f"{log}, the last lines:\n    no luck" in str(failure.value)


async def test_one_that_cannot_be_run_tells_why(tmp_path: Path) -> None:
    program = Program("absent", ("/nonexistent/program",), {}, never_ready, tmp_path)
    process = Process(program, tmp_path / "log")
    await process.start()
    with pytest.raises(ProgramFailed, match="cannot run /nonexistent/program: No such file"):
        await process.until_ready()


async def test_one_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    process = Process(python_program(_DEAF, tmp_path, stop_seconds=0.2), tmp_path / "log")
    await process.start()
    await until_file(tmp_path / "deaf")
    await process.stop()
    assert await process.until_ended() == -signal.SIGKILL


async def test_a_frozen_one_can_be_stopped(tmp_path: Path) -> None:
    process = Process(python_program(_SLEEPS, tmp_path), tmp_path / "log")
    await process.start()
    process.signal(signal.SIGSTOP)
    await process.stop()
    assert await process.until_ended() == -signal.SIGTERM


async def test_a_dead_program_is_started_again(tmp_path: Path) -> None:
    events: list[MeshEvent] = []
    keeper = keep(python_program(_SLEEPS, tmp_path), tmp_path, events)
    await keeper.start()
    assert keeper.process is not None
    first = keeper.process.pid
    await keeper.kill()
    await keeper.serving.wait()
    assert keeper.process.pid != first
    ended = [event for event in events if event.kind is EventKind.ENDED]
    assert "killed by SIGKILL" in ended[0].message
    assert str(keeper.log) in ended[0].message
    await keeper.stop()
    assert keeper.process is None


async def test_a_crash_loop_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "_FIRST_DELAY_SECONDS", 0.001)
    events: list[MeshEvent] = []
    keeper = keep(python_program(_FAILS, tmp_path), tmp_path, events)
    await keeper.start()
    fault = await keeper.failed
    assert "sample keeps ending; 5 times in a row" in str(fault)
    assert "no luck" in str(fault)
    await keeper.stop()


async def test_one_that_cannot_be_started_again_is_given_up_whatever_the_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "_FIRST_DELAY_SECONDS", 0.001)
    events: list[MeshEvent] = []
    keeper = keep(python_program(_SLEEPS, tmp_path), tmp_path, events)
    await keeper.start()

    async def no_processes(_: Process) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(Process, "start", no_processes)
    await keeper.kill()
    async with asyncio.timeout(20):
        fault = await keeper.failed
    assert "sample keeps ending; 5 times in a row" in str(fault)
    assert any("Resource temporarily unavailable" in event.message for event in events)
    await keeper.stop()


async def test_without_restart_the_first_death_counts(tmp_path: Path) -> None:
    keeper = keep(python_program(_FAILS, tmp_path), tmp_path, [], restart=False)
    await keeper.start()
    assert "exit code 3" in str(await keeper.failed)
    await keeper.stop()


async def test_stopping_one_that_is_being_started_again(tmp_path: Path) -> None:
    keeper = keep(python_program(_FAILS, tmp_path), tmp_path, [])
    await keeper.start()
    await until_file(keeper.log, lines=2)
    await keeper.stop()
    assert not keeper.serving.is_set()
    assert not keeper.failed.done()


_SUPERVISOR = f"""
import asyncio, os, sys
from pathlib import Path
sys.path.insert(0, {str(CHECKOUT)!r})
from eros_cli.mesh.process import Process
from tests.support.programs import python_program

async def main():
    process = Process(python_program({_DEAF!r}, Path(".")), Path("log"))
    await process.start()
    print(process.pid, flush=True)
    await process.until_ended()

asyncio.run(main())
"""


def test_no_program_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _SUPERVISOR], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    ) as supervisor:
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())
        assert not ends_within(pid, 0)
        supervisor.kill()
        assert ends_within(pid, 10)


def test_a_program_whose_supervisor_is_gone_is_not_run(tmp_path: Path) -> None:
    from eros_cli.mesh import launcher

    stranger = 1 if os.getppid() != 1 else 2
    words = [str(stranger), str(int(signal.SIGKILL)), "-1", "-1", "--", "/bin/true"]
    done = subprocess.run(
        [sys.executable, "-I", "-S", launcher.__file__, *words], cwd=tmp_path, check=False
    )
    assert done.returncode == launcher.EXIT_ORPHAN
