"""A search of the market for several people at once, one tile at a time."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from eros_matcher.domain.lists import Suggestion
from eros_matcher.engine.best import Best, Keys
from eros_matcher.engine.explain import Explainer
from eros_matcher.engine.scorer import BLOCK, Excluded, Scorer
from eros_matcher.engine.seekers import Seekers
from eros_matcher.features.record import Record
from eros_matcher.market.market import TILE, Market


@dataclass(frozen=True, slots=True)
class State:
    """Where a row is: its next stop, and its best so far in no order."""

    stop: int
    keys: Keys


class Search:
    """`rows` people, each looking for its `wanted` best.

    All rows walk through the market's tiles in one order, each skipping those that hold nobody
    for it; rows at the same stop are scored together. Memory: 1.7 MB of scratch, 6 KB a row, and
    4 bytes a row and tile.
    """

    def __init__(self, market: Market, rows: int, wanted: int, year: int) -> None:
        self.market = market
        self._wanted = wanted
        self._seekers = Seekers(rows, market, year)
        self._best = Best(rows, wanted, TILE)
        self._excluded = Excluded(rows, market.tiles)
        self._scorer = Scorer(market, self._seekers, self._best, self._excluded)
        self._explainer = Explainer(market, self._seekers, year)
        self._stop = np.zeros(rows, dtype=np.int64)
        self._people: dict[int, Record] = {}
        self._shown: dict[int, npt.NDArray[np.int32]] = {}

    def put(
        self,
        row: int,
        person: Record,
        *,
        excluded: bytes = b"",
        shown: bytes = b"",
        sample: int | None = None,
        state: State | None = None,
    ) -> None:
        """Start a row, or go on from a state of the same search.

        `excluded` (ids of 16 bytes) are never found; `shown` (the longest ago first) only when
        nobody else is left; `sample` is the most tiles to look at. Raises ValueError for somebody
        who is not in the market or whose vector is broken.
        """
        if person.filters is None:
            raise ValueError("not in the market")
        self._seekers.put(row, person.filters, person.vector)
        if sample is not None:
            self._take_sample(row, person, sample)
        never = self.market.positions(person.user_id.bytes + excluded)
        again = self.market.positions(shown)
        self._excluded.put(row, np.concatenate([never, again]))
        self._people[row] = person
        self._shown[row] = again[~np.isin(again, never)]
        if state is None:
            state = State(int(self._seekers.next_stop[row, 0]), np.empty(0, dtype=np.uint64))
        self._stop[row] = state.stop
        self._best.put(row, state.keys)
        self._scorer.put(row)

    def drop(self, row: int) -> None:
        """Forget the row."""
        self._people.pop(row, None)
        self._shown.pop(row, None)

    def state(self, row: int) -> State:
        return State(int(self._stop[row]), self._best.held(row))

    def ended(self, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """Those of the rows that have been everywhere."""
        everywhere: npt.NDArray[np.intp] = rows[self._stop[rows] == self.market.tiles]
        return everywhere

    def step(self, rows: npt.NDArray[np.intp]) -> None:
        """One tile for those of the rows (ascending, none ended) that are furthest behind."""
        stops = self._stop[rows]
        stop = int(stops.min())
        block = rows[stops == stop]
        # Even blocks: a few rows take nearly as long as many.
        parts = -(-len(block) // BLOCK)
        block = block[: -(-len(block) // parts)]
        self._scorer.step(block, int(self._seekers.walk[stop]))
        self._stop[block] = self._seekers.next_stop[block, stop + 1]

    def found(self, row: int) -> tuple[Suggestion, ...]:
        """The best of an ended row, with reasons; then those who were shown longest ago."""
        keys = self._best.kept(row)
        missing = self._wanted - len(keys)
        if missing and len(self._shown[row]):
            again = self._scorer.pairs(row, self._shown[row].astype(np.intp))
            keys = np.concatenate([keys, again[:missing]])
        person = self._people[row]
        assert person.filters is not None
        return self._explainer.explain(row, person.filters, person.interests, keys)

    def _take_sample(self, row: int, person: Record, most: int) -> None:
        """Evenly spread stops, others for other people, the same ones each time."""
        stops = self._seekers.stops_of(row)
        if len(stops) <= most:
            return
        draw = int.from_bytes(blake2b(person.user_id.bytes, digest_size=8).digest())
        spread = (np.arange(most) * (len(stops) / most)).astype(np.intp)
        picks = (draw % len(stops) + spread) % len(stops)
        self._seekers.keep_stops(row, np.sort(stops[picks]))


def search_one(
    market: Market, person: Record, wanted: int, year: int, *, excluded: bytes, shown: bytes
) -> tuple[Suggestion, ...]:
    """A whole search at once, for one person in a small market; see `Search.put`."""
    search = Search(market, 1, wanted, year)
    search.put(0, person, excluded=excluded, shown=shown)
    row = np.zeros(1, dtype=np.intp)
    while not len(search.ended(row)):
        search.step(row)
    return search.found(0)
