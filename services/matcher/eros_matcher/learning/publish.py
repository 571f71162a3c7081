"""Makes everybody's vectors of a learned model and serves it: `python -m … PARENT`.

A model is written by the job's end, under its fence, and not yet published. Here all vectors are
made of what profiles say, each one's own part and the new weights; then it is published. Killed in
the middle, it is done again at the next learning: all of it is one transaction.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg
import numpy as np

from eros_common import logging, postgres
from eros_matcher.features.analysis import leaning_of, vector_of
from eros_matcher.features.model import BrokenModelError, Model, decode
from eros_matcher.features.said import said_of
from eros_matcher.learning.helper import settings_of_helper
from eros_matcher.learning.state import read
from eros_matcher.store_features import record_of

log = logging.get("matcher.learning")

_KEPT: Final = 2
"""Versions whose vectors stay: a night may just be using the one before."""
_AT_ONCE: Final = 2000
_PEOPLE: Final = """
SELECT f.*, NULL::bytea AS vector, 0::real AS price FROM matcher.features f WHERE f.in_market
"""


async def publish_waiting(pool: asyncpg.Pool, year: int) -> list[int]:
    """Publish the models that wait for it, the latest alone; returns the versions served now."""
    waiting = await pool.fetch(
        """
        SELECT version FROM matcher.models WHERE published_at IS NULL AND people IS NOT NULL
            AND version > (SELECT coalesce(max(version), 0) FROM matcher.models
                WHERE published_at IS NOT NULL)
        ORDER BY version DESC LIMIT 1
        """
    )
    done: list[int] = []
    for (version,) in waiting:
        try:
            await _publish(pool, version, year)
        except (BrokenModelError, ValueError, KeyError) as error:
            log.error("refused", version=version, error=str(error))  # noqa: TRY400
            await pool.execute(
                "UPDATE matcher.models SET people = NULL WHERE version = $1", version
            )
        else:
            done.append(version)
    return done


async def _publish(pool: asyncpg.Pool, version: int, year: int) -> None:
    began = time.monotonic()
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(
            "SELECT kind, body, sha256, people FROM matcher.models WHERE version = $1 FOR UPDATE",
            version,
        )
        if row is None or row["people"] is None:
            return
        model = decode(row["kind"], row["body"], row["sha256"])
        digest, people = row["people"][:32], row["people"][32:]
        if hashlib.sha256(people).digest() != digest:
            raise BrokenModelError(f"people's parts of {len(people)} bytes were cut or altered")
        arrays, _ = read(people)
        made = await _write_vectors(connection, version, model, arrays, year)
        await connection.execute(
            "UPDATE matcher.models SET published_at = $2, people = NULL WHERE version = $1",
            *(version, datetime.now(UTC)),
        )
        await connection.execute(
            """
            DELETE FROM matcher.vectors WHERE model_version IN (
                SELECT version FROM matcher.models WHERE published_at IS NOT NULL
                ORDER BY version DESC OFFSET $1)
            """,
            _KEPT,
        )
        # What was found under another model says nothing under this one.
        await connection.execute("DELETE FROM matcher.kept WHERE model_version < $1", version)
    log.info("published", version=version, people=made, seconds=round(time.monotonic() - began, 3))


async def _write_vectors(
    connection: Any, version: int, model: Model, arrays: Mapping[str, Any], year: int
) -> int:
    ids = arrays["ids"].reshape(-1, 16)
    number = {ids[index].tobytes(): index for index in range(len(ids))}
    leanings, prices = arrays["leanings"], arrays["prices"]
    if len(leanings) != len(ids) or len(prices) != len(ids):
        raise BrokenModelError("people's parts of different lengths")
    made = 0
    cursor = await connection.cursor(_PEOPLE)
    while rows := await cursor.fetch(_AT_ONCE):
        records = []
        for row in rows:
            person = record_of(row)
            assert person.filters is not None
            said = said_of(
                person.filters, person.interests, person.photos, person.words, model, year
            )
            index = number.get(person.user_id.bytes)
            leaning = b"" if index is None else leanings[index].astype("<f4").tobytes()
            vector = vector_of(said, model, leaning_of(leaning))
            if not np.isfinite(vector).all():
                continue
            price = model.usual_price if index is None else float(prices[index])
            own = leaning if index is not None and leanings[index].any() else None
            records.append((version, person.user_id, vector.tobytes(), price, own))
        await connection.copy_records_to_table(
            "vectors",
            schema_name="matcher",
            records=records,
            columns=("model_version", "user_id", "vector", "price", "leaning"),
        )
        made += len(records)
    return made


async def _main(url: str, year: int) -> None:
    async with postgres.open_pool(url, app="matcher-publish", role="eros_matcher", size=2) as pool:
        await publish_waiting(pool, year)


if __name__ == "__main__":
    year_of_all, parent = map(int, sys.argv[1:])
    asyncio.run(_main(settings_of_helper("matcher-publish", parent), year_of_all))
