"""Models in PostgreSQL: one row each."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import asyncpg

from eros_common import logging
from eros_matcher.features import model as models
from eros_matcher.ports import StoredModel
from eros_matcher.programs.payload import LearnedModel

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

log = logging.get("matcher.models")


class NoModelError(Exception):
    """No published model can be read."""


class PostgresModels:
    """In the role `eros_matcher`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._newest: StoredModel | None = None

    async def ensure_first(self, at: datetime) -> None:
        """Publish the model set by hand, unless there is one that can be read."""
        try:
            await self.current()
        except NoModelError:
            body = models.encode(models.by_hand())
            await self._pool.execute(
                """
                INSERT INTO matcher.models
                    (version, kind, body, sha256, seed, data_cutoff, created_at, published_at)
                SELECT coalesce(max(version), 0) + 1, $1, $2, $3, $4, $5, $6, $6
                FROM matcher.models ON CONFLICT (version) DO NOTHING
                """,
                *(models.KIND, body, hashlib.sha256(body).digest()),
                # Learned from nothing.
                *(models.SEED, datetime(1970, 1, 1, tzinfo=UTC), at),
            )

    async def current(self) -> StoredModel:
        """The newest published model that can be read; raises NoModelError."""
        versions = await self._pool.fetch(
            """
            SELECT version FROM matcher.models WHERE published_at IS NOT NULL
            ORDER BY version DESC LIMIT 5
            """
        )
        for (version,) in versions:
            if self._newest is not None and self._newest.version == version:
                return self._newest
            try:
                self._newest = await self._read(version)
            except models.BrokenModelError as error:
                log.error("refused", version=version, error=str(error))  # noqa: TRY400
            else:
                return self._newest
        raise NoModelError("no published model can be read")

    async def _read(self, version: int) -> StoredModel:
        row = await self._pool.fetchrow(
            "SELECT kind, body, sha256, published_at FROM matcher.models WHERE version = $1",
            version,
        )
        if row is None:
            raise models.BrokenModelError("it is gone")
        model = models.decode(row["kind"], row["body"], row["sha256"])
        return StoredModel(version, model, row["body"].decode(), row["published_at"])


async def save_learned(connection: PoolConnectionProxy, learned: LearnedModel, at: datetime) -> int:
    """Keep a learned model, not yet published; returns its version. Raises BrokenModelError."""
    digest = hashlib.sha256(learned.body).digest()
    models.decode(models.KIND, learned.body, digest)
    # Learners take turns under the job's fence, so nobody else counts at the same moment.
    version: int = await connection.fetchval(
        """
        INSERT INTO matcher.models
            (version, kind, body, sha256, seed, data_cutoff, created_at, people)
        SELECT coalesce(max(version), 0) + 1, $1, $2, $3, $4, $5, $6, $7 FROM matcher.models
        RETURNING version
        """,
        *(models.KIND, learned.body, digest, models.SEED, learned.cutoff, at, learned.people),
    )
    return version
