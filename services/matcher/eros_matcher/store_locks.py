"""Locks on people's lists, held until the transaction ends.

Whoever changes what a person is shown locks them alone; whoever copies it to the cache locks them
together with other copiers. So no cached list is older than the last change. Always in the
order of the keys: no deadlocks. Job rows are never waited for while such a lock is held.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from eros_common.ids import UserId

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy


async def lock_alone(connection: PoolConnectionProxy, users: Iterable[UserId]) -> None:
    await connection.execute(
        "SELECT pg_advisory_xact_lock(key) FROM unnest($1::bigint[]) key", _keys(users)
    )


async def lock_together(connection: PoolConnectionProxy, users: Iterable[UserId]) -> None:
    await connection.execute(
        "SELECT pg_advisory_xact_lock_shared(key) FROM unnest($1::bigint[]) key", _keys(users)
    )


def _keys(users: Iterable[UserId]) -> list[int]:
    # Two people with the same key only wait for each other.
    return sorted({int.from_bytes(user.bytes[:8], signed=True) for user in users})
