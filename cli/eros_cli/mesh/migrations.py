"""Brings a database's schemas up to date: the linear history of SQL in /migrations, by yoyo."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
import yoyo
from yoyo.exceptions import LockTimeout

from eros_cli.mesh.faults import MeshError
from eros_cli.paths import MIGRATIONS

_LOCK_SECONDS = 60


async def migrate(database_url: str, directory: Path = MIGRATIONS) -> Sequence[str]:
    """Apply what is not applied yet, each file in a transaction; the names of what was applied.

    Two at once on one database wait for each other. Raises MeshError.
    """
    return await asyncio.to_thread(_migrate, database_url, directory)


def _migrate(database_url: str, directory: Path) -> Sequence[str]:
    _, _, rest = database_url.partition("://")
    try:
        backend = yoyo.get_backend(f"postgresql+psycopg://{rest}")
    except Exception as error:  # noqa: BLE001 - yoyo lets each driver's own errors through
        raise MeshError(f"the database of DATABASE_URL cannot be reached: {error}") from None
    try:
        encoding = backend.connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise MeshError(
                f"the database of DATABASE_URL keeps its text in {encoding}; make it anew with "
                "ENCODING 'UTF8': names and messages are of all languages"
            )
        history = yoyo.read_migrations(str(directory))
        try:
            with backend.lock(timeout=_LOCK_SECONDS):
                missing = list(backend.to_apply(history))
                for migration in missing:
                    _apply(backend, migration)
        except LockTimeout:
            raise MeshError(
                "another process has been changing the database's schemas for a minute; "
                "if it died, run: DELETE FROM yoyo_lock"
            ) from None
        return [migration.id for migration in missing]
    finally:
        backend.connection.close()


def _apply(backend: Any, migration: Any) -> None:
    try:
        backend.apply_one(migration)
    except psycopg.Error as error:
        raise MeshError(f"the migration {migration.id} failed: {error}") from None


def main() -> int:
    """Brings the database of DATABASE_URL up to date; what a release runs before its services."""
    url = os.environ.get("DATABASE_URL", "")
    if not url:
        print("DATABASE_URL is not set", file=sys.stderr)
        return 2
    try:
        applied = asyncio.run(migrate(url))
    except MeshError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(f"applied {name}" for name in applied) or "nothing to apply")
    return 0


if __name__ == "__main__":
    sys.exit(main())
