"""A signal ends a command in good order."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

_COMMAND = """
import asyncio, signal, sys
from eros_cli.interrupts import Interrupted, run_stoppable

# Whoever is started in the background of a script inherits an ignored Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

async def main():
    try:
        print("started", flush=True)
        await asyncio.get_running_loop().create_future()
    finally:
        await asyncio.sleep(0)
        print("closed", flush=True)

try:
    run_stoppable(main())
except Interrupted as interrupted:
    print(interrupted, flush=True)
    sys.exit(interrupted.exit_code)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_lets_the_command_clean_up(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _COMMAND], stdout=subprocess.PIPE, text=True
    ) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == "started\n"
        command.send_signal(number)
        output, _ = command.communicate(timeout=20)
        assert output.splitlines() == ["closed", f"stopped by {number.name}"]
        assert command.returncode == 128 + number
