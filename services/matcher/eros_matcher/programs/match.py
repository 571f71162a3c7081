"""Phase 3 and 2: the best people for each row, of the whole market or of a sample of it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

import numpy as np

from eros_matcher.compute.program import (
    BatchInput,
    CheckpointRejectedError,
    Progress,
    RowError,
)
from eros_matcher.domain.kept import Kept
from eros_matcher.domain.kept import unpack as unpack_kept
from eros_matcher.engine.search import Search, State
from eros_matcher.features.analysis import analyzed
from eros_matcher.features.model import parse
from eros_matcher.features.record import unpack
from eros_matcher.market import columns
from eros_matcher.market.market import Market
from eros_matcher.programs.payload import Found, Payload, pack_found

FACTORY: Final = "eros_matcher.programs.match:open_match"
RESULT_BYTES: Final = 96 * 1024
_STATE: Final = struct.Struct("<II")
_TAKEN_UP_A_UNIT: Final = 16
"""Rows that go on from what was kept in one unit: one to two milliseconds."""
_ENDED_A_UNIT: Final = 2
"""Rows whose result is put into words in one unit; each takes about half a millisecond."""


def snapshot_bytes(wanted: int, spare: int) -> int:
    """The size of a row's state."""
    return _STATE.size + (wanted + spare) * 8


class MatchProgram:
    """See `eros_matcher.compute.program.Program`.

    The header has model (its body), model_version, market_version, year, wanted, daily (the first
    so many are a varied choice), spare (so many more are looked for, to be kept; 0: nothing is) and
    sample (the most tiles a row looks at, or null); a row has its record or, for somebody who was
    not analyzed yet, the profile; who is never to be found; who was shown lately, the longest ago
    first; and what was kept of an earlier search under this model, or nothing.
    """

    def __init__(self, batch: BatchInput) -> None:
        self._payload = Payload(batch.payload, batch.rows)
        header = self._payload.header
        self._model = parse(header["model"].encode())
        self._most: int = header["wanted"] + header["spare"]
        arrays, meta = columns.read(batch.files[0])
        self._search = Search(
            *(Market.of(arrays), batch.rows, header["wanted"], header["year"]),
            mutual=self._model.mutual,
            daily=header["daily"],
            spare=header["spare"],
            since=meta["since"],
        )
        self._results: dict[int, bytes] = {}

    def load(self, row: int, state: bytes | None) -> None:
        parts = (bytes(part) for part in self._payload.row(row))
        record, profile, excluded, shown, kept = parts
        header = self._payload.header
        resumed = None if state is None else self._resumed(state)
        try:
            self._search.put(
                row,
                unpack(record) if record else analyzed(profile, self._model, header["year"]),
                excluded=excluded,
                shown=shown,
                sample=header["sample"],
                state=resumed,
                kept=_kept_of(kept),
            )
        except ValueError as error:
            raise RowError(row, str(error)) from error

    def chunk(self, rows: Sequence[int], units: int) -> Progress:
        alive = np.asarray(rows, dtype=np.intp)
        finished: list[int] = []
        done = 0
        while done < units and len(alive):
            waiting = self._search.waiting(alive)[:_TAKEN_UP_A_UNIT]
            ended = self._search.ended(alive)[:_ENDED_A_UNIT]
            if len(waiting):
                self._search.take_up(waiting)
            elif len(ended):
                for row in ended.tolist():
                    self._results[row] = self._result(row)
                    finished.append(row)
                alive = alive[~np.isin(alive, ended)]
            else:
                self._search.step(alive)
            done += 1
        return Progress(done, finished)

    def snapshot(self, row: int) -> bytes:
        state = self._search.state(row)
        return _STATE.pack(state.stop, self._search.market.tiles) + state.keys.tobytes()

    def result(self, row: int) -> bytes:
        return self._results.pop(row)

    def drop(self, row: int) -> None:
        self._search.drop(row)
        self._results.pop(row, None)

    def close(self) -> None:
        self._payload.close()
        del self._search

    def _resumed(self, state: bytes) -> State:
        if len(state) < _STATE.size or (len(state) - _STATE.size) % 8:
            raise CheckpointRejectedError(f"{len(state)} bytes")
        stop, tiles = _STATE.unpack_from(state)
        keys = np.frombuffer(state, dtype=np.uint64, offset=_STATE.size)
        if tiles != self._search.market.tiles or stop > tiles or len(keys) > self._most:
            raise CheckpointRejectedError("of another market or another number of people")
        return State(stop, keys)

    def _result(self, row: int) -> bytes:
        header = self._payload.header
        kept = self._search.kept(row) if header["spare"] else None
        found = self._search.found(row)
        return pack_found(Found(header["model_version"], header["market_version"], found, kept))


def _kept_of(data: bytes) -> Kept | None:
    try:
        return unpack_kept(data) if data else None
    except ValueError:
        # Then the whole market is searched.
        return None


def open_match(batch: BatchInput) -> MatchProgram:
    """The factory."""
    return MatchProgram(batch)
