"""The batch process's side of learning: the file to learn from, and the way to the served model."""

from __future__ import annotations

import asyncio
import json
import struct
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import asyncpg
from pydantic import SecretStr

from eros_common import logging
from eros_matcher.work.helpers import run_helper

log = logging.get("matcher.learning")

_MOST_SECONDS: Final = 900.0
"""Of gathering, and of publishing: minutes where there are a million people."""


_ELSEWHERE_SECONDS: Final = 3600.0
"""Without a turn for so long the host that began is taken to be gone. Where everybody is busy, a
turn is tried every three minutes, by whoever is free: one of ten hosts misses all of an hour's once
in eight times."""
_ELSEWHERE: Final = """
SELECT EXISTS (
    SELECT FROM matcher.learnings
    WHERE night = $1 AND turn_at >= clock_timestamp() - $2 * interval '1 second'
)
"""
_TAKE_TURN: Final = """
INSERT INTO matcher.learnings AS l (night, cutoff, digest, turn_at)
VALUES ($1, $3, $4, clock_timestamp())
ON CONFLICT (night) DO UPDATE SET digest = excluded.digest, turn_at = excluded.turn_at
WHERE l.digest IS NULL OR l.digest = excluded.digest
    OR l.turn_at < clock_timestamp() - $2 * interval '1 second'
RETURNING night
"""


class LearnedElsewhereError(Exception):
    """Another host is at it. Profiles are read as they are, so what that one has learned so far
    would be thrown away here."""

    def __init__(self) -> None:
        super().__init__("another host learns")


class NothingGatheredError(Exception):
    """What is to be learned from could not be read."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """A file to learn from."""

    path: Path
    digest: str
    cutoff: str
    people: int
    observations: int


class HostLearning:
    """Helper processes, and the file in `data_dir` that all turns of one night share."""

    def __init__(self, pool: asyncpg.Pool, database_url: SecretStr, data_dir: Path) -> None:
        self._pool = pool
        self._database_url = database_url
        self._data_dir = data_dir

    async def gathered(self, night: str, model_version: int, year: int) -> Gathered:
        """The file of this night and model, made by the first turn. Raises LearnedElsewhereError,
        NothingGatheredError and HelperHangsError."""
        name = f"learn.{night}.{model_version}"
        path = self._data_dir / name
        if not path.exists():
            if await self._pool.fetchval(_ELSEWHERE, name, _ELSEWHERE_SECONDS):
                raise LearnedElsewhereError
            self._data_dir.mkdir(parents=True, exist_ok=True)
            await self._run("gather", str(self._data_dir), name, str(model_version), str(year))
        meta = await asyncio.to_thread(_meta_of, path)
        cutoff = datetime.fromisoformat(meta["cutoff"])
        turn = (name, _ELSEWHERE_SECONDS, cutoff, meta["digest"])
        if await self._pool.fetchval(_TAKE_TURN, *turn) is None:
            raise LearnedElsewhereError
        return Gathered(path, meta["digest"], meta["cutoff"], meta["people"], meta["observations"])

    async def publish(self, year: int) -> None:
        """Serve the model that waits for it, if any; a failure is logged and tried next time.
        Raises HelperHangsError."""
        await self._run("publish", str(year))

    async def _run(self, module: str, *arguments: str) -> None:
        status = await run_helper(
            f"eros_matcher.learning.{module}",
            *arguments,
            database_url=self._database_url,
            most_seconds=_MOST_SECONDS,
        )
        if status:
            log.warning("helper_failed", helper=module, status=status)


def _meta_of(path: Path) -> dict[str, Any]:
    """What is written beside the arrays."""
    try:
        with path.open("rb") as file:
            head = file.read(12)
            (size,) = struct.unpack_from("<I", head, 8)
            meta: dict[str, Any] = json.loads(file.read(size))["meta"]
    except (OSError, ValueError, struct.error, KeyError) as error:
        raise NothingGatheredError(f"nothing to learn from: {error}") from error
    return meta
