"""Brings people into EROS the way any other internal service would: by its gRPC stubs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import TypeVar

from eros.accounts.v1 import accounts_pb2, accounts_pb2_grpc
from eros.activity.v1 import activity_pb2, activity_pb2_grpc
from eros_common.ids import UserId, user_ids_from_bytes

_ACCOUNTS_AT_ONCE = 1000
_TOUCHES_AT_ONCE = 5000

Item = TypeVar("Item")


@dataclass(slots=True)
class Loaded:
    """Who is there after a load: every person with their time zone, and how many are new."""

    zones: dict[UserId, str] = field(default_factory=dict)
    created: int = 0


async def load_people(
    accounts: accounts_pb2_grpc.AccountsServiceStub,
    source: str,
    people: Iterable[accounts_pb2.ImportedAccount],
    advance: Callable[[int], None] = lambda _: None,
) -> Loaded:
    """Creates everybody who is not there yet; people of an earlier load keep their ids.

    `advance` is told how many more are done. Raises grpc.aio.AioRpcError.
    """
    loaded = Loaded()
    for batch in _batches(people, _ACCOUNTS_AT_ONCE):
        answer = await accounts.ImportAccounts(
            accounts_pb2.ImportAccountsRequest(source=source, accounts=batch)
        )
        users = user_ids_from_bytes(answer.user_ids)
        for user, person in zip(users, batch, strict=True):
            loaded.zones[user] = person.profile.location.time_zone
        loaded.created += answer.created
        advance(len(batch))
    return loaded


async def touch(
    activity: activity_pb2_grpc.ActivityServiceStub, seen: Mapping[UserId, datetime | None]
) -> int:
    """Records that people were seen at an instant of the night clock, or now where it is None.

    Returns how many of them woke. Raises grpc.aio.AioRpcError.
    """
    woke = 0
    for batch in _batches(seen.items(), _TOUCHES_AT_ONCE):
        interactions = [
            activity_pb2.Interaction(user_id=user.bytes, at=at.timestamp() if at else 0)
            for user, at in batch
        ]
        answer = await activity.Touch(activity_pb2.TouchRequest(interactions=interactions))
        woke += answer.woke
    return woke


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of up to `size` items; itertools.batched needs Python 3.12."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
