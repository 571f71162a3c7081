"""Who runs the mesh of a data directory: a lock while it runs, a file that says what runs."""

from __future__ import annotations

import fcntl
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from eros_cli.mesh.data_dir import DataDir
from eros_cli.mesh.faults import AlreadyRunning
from eros_cli.mesh.processes import ProcessId

_SECONDS_TO_END = 10.0


@dataclass(frozen=True, slots=True)
class Child:
    """A program of the mesh and the signal that ends it well."""

    process: ProcessId
    stop_signal: int


@dataclass(frozen=True, slots=True)
class State:
    """What the state file says. `address` is the gateway's URL, None without a gateway."""

    supervisor: ProcessId
    address: str | None
    data_dir: str
    children: dict[str, Child] = field(default_factory=dict)

    def describe(self) -> str:
        what = f"at {self.address}" if self.address else "without a gateway"
        return (
            f"EROS is already running {what} (process {self.supervisor.pid}, data in "
            f"{self.data_dir}); stop it with: kill {self.supervisor.pid}"
        )


def write_state(data: DataDir, state: State) -> None:
    """Replace the state file, whole."""
    fresh = data.state.with_name("state.json.new")
    fresh.write_text(json.dumps(asdict(state), indent=1))
    fresh.rename(data.state)


def read_state(data: DataDir) -> State | None:
    """The state file, whoever wrote it; None if there is none or it was not written by us."""
    try:
        raw = json.loads(data.state.read_text())
        children = {
            name: Child(ProcessId(**child["process"]), child["stop_signal"])
            for name, child in raw["children"].items()
        }
        supervisor = ProcessId(**raw["supervisor"])
        return State(supervisor, raw["address"], raw["data_dir"], children)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def running_state(data: DataDir) -> State | None:
    """What runs here now, or None: a dead supervisor's file does not count."""
    state = read_state(data)
    return state if state is not None and state.supervisor.is_alive() else None


@contextmanager
def sole_supervisor(data: DataDir) -> Iterator[None]:
    """Hold the data directory; the kernel lets go of it when this process ends, however it ends.

    Whatever an earlier supervisor left running is ended first. Raises AlreadyRunning.
    """
    with data.lock.open("a+") as lock:
        _lock(lock, data)
        state = read_state(data)
        if state is not None:
            for child in state.children.values():
                child.process.end(signal.Signals(child.stop_signal), _SECONDS_TO_END)
        _forget(data)
        try:
            yield
        finally:
            _forget(data)


def _lock(lock: IO[str], data: DataDir) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        state = read_state(data)
        if state is not None:
            raise AlreadyRunning(state.describe()) from None
        raise AlreadyRunning(f"another EROS is starting or stopping in {data.root}") from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()


def _forget(data: DataDir) -> None:
    for path in (data.state, data.client_environment):
        Path(path).unlink(missing_ok=True)
