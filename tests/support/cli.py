"""`./eros` as a person runs it: a process of its own, with an emptied environment."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from eros_cli.mesh.addresses import (
    READS_PORTS,
    SERVICE_PORTS,
    address_variable,
    reads_variable,
)
from tests.support.processes import CHECKOUT

#: Other meshes may start at the same moment.
_ANY_PORTS = {
    "EROS_GATEWAY_LISTEN": "127.0.0.1:0",
    "EROS_ALS_LISTEN": "127.0.0.1:0",
    "EROS_POSTGRES_PORT": "0",
    "EROS_VALKEY_PORT": "0",
    **{address_variable(service): "127.0.0.1:0" for service in SERVICE_PORTS},
    **{reads_variable(service): "127.0.0.1:0" for service in READS_PORTS},
}


def environment(data_dir: Path, **settings: str) -> dict[str, str]:
    """What a newcomer's shell would have, any free port for the gateway, and one worker."""
    return {
        "PATH": os.defpath,
        "HOME": os.environ.get("HOME", "/"),
        "EROS_DATA_DIR": str(data_dir),
        **_ANY_PORTS,
        "EROS_WORKERS": "1",
        **settings,
    }


def run(data_dir: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; both outputs are text."""
    return subprocess.run(
        [str(CHECKOUT / "eros"), *words],
        env=environment(data_dir, **settings),
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


@contextmanager
def up(
    data_dir: Path, terminal: int | None = None, **settings: str
) -> Iterator[subprocess.Popen[str]]:
    """`./eros up`, running; killed at the end if it still is. `terminal`: a pty to run it on."""
    words = [str(CHECKOUT / "eros"), "up"]
    with subprocess.Popen(
        # setsid makes the terminal the one that controls the new session.
        words if terminal is None else ["setsid", "--ctty", *words],
        env=environment(data_dir, **settings),
        cwd="/",
        stdin=subprocess.DEVNULL if terminal is None else terminal,
        stdout=subprocess.PIPE if terminal is None else terminal,
        stderr=subprocess.STDOUT if terminal is None else terminal,
        text=True,
    ) as command:
        try:
            yield command
        finally:
            command.kill()


def until_serving(output: IO[str]) -> str:
    """Reads on until the address is printed; the gateway's URL. Fails with all that was printed."""
    seen = []
    # A terminal whose other side is closed ends with an error, not with an end of file.
    with suppress(OSError):
        for line in output:
            seen.append(line)
            _, found, rest = line.partition("EROS serves at ")
            if found:
                return rest.split("/api/v1")[0]
    raise AssertionError("it ended instead of serving:\n" + "".join(seen))
