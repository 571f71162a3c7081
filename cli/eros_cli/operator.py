"""How a command reaches a mesh that runs: its environment, and channels as the operator."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import grpc.aio

from eros.accounts.v1 import accounts_pb2_grpc
from eros.activity.v1 import activity_pb2_grpc
from eros.scheduler.v1 import scheduler_pb2_grpc
from eros_cli.mesh.addresses import address_variable
from eros_cli.mesh.data_dir import DataDir
from eros_cli.mesh.faults import MeshError
from eros_cli.mesh.options import Part
from eros_cli.mesh.state import running_state
from eros_common.auth.identity import ServiceIdentity
from eros_common.channel import open_channel
from eros_common.each_address import EachAddress, resolver

if TYPE_CHECKING:
    from eros_gateway.front.ports import NightSeen

_KEY_VARIABLE = "EROS_SERVICE_KEY_FILE"
# A batch of an import is the longest that an operator waits for.
_TIMEOUT_SECONDS = 30.0


def running_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of the mesh that is meant: the caller's own if they name an operator's key,
    else those of the mesh that runs on this machine. Raises MeshError if there is neither."""
    given = os.environ if environment is None else environment
    if given.get(_KEY_VARIABLE):
        return dict(given)
    data = DataDir.default(given)
    if running_state(data) is None:
        raise MeshError(f"no EROS runs here (data in {data.root}); start it with: ./eros up")
    try:
        found: dict[str, str] = json.loads(data.client_environment.read_text())
    except FileNotFoundError:
        raise MeshError("EROS is still starting; try again in a moment") from None
    except PermissionError:
        raise MeshError(
            f"EROS runs as another user, whose keys in {data.keys} are private"
        ) from None
    return {**given, **found}


def operator_channel(environment: Mapping[str, str], service: Part) -> grpc.aio.Channel:
    """A channel to a service as the operator; close it. Raises MeshError for missing settings."""
    target, connect = _way_to(environment, service)
    return connect(target)


async def whole_night(environment: Mapping[str, str]) -> NightSeen:
    """The overview of every scheduler there is, and which did not answer. Raises MeshError where
    none did."""
    # Lazy: it brings the clients of the stores along, which no other command needs.
    from eros_gateway.front.ports import PartDown
    from eros_gateway.front.probes import SchedulerNight

    target, connect = _way_to(environment, Part.SCHEDULER)
    schedulers = EachAddress(resolver(target), connect)
    try:
        return await SchedulerNight(schedulers, _TIMEOUT_SECONDS).overview()
    except PartDown as fault:
        raise MeshError(f"no scheduler tells of the night: {fault}") from None
    finally:
        await schedulers.close()


def _way_to(
    environment: Mapping[str, str], service: Part
) -> tuple[str, Callable[[str], grpc.aio.Channel]]:
    """Its address, and what opens a channel to an address of it."""
    variable = address_variable(service)
    target, key = environment.get(variable), environment.get(_KEY_VARIABLE)
    if not target or not key:
        raise MeshError(f"{_KEY_VARIABLE} and {variable} must both be set, or neither")
    try:
        identity = ServiceIdentity.from_file("operator", Path(key))
    except ValueError as error:
        raise MeshError(str(error)) from None
    return target, lambda address: open_channel(
        address, audience=service.value, identity=identity, timeout_seconds=_TIMEOUT_SECONDS
    )


@dataclass(frozen=True, slots=True)
class Operator:
    """Stubs of the services that answer the operator."""

    accounts: accounts_pb2_grpc.AccountsServiceStub
    activity: activity_pb2_grpc.ActivityServiceStub
    scheduler: scheduler_pb2_grpc.SchedulerServiceStub


@asynccontextmanager
async def open_operator(environment: Mapping[str, str]) -> AsyncIterator[Operator]:
    """All stubs; nothing is connected before the first call. Raises MeshError."""
    async with AsyncExitStack() as stack:
        accounts, activity, scheduler = [
            await stack.enter_async_context(operator_channel(environment, service))
            for service in (Part.ACCOUNTS, Part.ACTIVITY, Part.SCHEDULER)
        ]
        yield Operator(
            accounts_pb2_grpc.AccountsServiceStub(accounts),
            activity_pb2_grpc.ActivityServiceStub(activity),
            scheduler_pb2_grpc.SchedulerServiceStub(scheduler),
        )
