"""A search of the market for several people at once, one tile at a time."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt

from eros_matcher.domain import kept as keeping
from eros_matcher.domain.kept import Kept
from eros_matcher.domain.lists import Suggestion
from eros_matcher.engine.best import Best, Keys, Positions, positions_of, values_of
from eros_matcher.engine.changed import Changed
from eros_matcher.engine.explain import Explainer
from eros_matcher.engine.scorer import BLOCK, LeftOut, Scorer
from eros_matcher.engine.seekers import Seekers
from eros_matcher.engine.variety import varied
from eros_matcher.engine.walk import Walk
from eros_matcher.features.record import Record
from eros_matcher.market.market import Market

MOST_KEPT: Final = 1000
"""People a row that are kept at most."""
CHANGED_SHARE: Final = 1 / 16
"""Where more of the market changed, a whole search is hardly dearer."""


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

    `mutual` is the model's. `spare` more than are wanted are looked for, to be kept
    (`eros_matcher.domain.kept`) until a later search of this model; `since` is the transaction
    from which on changes may be missing in the market.
    """

    def __init__(
        self,
        market: Market,
        rows: int,
        wanted: int,
        year: int,
        *,
        mutual: float = 0.0,
        daily: int = 0,
        spare: int = 0,
        since: int = 0,
    ) -> None:
        self.market = market
        self._daily = daily
        self._wanted = wanted
        self._since = since
        self._mutual = mutual
        self._seekers = Seekers(rows, market, year)
        self._best = Best(rows, wanted + spare)
        self._left_out = LeftOut(rows)
        self._scorer = Scorer(market, self._seekers, self._best, self._left_out, mutual)
        self._explainer = Explainer(market, self._seekers, year)
        self._walk = Walk(rows, market.tiles)
        self._people: dict[int, Record] = {}
        self._shown: dict[int, npt.NDArray[np.int32]] = {}
        self._never: dict[int, npt.NDArray[np.int32]] = {}
        self._kept: dict[int, Kept] = {}
        self._changed: dict[int, Changed | None] = {}
        self._marked = np.zeros(market.people, dtype=bool)
        self._spared: set[int] = set()

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
        kept: Kept | None = None,
    ) -> None:
        """Start a row, or go on from a state of the same search.

        `kept` is of an earlier search of the same person under the same model, to be tried by
        `take_up` before the first step.

        `excluded` (ids of 16 bytes) are never found; `shown` (the longest ago first) only when
        nobody else is left; `sample` is the most tiles to look at. Raises ValueError for somebody
        who is not in the market or whose vector is broken.
        """
        if person.filters is None:
            raise ValueError("not in the market")
        self._seekers.put(row, person.filters, person.vector)
        draw = int.from_bytes(blake2b(person.user_id.bytes, digest_size=8).digest())
        self._walk.put(row, self._seekers.eligible(row, self.market), sample, draw)
        never = self.market.positions(person.user_id.bytes + excluded)
        again = self.market.positions(shown)
        self._left_out.put(row, np.concatenate([never, again]))
        self._people[row] = person
        self._shown[row] = again[~np.isin(again, never)]
        self._never[row] = never
        self._spared.discard(row)
        self._kept.pop(row, None)
        if kept is not None and kept.seeker == self._seekers.digest(row):
            self._kept[row] = kept
        keys = np.empty(0, dtype=np.uint64)
        if state is not None:
            self._walk.stop[row] = state.stop
            keys = state.keys
        self._best.put(row, keys)
        self._scorer.put(row)

    def drop(self, row: int) -> None:
        """Forget the row."""
        for known in (self._people, self._shown, self._never, self._kept):
            known.pop(row, None)

    def waiting(self, rows: Positions) -> Positions:
        """Those of the rows for which `take_up` is to be called."""
        if not self._kept:
            return rows[:0]
        return rows[np.isin(rows, list(self._kept))]

    def take_up(self, rows: Positions) -> int:
        """End these rows with what was kept, where that is enough: then their best are, to the last
        bit, those of a whole search. The others are as if nothing had been kept. Returns how many
        had enough."""
        kept = {row: self._kept.pop(row) for row in rows.tolist()}
        enough = 0
        for since in {one.since for one in kept.values()}:
            if (changed := self._changed_since(since)) is None:
                continue
            here = np.array([row for row in kept if kept[row].since == since], dtype=np.intp)
            out = [np.concatenate([self._never[row], self._shown[row]]) for row in here]
            best = changed.best(here, out)
            for row, left_out, more in zip(here.tolist(), out, best, strict=True):
                known = np.unique(self.market.positions(kept[row].others))
                known = known[~changed.knows(known)]
                # They were compared with everybody else already.
                keys = self._scorer.pairs(row, self._without(known, left_out))
                enough += self._end(row, np.concatenate([keys, more]), kept[row].floor)
        return enough

    def kept(self, row: int) -> Kept | None:
        """What is worth keeping of an ended row; None where what was kept is still good."""
        if row in self._spared:
            return None
        best = self._best.of(row)
        floor = float(values_of(best[:1])[0]) if len(best) == self._best.most else keeping.EVERYBODY
        # Who is left out today may come again on another day.
        out = np.unique(np.concatenate([self._never[row], self._shown[row]])).astype(np.intp)
        keys = np.sort(np.concatenate([best, self._scorer.pairs(row, out)]))[::-1]
        if len(keys) > MOST_KEPT:
            floor = max(floor, float(values_of(keys[MOST_KEPT:][:1])[0]))
        at = positions_of(keys[values_of(keys) > floor])
        return Kept(self._since, floor, self._seekers.digest(row), self.market.ids[at].tobytes())

    def _changed_since(self, since: int) -> Changed | None:
        """None where a whole search is no dearer, or the market is older than what was kept."""
        if since not in self._changed:
            self._changed[since] = None
            positions = np.sort(self.market.changed_since(since))
            if since <= self._since and len(positions) <= self.market.people * CHANGED_SHARE:
                self._changed[since] = Changed(
                    *(self.market, positions, self._seekers),
                    most=self._best.most,
                    mutual=self._mutual,
                )
        return self._changed[since]

    def _without(
        self, positions: npt.NDArray[np.int32], left_out: npt.NDArray[np.int32]
    ) -> Positions:
        self._marked[left_out] = True
        rest = positions[~self._marked[positions]].astype(np.intp)
        self._marked[left_out] = False
        return rest

    def _end(self, row: int, keys: Keys, floor: float) -> bool:
        """With these keys, if nobody who is worth no more than the floor is wanted."""
        if floor != keeping.EVERYBODY:
            keys = keys[values_of(keys) > floor]
            if len(keys) < self._wanted:
                return False
        self._best.put(row, np.sort(keys)[::-1][: self._best.most])
        self._walk.stop[row] = self._walk.tiles
        self._spared.add(row)
        return True

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
        keys = self._best.ordered(row)[: self._wanted]
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
    mutual: float,
    daily: int,
    excluded: bytes,
    shown: bytes,
) -> tuple[Suggestion, ...]:
    """A whole search at once, for one person in a small market; see `Search.put`."""
    search = Search(market, 1, wanted, year, mutual=mutual, daily=daily)
    search.put(0, person, excluded=excluded, shown=shown)
    row = np.zeros(1, dtype=np.intp)
    while not len(search.ended(row)):
        search.step(row)
    return search.found(0)
