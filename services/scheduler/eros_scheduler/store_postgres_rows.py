"""What the adapters to PostgreSQL share: which errors pass, and rows to what they mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC

import asyncpg

from eros_common.ids import JobToken, UserId, WorkerId
from eros_common.postgres import AWAY
from eros_scheduler.core.model import HeldJob, JobKind, LeasedRow, OwnedJob, Zone
from eros_scheduler.ports import LeasedRows, StoreUnavailableError


@contextmanager
def unavailable() -> Iterator[None]:
    """Turns what is no fault of the statement into `StoreUnavailableError`."""
    try:
        yield
    except (
        *AWAY,
        # Two claims met between two kinds of one person: the index let one of them through.
        asyncpg.UniqueViolationError,
        # Somebody reads, such as a backup, what is to be altered.
        asyncpg.LockNotAvailableError,
    ) as error:
        raise StoreUnavailableError(f"{type(error).__name__}: {error}") from error
    except asyncpg.CheckViolationError as error:
        if error.constraint_name is not None:
            raise
        # No check of a table: a day got its partition while something was written of it.
        raise StoreUnavailableError(str(error)) from error


def leased(rows: Sequence[asyncpg.Record]) -> LeasedRows:
    return LeasedRows(
        [
            LeasedRow(
                user_id=UserId(row["user_id"]),
                kind=JobKind(row["kind"]),
                token=JobToken(row["token"]),
                zone=Zone(row["zone"]),
                # "-infinity" comes as the least datetime, without a zone.
                solo_at=row["solo_at"].replace(tzinfo=UTC),
                awake=row["awake"],
            )
            for row in rows
        ],
        min((row["lease_until"].timestamp() for row in rows), default=0.0),
    )


def owned(rows: Sequence[asyncpg.Record]) -> list[OwnedJob]:
    return [
        OwnedJob(
            HeldJob(UserId(row["user_id"]), JobKind(row["kind"]), JobToken(row["token"])),
            WorkerId(row["owner"]),
        )
        for row in rows
    ]
