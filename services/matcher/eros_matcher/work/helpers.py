"""Helper processes of the batch process: each does one thing that takes seconds, and ends."""

from __future__ import annotations

import asyncio
import os
import sys

from pydantic import SecretStr

from eros_common import logging, telemetry

log = logging.get("matcher.helpers")


class HelperHangsError(Exception):
    """It did not end in time and was killed: nobody's failure who is waited for."""


async def run_helper(
    module: str, *arguments: str, database_url: SecretStr, most_seconds: float
) -> int:
    """Its exit status. It gets `arguments`, and this process's id last.

    Raises HelperHangsError. One that nobody waits for any more is killed.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", module, *arguments, str(os.getpid())),
        stdin=asyncio.subprocess.DEVNULL,
        env=os.environ
        | {
            "DATABASE_URL": database_url.get_secret_value(),
            "PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path),
            "OPENBLAS_NUM_THREADS": "1",
        },
    )
    try:
        return await asyncio.wait_for(process.wait(), most_seconds)
    except TimeoutError:
        log.error("hangs", helper=module, pid=process.pid, seconds=most_seconds)  # noqa: TRY400
        telemetry.meter().create_counter(
            "eros.worker.helpers.killed",
            unit="{process}",
            description="Helper processes that did not end in time; by OTLP alone",
        ).add(1, {"helper": module})
        raise HelperHangsError(f"{module} took longer than {most_seconds:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
