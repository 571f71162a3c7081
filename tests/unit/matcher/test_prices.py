"""Congestion prices: nobody is asked for by everybody."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from eros_matcher.learning import markets
from eros_matcher.learning.calibrate import match_probability
from eros_matcher.learning.learned import Vectors
from eros_matcher.learning.markets import markets_of
from eros_matcher.learning.prices import MOST, Rules, balanced

SEED = 3


def a_market(people: int, seed: int = 1) -> tuple[Vectors, Rules]:
    """Men and women, some of whom everybody likes."""
    random = np.random.default_rng(seed)
    taste = random.normal(0, 0.4, (people, 8)).astype(np.float32)
    popularity = random.normal(0, 1.5, people).astype(np.float32)
    gender = (1 + np.arange(people) % 2).astype(np.uint8)
    rules = Rules(
        gender=gender,
        seeks=(3 - gender).astype(np.uint8),
        born=np.full(people, 90, dtype=np.int16),
        born_from=np.full(people, 80, dtype=np.int16),
        born_to=np.full(people, 100, dtype=np.int16),
        place=np.zeros((people, 3), dtype=np.float32),
        reach=np.full(people, np.inf, dtype=np.float32),
    )
    selectivity = np.full(people, -1, dtype=np.float32)
    return Vectors(taste, taste[::-1].copy(), selectivity, popularity), rules


def shown(vectors: Vectors, rules: Rules, prices: np.ndarray, first: int = 10) -> np.ndarray:
    """How often each one is among the first of others' lists."""
    n = len(prices)
    u, v = (side.astype(np.int32).reshape(-1) for side in np.indices((n, n)))
    a = vectors.logits(u, v).reshape(n, n)
    score = np.log(match_probability(a, a.T, 0.0)) - prices
    everybody = np.arange(n)
    score[~rules.fit(everybody, everybody)] = -np.inf
    top = np.argsort(-score, axis=1)[:, :first]
    return np.bincount(top.reshape(-1), minlength=n)


def test_prices_spread_attention() -> None:
    vectors, rules = a_market(200)
    prices = balanced(vectors, rules, mutual=0.0, seed=SEED)
    before, after = shown(vectors, rules, np.zeros(200)), shown(vectors, rules, prices)
    assert before.max() > 3 * after.max()
    assert (after == 0).sum() < (before == 0).sum() / 2
    assert np.corrcoef(vectors.popularity, prices)[0, 1] > 0.8
    assert 0 <= prices.min() <= prices.max() <= MOST


def test_a_sample_says_nearly_what_all_say() -> None:
    vectors, rules = a_market(600)
    whole = balanced(vectors, rules, mutual=0.3, seed=SEED)
    part = balanced(vectors, rules, mutual=0.3, seed=SEED, sample=200)
    assert np.corrcoef(whole, part)[0, 1] > 0.97


def test_empty_and_lonely_markets() -> None:
    vectors, rules = a_market(0)
    assert len(balanced(vectors, rules, mutual=0.0, seed=SEED)) == 0
    vectors, rules = a_market(1)
    assert balanced(vectors, rules, mutual=0.0, seed=SEED).tolist() == [0.0]
    vectors, rules = a_market(40)
    rules.seeks[:] = 4
    assert not balanced(vectors, rules, mutual=0.0, seed=SEED).any()


def test_no_strength_no_price() -> None:
    vectors, rules = a_market(50)
    assert not balanced(vectors, rules, mutual=0.0, seed=SEED, strength=0).any()


def beside(
    one: tuple[Vectors, Rules], other: tuple[Vectors, Rules], km: float
) -> tuple[Vectors, Rules]:
    """Both in one world, so far apart."""
    vectors = Vectors(
        *(
            np.concatenate([getattr(side[0], name) for side in (one, other)])
            for name in ("taste", "trait", "selectivity", "popularity")
        )
    )
    rules = {
        field.name: np.concatenate([getattr(side[1], field.name) for side in (one, other)])
        for field in dataclasses.fields(Rules)
    }
    rules["place"] = rules["place"].copy()
    rules["place"][len(one[1].gender) :, 0] += km
    return vectors, Rules(**rules)


def level(prices: np.ndarray) -> np.ndarray:
    """What is the same whatever all prices are raised by."""
    difference: np.ndarray = prices - np.median(prices)
    return difference


def test_every_market_has_a_balance_of_its_own() -> None:
    crowded, even = a_market(160, seed=4), a_market(160, seed=5)
    even[0].popularity[:] /= 10
    vectors, rules = beside(crowded, even, km=3000)

    prices = balanced(vectors, rules, mutual=0.2, seed=SEED)

    for town, here in ((crowded, prices[:160]), (even, prices[160:])):
        alone = balanced(*town, mutual=0.2, seed=SEED)
        np.testing.assert_allclose(level(here), level(alone), atol=1e-4)
    assert prices[:160].std() > 3 * prices[160:].std()


def test_a_small_market_beside_a_large_one_is_not_lost_in_its_sample() -> None:
    large, small = a_market(1500, seed=6), a_market(60, seed=7)
    vectors, rules = beside(large, small, km=3000)
    prices = balanced(vectors, rules, mutual=0.0, seed=SEED, sample=300)
    alone = balanced(*small, mutual=0.0, seed=SEED)
    np.testing.assert_allclose(level(prices[1500:]), level(alone), atol=1e-4)
    whole = balanced(*large, mutual=0.0, seed=SEED)
    assert np.corrcoef(prices[:1500], whole)[0, 1] > 0.97


def test_the_few_who_seek_each_other_are_in_the_sample() -> None:
    """Forty men who seek men among thousands, joined to them by some who seek both."""
    vectors, rules = a_market(1600, seed=8)
    men = np.flatnonzero(rules.gender == 2)
    few, both = men[:40], men[40:50]
    rules.seeks[few], rules.seeks[both] = 2, 3
    sampled = balanced(vectors, rules, mutual=0.0, seed=SEED, sample=320)
    whole = balanced(vectors, rules, mutual=0.0, seed=SEED)
    assert np.corrcoef(sampled[few], whole[few])[0, 1] > 0.99


def test_markets_are_cut_by_place_gender_and_wish() -> None:
    female, male = np.uint8(1), np.uint8(2)
    #        women, men who seek each other | two men for men | the same two far away | nowhere
    gender = np.array([female, male, female, male, male, male, male, female, male], dtype=np.uint8)
    seeks = np.array([male, female, male, male, male, male, male, male, female], dtype=np.uint8)
    place = np.zeros((9, 3), dtype=np.float32)
    place[:, 0] = [0, 90, 180, 0, 50, 4000, 4050, 1e9, 1e9]
    market = markets_of(gender, seeks, place)
    groups = [{0, 1, 2}, {3, 4}, {5, 6}, {7, 8}]
    assert [set(np.flatnonzero(market == one).tolist()) for one in np.unique(market)] == groups
    # Somebody who seeks both joins those of one place.
    seeks[3] = 3
    assert len(np.unique(markets_of(gender, seeks, place))) == 3
    assert len(markets_of(gender[:0], seeks[:0], place[:0])) == 0


def test_a_market_that_is_too_large_is_cut_along_its_longer_side(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(markets, "LARGEST", 100)
    _, rules = a_market(350)
    place = np.random.default_rng(1).random((350, 3), dtype=np.float32) * [300, 20, 1]
    market = markets_of(rules.gender, rules.seeks, place.astype(np.float32))
    assert np.bincount(market).tolist() == [87, 88, 87, 88]
    edges = [place[market == one, 0] for one in range(4)]
    assert all(left.max() <= right.min() for left, right in pairwise(edges))
