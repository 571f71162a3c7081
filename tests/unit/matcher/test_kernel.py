"""The compiled kernel: the same bits on every processor, whatever stands beside a pair."""

from __future__ import annotations

import math

import numpy as np
import pytest

from eros_matcher.engine import scorer
from eros_matcher.engine.best import Keys, positions_of, values_of
from eros_matcher.engine.search import Search
from eros_matcher.features.record import Record
from eros_matcher.kernel.ahead import compile_all
from eros_matcher.kernel.levels import host_level, object_name
from eros_matcher.kernel.native import Kernel, cache_folder
from eros_matcher.market.build import MarketBuilder
from eros_matcher.market.market import Market
from tests.unit.matcher.crowd import YEAR, a_crowd, a_market, true_scores

WANTED = 40


def search_keys(market: Market, people: list[Record], mutual: float = 0.0) -> list[Keys]:
    search = Search(market, len(people), WANTED, YEAR, mutual=mutual)
    for row, person in enumerate(people):
        search.put(row, person)
    alive = np.arange(len(people))
    while len(alive := np.setdiff1d(alive, search.ended(alive))):
        search.step(alive)
    return [search.keys(row) for row in range(len(people))]


@pytest.mark.skipif(not host_level().startswith("x86-64"), reason="compares levels of x86-64")
def test_the_oldest_and_this_processor_agree_to_the_last_bit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    people = a_crowd(2500)
    market = a_market(people)
    here = search_keys(market, people[:60])

    # Kept from run to run: compiling takes seconds.
    compile_all(cache_folder(), ("x86-64",))
    oldest = Kernel((cache_folder() / object_name("x86-64")).read_bytes())
    monkeypatch.setattr(scorer, "kernel", lambda: oldest)

    there = search_keys(market, people[:60])
    for mine, theirs in zip(here, there, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_price_lowers_the_rank_and_nothing_else() -> None:
    people = a_crowd(1800, seed=8)
    builder = MarketBuilder(YEAR)
    prices = {person.user_id: (index % 7) / 2 for index, person in enumerate(people)}
    for person in people:
        assert person.filters is not None
        builder.add(
            person.user_id.bytes, person.filters, person.vector, b"", prices[person.user_id]
        )
    market = builder.build()
    seekers = people[:60]

    full = 0
    for seeker, keys in zip(seekers, search_keys(market, seekers), strict=True):
        truth = {
            user: score * math.exp(-prices[user])
            for user, score in true_scores(seeker, people).items()
        }
        best = sorted(truth.values(), reverse=True)[:WANTED]
        assert values_of(keys) == pytest.approx(best, rel=1e-5)
        ids = {user.bytes: user for user in truth}
        for value, at in zip(values_of(keys), positions_of(keys), strict=True):
            assert value == pytest.approx(truth[ids[market.ids[at].tobytes()]], rel=1e-5)
        full += len(keys) == WANTED
    assert full > 20


def test_mutual_interest_counts_as_the_model_says() -> None:
    people = a_crowd(1800, seed=11)
    market, seekers = a_market(people), people[:60]
    plain = search_keys(market, seekers)
    for mutual in (0.3, 0.9):
        full = differ = 0
        for row, keys in enumerate(search_keys(market, seekers, mutual)):
            truth = true_scores(seekers[row], people, mutual)
            best = sorted(truth.values(), reverse=True)[:WANTED]
            assert values_of(keys) == pytest.approx(best, rel=1e-5)
            full += len(keys) == WANTED
            differ += positions_of(keys).tolist() != positions_of(plain[row]).tolist()
        assert full > 20
        assert differ > 0


def test_vectors_of_every_size_are_exact() -> None:
    """The product's rounding grows with the vectors, and so does the margin that covers it."""
    people = a_crowd(1500, seed=9)
    for factor in (1e-3, 1, 5):
        scaled = [
            Record(p.user_id, p.filters, p.zone, (), _times(p.vector, factor)) for p in people
        ]
        assert a_market(scaled).people == len(people)
        for seeker, keys in zip(
            scaled[:20], search_keys(a_market(scaled), scaled[:20]), strict=True
        ):
            best = sorted(true_scores(seeker, scaled).values(), reverse=True)[:WANTED]
            assert values_of(keys) == pytest.approx(best, rel=1e-3, abs=1e-37)


def _times(vector: bytes, factor: float) -> bytes:
    values = np.frombuffer(vector, dtype="<f4") * np.float32(factor)
    return values.astype("<f4").tobytes()
