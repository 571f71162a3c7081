"""Locks on people's lists, held until the transaction ends.

Whoever changes what a person is shown locks them alone; whoever copies it to the cache locks them
together with other copiers (`matcher.hold_lists`). So no cached list is older than the last change.
Always in the order of the keys: no deadlocks. Job rows are never waited for while such a lock is
held.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from eros_common.ids import UserId

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy


async def lock_alone(connection: PoolConnectionProxy, users: Iterable[UserId]) -> None:
    await connection.execute(
        "SELECT pg_advisory_xact_lock(key) FROM unnest($1::bigint[]) key", keys_of(users)
    )


def keys_of(users: Iterable[UserId]) -> list[int]:
    """What the locks of these people are called, in the order in which they are taken."""
    # Two people with the same key only wait for each other.
    return sorted({int.from_bytes(user.bytes[:8], signed=True) for user in users})
