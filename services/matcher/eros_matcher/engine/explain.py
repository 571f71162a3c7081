"""From positions and keys to people with reasons, from the model's own terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from eros_common.ids import user_id_from_bytes
from eros_matcher.domain.lists import Suggestion
from eros_matcher.domain.people import Filters
from eros_matcher.domain.reasons import Facts, reasons
from eros_matcher.engine.best import Keys, positions_of, values_of
from eros_matcher.engine.seekers import Seekers, chords
from eros_matcher.features import interests as interest
from eros_matcher.features.model import BLOCKS, DIMS
from eros_matcher.kernel.shape import SIZE
from eros_matcher.market.market import FIRST_YEAR, Market, arc_km

_ENOUGH_PEOPLE: Final = 100


@dataclass(frozen=True, slots=True)
class Explainer:
    """Says who is meant and why; `year` is the one that ages are counted in."""

    market: Market
    seekers: Seekers
    year: int

    def explain(
        self, row: int, filters: Filters, interests: tuple[str, ...], keys: Keys
    ) -> tuple[Suggestion, ...]:
        """One suggestion a key, in order."""
        if not len(keys):
            return ()
        market, seekers = self.market, self.seekers
        at = positions_of(keys)
        products = seekers.vectors[row] * market.vectors[at]
        # The zeros at the end are no part of a block.
        terms = np.add.reduceat(products[:, :DIMS], BLOCKS, axis=1).tolist()
        likes = products[:, :SIZE].sum(axis=1) + seekers.selectivity[row] + market.popularity[at]
        liked = products[:, SIZE:].sum(axis=1) + seekers.popularity[row] + market.selectivity[at]
        even = np.minimum(likes, liked).tolist()
        scores = np.minimum(values_of(keys) / market.weight[at], 1).tolist()
        apart = chords(seekers, row, market, at).tolist()
        ages = (self.year - FIRST_YEAR - market.born[at].astype(int)).tolist()
        shared = self._shared(interests, at)
        found: list[Suggestion] = []
        for index, score in enumerate(scores):
            arc = None if filters.place is None else arc_km(apart[index])
            distance = None if arc is None else int(arc)
            facts = Facts(
                shared=shared[index],
                age=self.year - filters.birth_year,
                other_age=ages[index],
                sought=(filters.age_min, filters.age_max),
                distance_km=distance,
                interest_term=terms[index][0],
                age_term=terms[index][1],
                place_term=terms[index][2],
                even=even[index],
            )
            other = user_id_from_bytes(market.ids[at[index]].tobytes())
            found.append(Suggestion(other, score, distance, reasons(facts)))
        return tuple(found)

    def _shared(self, interests: tuple[str, ...], at: npt.NDArray[np.int64]) -> list[list[str]]:
        """The interests both have, the rarest first; those that most people have say nothing."""
        market = self.market
        compared = interests[: interest.COMPARED]
        mine = np.frombuffer(interest.tokens(compared), dtype="<u8")
        place = np.searchsorted(market.vocabulary, mine)
        place = np.minimum(place, max(len(market.vocabulary) - 1, 0))
        if not len(mine) or not len(market.vocabulary):
            return [[] for _ in at]
        known = market.vocabulary[place] == mine
        often = np.where(known, market.frequency[place], 0)
        telling = known & ((often <= market.people // 2) | (market.people < _ENOUGH_PEOPLE))
        order = [index for index in np.argsort(often, kind="stable") if telling[index]]
        both = (market.tokens[at][:, :, None] == mine[order]).any(axis=1)
        texts = [compared[index] for index in order]
        return [
            [text for text, has in zip(texts, row, strict=True) if has] for row in both.tolist()
        ]
