"""The market in memory: its order, its tiles, and who in it changed."""

from __future__ import annotations

from random import Random

import numpy as np

from eros_matcher.market.build import MarketBuilder
from eros_matcher.market.market import TILE
from eros_matcher.market.tiles import even
from tests.unit.matcher.crowd import YEAR, a_crowd, a_market


def test_the_order_of_coming_does_not_matter() -> None:
    people = a_crowd(3000)
    one = a_market(people)
    Random(3).shuffle(people)
    other = a_market(people)

    for name, array in one.arrays().items():
        np.testing.assert_array_equal(array, getattr(other, name))


def test_tiles_cover_everybody_evenly() -> None:
    for people in (0, 1, TILE, TILE + 1, 40_000):
        bounds = even(people)
        sizes = np.diff(bounds)
        assert (bounds[0], bounds[-1]) == (0, people)
        assert len(sizes) == -(-people // TILE)
        assert (sizes <= TILE).all()
        assert sizes.max(initial=0) - sizes.min(initial=TILE) <= 1


def test_who_changed_since_is_known() -> None:
    people = a_crowd(500)
    written = {person.user_id.bytes: index % 7 for index, person in enumerate(people)}
    builder = MarketBuilder(YEAR)
    for person in people:
        assert person.filters is not None
        builder.add(
            *(person.user_id.bytes, person.filters, person.vector, b""),
            written=written[person.user_id.bytes],
        )
    market = builder.build()
    for since in range(9):
        changed = {market.ids[at].tobytes() for at in market.changed_since(since)}
        assert changed == {user for user, at in written.items() if at >= since}
