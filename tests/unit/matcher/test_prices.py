"""Congestion prices: nobody is asked for by everybody."""

from __future__ import annotations

import numpy as np

from eros_matcher.learning.calibrate import match_probability
from eros_matcher.learning.learned import Vectors
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
