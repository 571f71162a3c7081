"""The CLI as a caller of the services: the identity `operator` on typed stubs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from eros.accounts.v1 import accounts_pb2_grpc
from eros.activity.v1 import activity_pb2_grpc
from eros.scheduler.v1 import scheduler_pb2_grpc
from eros_common.auth.identity import ServiceIdentity
from eros_common.channel import open_channel

_NAME = "operator"
_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Operator:
    """Stubs that carry the operator's identity."""

    accounts: accounts_pb2_grpc.AccountsServiceStub
    activity: activity_pb2_grpc.ActivityServiceStub
    scheduler: scheduler_pb2_grpc.SchedulerServiceStub


@asynccontextmanager
async def open_operator(environment: Mapping[str, str]) -> AsyncIterator[Operator]:
    """Stubs for the services that `environment` names (see Mesh.environment).

    Nothing is connected before the first call. Raises KeyError for a missing variable and
    ValueError for a key file that holds no key.
    """
    identity = ServiceIdentity.from_file(_NAME, Path(environment["EROS_SERVICE_KEY_FILE"]))
    async with AsyncExitStack() as stack:

        async def channel(service: str) -> grpc.aio.Channel:
            target = environment[f"EROS_{service.upper()}_ADDRESS"]
            return await stack.enter_async_context(
                open_channel(
                    target, audience=service, identity=identity, timeout_seconds=_TIMEOUT_SECONDS
                )
            )

        yield Operator(
            accounts_pb2_grpc.AccountsServiceStub(await channel("accounts")),
            activity_pb2_grpc.ActivityServiceStub(await channel("activity")),
            scheduler_pb2_grpc.SchedulerServiceStub(await channel("scheduler")),
        )
