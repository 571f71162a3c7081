"""How each Python service of the mesh is started."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import partial

from eros_cli import apertium
from eros_cli.mesh.addresses import ACCESS_LOG_VARIABLE, READS_VARIABLE, Addresses
from eros_cli.mesh.data_dir import DataDir
from eros_cli.mesh.keys import key_environment
from eros_cli.mesh.options import Part
from eros_cli.mesh.ports import split_address
from eros_cli.mesh.program import Program
from eros_cli.mesh.readiness import until_serving
from eros_cli.paths import DESCRIPTOR_SET

#: Started in this order, stopped in the opposite one; those of a row at the same time.
START_ORDER = (
    (Part.ACCOUNTS, Part.ACTIVITY),
    (Part.SCHEDULER, Part.MATCHER),
    (Part.ASSISTANT, Part.WORKER, Part.GATEWAY),
)
_MODULES = {
    Part.ACCOUNTS: "eros_accounts",
    Part.ACTIVITY: "eros_activity",
    Part.SCHEDULER: "eros_scheduler",
    Part.MATCHER: "eros_matcher",
    Part.ASSISTANT: "eros_assistant",
    Part.WORKER: "eros_matcher.worker",
    # Envoy itself is no Python service; this one stands behind it.
    Part.GATEWAY: "eros_gateway.front",
}

_METRICS = "EROS_METRICS_LISTEN"


def service_program(
    part: Part,
    number: int,
    shared: Mapping[str, str],
    addresses: Addresses,
    data: DataDir,
) -> Program:
    """The program of a service; `number` counts workers from 0 and is 0 for all others.

    `shared` is the environment of all services: stores, settings, the night clock.
    """
    address = addresses.workers[number] if part is Part.WORKER else addresses.services[part]
    environment = {
        **shared,
        **addresses.environment(),
        **key_environment(data, part.value),
        "EROS_LISTEN": address,
    }
    if listen := shared.get(_METRICS):
        environment[_METRICS] = _metrics_address(listen, part, number)
    if part is Part.ACCOUNTS:
        environment.setdefault("EROS_SIGNING_KEYS_DIR", os.fspath(data.signing_keys))
    if part in addresses.reads:
        environment[READS_VARIABLE] = addresses.reads[part]
    if part is Part.ACTIVITY:
        environment[ACCESS_LOG_VARIABLE] = addresses.access_log
    if part is Part.GATEWAY:
        environment["EROS_GATEWAY_ADMIN_SOCKET"] = os.fspath(data.socket("envoy-admin"))
        environment["EROS_DESCRIPTOR_SET"] = os.fspath(DESCRIPTOR_SET)
    if part is Part.ASSISTANT:
        # Of the machine and not of this mesh: `./eros setup` unpacks it there.
        unpacked = apertium.folder(environment)
        environment.setdefault("EROS_ASSISTANT_APERTIUM_DIR", os.fspath(unpacked))
    if part is Part.WORKER:
        environment["EROS_WORKER_DATA_DIR"] = os.fspath(data.worker)
    return Program(
        name=service_name(part, number),
        command=(sys.executable, "-m", _MODULES[part]),
        environment=environment,
        ready=partial(until_serving, address),
        directory=data.run,
    )


def _metrics_address(listen: str, part: Part, number: int) -> str:
    """One port a program, from the one that was asked for on: the services in the order of their
    names here, then the workers."""
    host, port = split_address(listen, _METRICS)
    services = [each for each in _MODULES if each is not Part.WORKER]
    place = len(services) + number if part is Part.WORKER else services.index(part)
    return f"{host}:{port + place}"


def service_name(part: Part, number: int) -> str:
    """`accounts`; workers are `worker-1`, `worker-2`…"""
    return f"{part.value}-{number + 1}" if part is Part.WORKER else part.value


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """The caller's variables as services get them."""
    # gRPC reads proxy settings even for this machine's own addresses.
    direct = [environment.get(name, "") for name in ("no_grpc_proxy", "no_proxy", "NO_PROXY")]
    exceptions = ",".join([*filter(None, direct), "127.0.0.1", "localhost"])
    return {
        # People read these logs; whoever collects them sets json.
        "EROS_LOG_FORMAT": "text",
        **environment,
        "no_grpc_proxy": exceptions,
        "PYTHONUNBUFFERED": "1",
    }
