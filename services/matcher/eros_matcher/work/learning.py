"""The batch process's side of learning: the file to learn from, and the way to the served model."""

from __future__ import annotations

import asyncio
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from eros_common import logging
from eros_matcher.work.helpers import run_helper

log = logging.get("matcher.learning")

_MOST_SECONDS: Final = 900.0
"""Of gathering, and of publishing: minutes where there are a million people."""


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

    def __init__(self, database_url: SecretStr, data_dir: Path) -> None:
        self._database_url = database_url
        self._data_dir = data_dir

    async def gathered(self, night: str, model_version: int, year: int) -> Gathered:
        """The file of this night and model, made by the first turn. Raises NothingGatheredError
        and HelperHangsError."""
        name = f"learn.{night}.{model_version}"
        path = self._data_dir / name
        if not path.exists():
            self._data_dir.mkdir(parents=True, exist_ok=True)
            await self._run("gather", str(self._data_dir), name, str(model_version), str(year))
        meta = await asyncio.to_thread(_meta_of, path)
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
