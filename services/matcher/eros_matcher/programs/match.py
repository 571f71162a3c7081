"""Phase 3 and 2: the best people for each row, of the whole market or of a sample of it.

All rows walk through the market's tiles in one order, each skipping those that hold nobody for it;
rows at the same stop are scored together. A row's state is its next stop and its best so far.

Memory: 2.7 MB of scratch for 300 rows, and 4 bytes a row and tile.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import numpy as np

from eros.accounts.v1 import profile_pb2
from eros_matcher.compute.program import (
    BatchInput,
    CheckpointRejectedError,
    Progress,
    RowError,
)
from eros_matcher.engine.best import Best, Keys
from eros_matcher.engine.explain import Explainer
from eros_matcher.engine.scorer import BLOCK, Excluded, Scorer
from eros_matcher.engine.seekers import Seekers
from eros_matcher.features.analysis import analyze
from eros_matcher.features.model import Model, parse
from eros_matcher.features.record import Record, unpack
from eros_matcher.market import columns
from eros_matcher.market.market import TILE, Market
from eros_matcher.programs.payload import Payload, pack_suggestions

FACTORY: Final = "eros_matcher.programs.match:open_match"
RESULT_BYTES: Final = 64 * 1024
_STATE: Final = struct.Struct("<II")
_ENDED_A_UNIT: Final = 2
"""Rows that are explained in one unit; each takes about half a millisecond."""


def snapshot_bytes(wanted: int) -> int:
    return _STATE.size + wanted * 8


class MatchProgram:
    """See `eros_matcher.compute.program.Program`."""

    def __init__(self, batch: BatchInput) -> None:
        self._payload = Payload(batch.payload, batch.rows)
        header = self._payload.header
        self._model: Model = parse(header["model"].encode())
        self._year: int = header["year"]
        self._wanted: int = header["wanted"]
        self._sample: int | None = header["sample"]
        arrays, _ = columns.read(batch.files[0])
        self._market = market = Market.of(arrays)
        self._seekers = Seekers(batch.rows, market, self._year)
        self._best = Best(batch.rows, self._wanted, TILE)
        self._excluded = Excluded(batch.rows, market.tiles)
        self._scorer = Scorer(market, self._seekers, self._best, self._excluded)
        self._explainer = Explainer(market, self._seekers, self._year)
        self._stop = np.zeros(batch.rows, dtype=np.int64)
        self._records: dict[int, Record] = {}
        self._shown: dict[int, memoryview] = {}
        self._results: dict[int, bytes] = {}

    def load(self, row: int, state: bytes | None) -> None:
        record, profile, excluded, shown = self._payload.row(row)
        person = unpack(record) if record else self._analyzed(profile)
        if person.filters is None:
            raise RowError(row, "not in the market")
        try:
            self._seekers.put(row, person.filters, person.vector)
        except ValueError as error:
            raise RowError(row, str(error)) from error
        if self._sample is not None:
            self._take_sample(row, person, self._sample)
        own = person.user_id.bytes
        self._excluded.put(
            row, self._market.positions(b"".join((own, bytes(excluded), bytes(shown))))
        )
        self._records[row], self._shown[row] = person, shown
        stop, keys = self._start(row) if state is None else self._resumed(state)
        self._stop[row] = stop
        self._best.put(row, keys)
        self._scorer.put(row)

    def chunk(self, rows: Sequence[int], units: int) -> Progress:
        alive = np.asarray(rows, dtype=np.intp)
        finished: list[int] = []
        done = 0
        while done < units and len(alive):
            stops = self._stop[alive]
            ended = alive[stops == self._market.tiles][:_ENDED_A_UNIT]
            if len(ended):
                for row in ended.tolist():
                    self._finish(row)
                finished += ended.tolist()
                alive = alive[~np.isin(alive, ended)]
            else:
                stop = int(stops.min())
                block = alive[stops == stop]
                # Even blocks: a few rows take nearly as long as many.
                parts = -(-len(block) // BLOCK)
                block = block[: -(-len(block) // parts)]
                self._scorer.step(block, int(self._seekers.walk[stop]))
                self._stop[block] = self._seekers.next_stop[block, stop + 1]
            done += 1
        return Progress(done, finished)

    def snapshot(self, row: int) -> bytes:
        return _STATE.pack(self._stop[row], self._market.tiles) + self._best.held(row).tobytes()

    def result(self, row: int) -> bytes:
        return self._results.pop(row)

    def drop(self, row: int) -> None:
        self._records.pop(row, None)
        self._shown.pop(row, None)
        self._results.pop(row, None)

    def close(self) -> None:
        self._shown.clear()
        self._payload.close()
        del self._market, self._seekers, self._scorer, self._explainer

    def _analyzed(self, profile: memoryview) -> Record:
        parsed = profile_pb2.MatchingProfile.FromString(bytes(profile))
        return analyze(parsed, self._model, self._year)

    def _take_sample(self, row: int, person: Record, most: int) -> None:
        """Evenly spread stops, others for other people, the same ones each time."""
        stops = self._seekers.stops_of(row)
        if len(stops) <= most:
            return
        draw = int.from_bytes(blake2b(person.user_id.bytes, digest_size=8).digest())
        stride = len(stops) / most
        first = draw % len(stops)
        picks = (first + (np.arange(most) * stride).astype(np.intp)) % len(stops)
        self._seekers.keep_stops(row, np.sort(stops[picks]))

    def _start(self, row: int) -> tuple[int, Keys]:
        return int(self._seekers.next_stop[row, 0]), np.empty(0, dtype=np.uint64)

    def _resumed(self, state: bytes) -> tuple[int, Keys]:
        if len(state) < _STATE.size or (len(state) - _STATE.size) % 8:
            raise CheckpointRejectedError(f"{len(state)} bytes")
        stop, tiles = _STATE.unpack_from(state)
        keys = np.frombuffer(state, dtype=np.uint64, offset=_STATE.size)
        if tiles != self._market.tiles or stop > tiles or len(keys) > self._wanted:
            raise CheckpointRejectedError("of another market or another number of people")
        return stop, keys

    def _finish(self, row: int) -> None:
        """Fresh people first; where they are too few, those shown longest ago come again."""
        keys = self._best.kept(row)
        missing = self._wanted - len(keys)
        if missing and len(self._shown[row]):
            again = self._market.positions(self._shown[row])
            allowed = ~np.isin(again, self._market.positions(self._payload.row(row)[2]))
            _, more = self._scorer.pairs(row, again[allowed].astype(np.intp))
            keys = np.concatenate([keys, more[:missing]])
        person = self._records[row]
        assert person.filters is not None
        found = self._explainer.explain(row, person.filters, person.interests, keys)
        self._results[row] = pack_suggestions(found)


def open_match(batch: BatchInput) -> MatchProgram:
    """The factory."""
    return MatchProgram(batch)
