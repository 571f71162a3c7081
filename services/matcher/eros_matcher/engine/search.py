"""A search of the market for several people at once, one tile at a time."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from eros_matcher.domain.lists import Suggestion
from eros_matcher.engine.best import Best, Keys, Positions, positions_of, values_of
from eros_matcher.engine.explain import Explainer
from eros_matcher.engine.scorer import BLOCK, LeftOut, Scorer
from eros_matcher.engine.seekers import Seekers
from eros_matcher.engine.variety import varied
from eros_matcher.engine.walk import Walk
from eros_matcher.features.record import Record
from eros_matcher.market.market import Market


@dataclass(frozen=True, slots=True)
class State:
    """Where a row is: its next stop, and its best so far in no order."""

    stop: int
    keys: Keys


@dataclass(frozen=True, slots=True)
class Step:
    """What was done: so many rows against a tile."""

    rows: int
    tile: int


class Search:
    """`rows` people, each looking for its `wanted` best.

    All rows walk through the market's tiles in one order, each skipping those that hold nobody
    for it; rows at the same stop are scored together. Memory: 1.7 MB of scratch, 26 KB a row,
    and 4 bytes a row and tile.
    """

    def __init__(
        self, market: Market, rows: int, wanted: int, year: int, *, daily: int = 0
    ) -> None:
        self.market = market
        self._daily = daily
        self._wanted = wanted
        self._seekers = Seekers(rows, market, year)
        self._best = Best(rows, wanted)
        self._left_out = LeftOut(rows)
        self._scorer = Scorer(market, self._seekers, self._best, self._left_out)
        self._explainer = Explainer(market, self._seekers, year)
        self._walk = Walk(rows, market.tiles)
        self._people: dict[int, Record] = {}
        self._shown: dict[int, npt.NDArray[np.int32]] = {}

    @property
    def exact(self) -> int:
        """Pairs that were scored exactly so far; for measurements."""
        return self._scorer.exact

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
        draw = int.from_bytes(blake2b(person.user_id.bytes, digest_size=8).digest())
        self._walk.put(row, self._seekers.eligible(row, person.filters), sample, draw)
        never = self.market.positions(person.user_id.bytes + excluded)
        again = self.market.positions(shown)
        self._left_out.put(row, np.concatenate([never, again]))
        self._people[row] = person
        self._shown[row] = again[~np.isin(again, never)]
        keys = np.empty(0, dtype=np.uint64)
        if state is not None:
            self._walk.stop[row] = state.stop
            keys = state.keys
        self._best.put(row, keys)
        self._scorer.put(row)

    def drop(self, row: int) -> None:
        """Forget the row."""
        self._people.pop(row, None)
        self._shown.pop(row, None)

    def state(self, row: int) -> State:
        self._scorer.settle(np.array([row]))
        return State(int(self._walk.stop[row]), self._best.of(row))

    def ended(self, rows: Positions) -> Positions:
        """Those of the rows that have been everywhere."""
        return self._walk.ended(rows)

    def step(self, rows: Positions) -> Step:
        """One tile for those of the rows (ascending, none ended) that are furthest behind."""
        stop, block = self._walk.furthest_behind(rows)
        if len(block) > BLOCK:
            # Even blocks: a few rows take nearly as long as many.
            parts = -(-len(block) // BLOCK)
            block = block[: -(-len(block) // parts)]
        tile = int(self._walk.order[stop])
        self._scorer.step(block, tile)
        self._walk.go_on(block, stop)
        self._scorer.settle(self._walk.ended(block))
        return Step(len(block), tile)

    def keys(self, row: int) -> Keys:
        """The best of an ended row, the best first; then those who were shown longest ago.

        Where there are more than `daily`, the first `daily` are a varied choice of them.
        """
        keys = self._best.ordered(row)
        if 0 < self._daily < len(keys):
            traits = self.market.trait[positions_of(keys)]
            keys = keys[varied(values_of(keys), traits, self._daily)]
        missing = self._wanted - len(keys)
        if missing and len(self._shown[row]):
            again = self._scorer.pairs(row, self._shown[row].astype(np.intp))
            keys = np.concatenate([keys, again[:missing]])
        return keys

    def keys_with(self, row: int, positions: Positions) -> Keys:
        """The keys of a row with those of these people who pass the filters."""
        return self._scorer.pairs(row, positions)

    def found(self, row: int) -> tuple[Suggestion, ...]:
        """The people of `keys`, with reasons."""
        person = self._people[row]
        assert person.filters is not None
        return self._explainer.explain(row, person.filters, person.interests, self.keys(row))


def search_one(
    market: Market,
    person: Record,
    wanted: int,
    year: int,
    *,
    daily: int,
    excluded: bytes,
    shown: bytes,
) -> tuple[Suggestion, ...]:
    """A whole search at once, for one person in a small market; see `Search.put`."""
    search = Search(market, 1, wanted, year, daily=daily)
    search.put(0, person, excluded=excluded, shown=shown)
    row = np.zeros(1, dtype=np.intp)
    while not len(search.ended(row)):
        search.step(row)
    return search.found(0)
