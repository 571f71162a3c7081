"""Envoy is told to end whatever it does meanwhile: it may have requests to write out."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from eros_gateway import serve as serving
from eros_gateway.config import GatewaySettings

# In Envoy's place: it takes connections at its admin socket and never answers.
_FROZEN = """#!{python}
import asyncio, pathlib, signal

async def main():
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)
    await asyncio.start_unix_server(lambda *_: None, "{folder}/admin.sock")
    await asked.wait()
    pathlib.Path("{folder}/ended").touch()

asyncio.run(main())
"""


async def test_a_frozen_envoy_is_ended_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "envoy"
    program.write_text(_FROZEN.format(python=sys.executable, folder=tmp_path))
    program.chmod(0o700)
    monkeypatch.setattr(serving, "find_envoy", lambda: str(program))
    chosen = {"gateway_admin_socket": tmp_path / "admin.sock", "gateway_drain_seconds": 0.1}
    settings = GatewaySettings.model_validate(chosen)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(30):
            served = asyncio.create_task(serving.serve(settings, tmp_path / "envoy.yaml"))
            while not settings.gateway_admin_socket.exists():
                assert not served.done()
                await asyncio.sleep(0.01)
            os.kill(os.getpid(), signal.SIGTERM)
            assert await served == 0
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
    assert (tmp_path / "ended").exists()
