"""A pip that can install into `.venv`, on machines where Python comes without one."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from eros_bootstrap.checkout import Checkout
from eros_bootstrap.failure import PreparationError

#: Not the environment's own link to it: that one may be about to be replaced.
_BASE_PYTHON: str = getattr(sys, "_base_executable", None) or sys.executable


@dataclass(frozen=True, slots=True)
class PipCommand:
    """How to run pip for the environment: the words before `install`."""

    arguments: tuple[str, ...]


def find_pip(checkout: Checkout) -> PipCommand:
    """Create the environment if need be, and say how to run pip for it.

    Debian and Ubuntu split `ensurepip` off (package python3-venv); without it the environment is
    made bare and a pip found elsewhere on the machine installs into it, or virtualenv makes it.
    Raises PreparationError with the one command that helps.
    """
    python = str(checkout.python)
    own = PipCommand((python, "-m", "pip"))
    if not checkout.venv.exists():
        _create(checkout)
        (checkout.venv / ".eros-root").write_text(str(checkout.root))
    if _runs([*own.arguments, "--version"]):
        return own
    for pip in _foreign_pips():
        # pip 22.3 and later can be pointed at another interpreter.
        borrowed = PipCommand((*pip, "--python", python))
        if _runs([*borrowed.arguments, "--version"]):
            return borrowed
    raise PreparationError(
        "this Python has neither ensurepip nor pip; install one of them first, for example: "
        "sudo apt install python3-venv"
    )


def _create(checkout: Checkout) -> None:
    venv = str(checkout.venv)
    attempts: list[list[str]] = []
    if importlib.util.find_spec("ensurepip"):
        attempts.append([_BASE_PYTHON, "-I", "-m", "venv", venv])
    if shutil.which("virtualenv"):
        attempts.append(["virtualenv", "--python", _BASE_PYTHON, "--quiet", venv])
    if importlib.util.find_spec("venv"):
        attempts.append([_BASE_PYTHON, "-I", "-m", "venv", "--without-pip", venv])
    for attempt in attempts:
        if _runs(attempt):
            return
        shutil.rmtree(venv, ignore_errors=True)
    raise PreparationError(
        f"{_BASE_PYTHON} cannot make a virtual environment; install that part of Python first, "
        "for example: sudo apt install python3-venv"
    )


def _foreign_pips() -> Iterator[list[str]]:
    yield [_BASE_PYTHON, "-m", "pip"]
    for name in ("pip3", "pip"):
        if path := shutil.which(name):
            yield [path]


def _runs(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False
