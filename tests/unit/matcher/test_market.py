"""Tiles: who is in them, where they end, and what changes when somebody comes or goes."""

from __future__ import annotations

from random import Random

import numpy as np

from eros_matcher.market.cutting import LEAST, cut
from eros_matcher.market.market import TILE, Market
from tests.unit.matcher.crowd import a_crowd, a_market


def test_the_order_of_coming_does_not_matter() -> None:
    people = a_crowd(3000)
    one = a_market(people)
    Random(3).shuffle(people)
    other = a_market(people)

    for name, array in one.arrays().items():
        np.testing.assert_array_equal(array, getattr(other, name))


def test_tiles_cover_everybody_and_are_of_some_size() -> None:
    rng = np.random.default_rng(1)
    for people in (0, 1, LEAST - 1, TILE, TILE + 1, 40_000):
        bounds = cut(rng.integers(0, 256, (people, 16), dtype=np.uint8))
        sizes = np.diff(bounds)
        assert (bounds[0], bounds[-1]) == (0, people)
        assert (sizes[:-1] >= LEAST).all()
        assert (sizes <= TILE).all()
        assert (sizes > 0).all()
    assert sizes.mean() > TILE * 0.6


def test_one_who_comes_goes_or_changes_alters_few_tiles() -> None:
    people = a_crowd(20_000)
    before = a_market(people)
    changed = {
        "goes": people[1:],
        "comes": [*people, a_crowd(1, seed=77)[0]],
    }
    assert before.tiles > 20
    for crowd in changed.values():
        assert 1 <= _new_tiles(before, a_market(crowd)) <= 4
    assert _new_tiles(before, a_market(people)) == 0


def _new_tiles(before: Market, after: Market) -> int:
    return int((~np.isin(after.tile_digest, before.tile_digest)).sum())
