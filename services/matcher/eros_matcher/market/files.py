"""The market files of a host: which one is current, and how one takes another's place."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from eros_common import logging
from eros_matcher.market import columns
from eros_matcher.market.market import HISTORY

log = logging.get("matcher.market")

LAYOUT: Final = 2
"""Of a file's arrays; one of another layout is built anew."""
_KEPT: Final = 2
"""Files that stay: a batch may just be opening the one before."""


@dataclass(frozen=True, slots=True)
class MarketStamp:
    """What a market file holds.

    `version` is a digest of the content, so that it is the same on all hosts; `snapshot` is the
    database's, so that later changes can be told; `seconds` is how long it took to build and
    `built_at` when (wall, seconds since 1970); `size` is of the file, in bytes.
    """

    file: str
    version: str
    model_version: int
    year: int
    snapshot: str
    people: int
    built_at: float
    seconds: float
    layout: int
    size: int


class MarketFiles:
    """One directory; written by one builder at a time, under `locked`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._pointer = directory / "market.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Waits for other builders of this host."""
        self._directory.mkdir(parents=True, exist_ok=True)
        with (self._directory / "market.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def current(self, model_version: int, year: int) -> MarketStamp | None:
        """The newest file, if it is of this model, year and layout."""
        try:
            stamp = MarketStamp(**json.loads(self._pointer.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
        found = stamp.model_version, stamp.year, stamp.layout
        if found != (model_version, year, LAYOUT):
            return None
        size = _size_of(self.path_of(stamp))
        if size not in (None, stamp.size):
            log.warning("not_whole", file=stamp.file, bytes=size, expected=stamp.size)
        return stamp if size == stamp.size else None

    def path_of(self, stamp: MarketStamp) -> Path:
        return self._directory / stamp.file

    def publish(
        self,
        arrays: Mapping[str, columns.Array],
        *,
        model_version: int,
        year: int,
        snapshot: str,
        started: float,
    ) -> MarketStamp:
        """Write a file, make it current and remove what is older than the one before."""
        content = {name: array for name, array in arrays.items() if name not in HISTORY}
        version = columns.digest(content)
        # What is not finished when a snapshot is taken has this number or a higher one.
        since = int(snapshot.split(":", maxsplit=1)[0])
        meta = {"model_version": model_version, "year": year, "since": since}
        stamp = MarketStamp(
            file=f"market.{model_version}.{LAYOUT}.{version}",
            version=version,
            model_version=model_version,
            year=year,
            snapshot=snapshot,
            people=len(arrays["ids"]),
            built_at=time.time(),
            seconds=time.time() - started,
            layout=LAYOUT,
            size=columns.size_of(arrays, meta),
        )
        if _size_of(self.path_of(stamp)) != stamp.size:
            temporary = self._directory / f".{stamp.file}.{os.getpid()}"
            columns.write(temporary, arrays, meta)
            temporary.rename(self.path_of(stamp))
        pointer = self._pointer.with_suffix(".new")
        pointer.write_text(json.dumps(asdict(stamp)))
        pointer.rename(self._pointer)
        self._remove_old(self.path_of(stamp))
        return stamp

    def _remove_old(self, newest: Path) -> None:
        os.utime(newest)
        found = sorted(self._directory.glob("market.[0-9]*.*"), key=_modified, reverse=True)
        half_written = self._directory.glob(".market.*")
        for path in [*found[_KEPT:], *half_written]:
            with suppress(OSError):
                path.unlink()


def _size_of(path: Path) -> int | None:
    """None where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
