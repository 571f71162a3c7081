"""What else finds the best of a market, on the same one, in the same run."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

import faiss
import numpy as np

from bench._town import YEAR, Town
from eros_matcher.domain.people import fit
from eros_matcher.engine.best import Keys, positions_of
from eros_matcher.engine.search import Search
from eros_matcher.features.model import DIMS
from eros_matcher.features.record import Record
from eros_matcher.market.market import Market

_BEST: Final = 50
_PLAIN_PAIRS: Final = 20_000
_LISTS: Final = 256
_PROBES: Final = (8, 32, 128)
_FETCHED: Final = 2048


def per_pair(town: Town, market: Market, seekers: Sequence[Record]) -> dict[str, Any]:
    """The formulas as they are written, one pair after the other, filters first."""
    seeker = seekers[0]
    mine = np.frombuffer(seeker.vector, dtype="<f4")
    others = [town.person(index) for index in range(_PLAIN_PAIRS)]
    began = time.process_time()
    found = []
    for other in others:
        theirs = np.frombuffer(other.vector, dtype="<f4")
        likes = mine[2 * DIMS] + theirs[-1] + mine[:DIMS] @ theirs[DIMS : 2 * DIMS]
        liked = theirs[2 * DIMS] + mine[-1] + theirs[:DIMS] @ mine[DIMS : 2 * DIMS]
        assert seeker.filters is not None
        assert other.filters is not None
        if fit(seeker.filters, other.filters, YEAR):
            found.append(1 / ((1 + math.exp(-likes)) * (1 + math.exp(-liked))))
    found.sort(reverse=True)
    seconds = time.process_time() - began
    return {
        "method": "plain, one pair at a time",
        "pairs_per_s_core": round(_PLAIN_PAIRS / seconds),
        "cpu_ms_per_person": round(seconds / _PLAIN_PAIRS * market.people * 1000, 1),
        "recall": 1.0,
    }


def faiss_flat(market: Market, seekers: Sequence[Record]) -> dict[str, Any]:
    """The greatest sums of both directions: one inner product of 128, no filters, no prices."""
    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(2 * DIMS)
    index.add(market.vectors)
    wanted = _queries(seekers)
    index.search(wanted[:10], _BEST)
    began = time.process_time()
    index.search(wanted, _BEST)
    seconds = time.process_time() - began
    return {
        "method": "faiss flat, no filters",
        "pairs_per_s_core": round(len(seekers) * market.people / seconds),
        "cpu_ms_per_person": round(seconds / len(seekers) * 1000, 3),
    }


def faiss_ivf(
    market: Market, seekers: Sequence[Record], truth: Sequence[Keys]
) -> Iterator[dict[str, Any]]:
    """2,048 of an inverted file's nearest lists, then the engine's own filters and scores."""
    quantizer = faiss.IndexFlatIP(2 * DIMS)
    index = faiss.IndexIVFFlat(quantizer, 2 * DIMS, _LISTS, faiss.METRIC_INNER_PRODUCT)
    began = time.process_time()
    index.train(market.vectors[:: max(market.people // 20_000, 1)].copy())
    index.add(market.vectors)
    build = time.process_time() - began
    search = Search(market, len(seekers), _BEST, YEAR)
    for row, seeker in enumerate(seekers):
        search.put(row, seeker)
    for probes in _PROBES:
        index.nprobe = probes
        began = time.process_time()
        _, near = index.search(_queries(seekers), _FETCHED)
        found = [
            np.sort(search.keys_with(row, near[row][near[row] >= 0]))[-_BEST:]
            for row in range(len(seekers))
        ]
        seconds = time.process_time() - began
        yield {
            "method": f"faiss IVF, {probes} of {_LISTS} lists, filters after",
            "cpu_ms_per_person": round(seconds / len(seekers) * 1000, 3),
            "build_seconds": round(build, 2),
            "recall": round(_recall(found, truth), 3),
        }


def _queries(seekers: Sequence[Record]) -> np.ndarray:
    vectors = np.stack([np.frombuffer(s.vector, dtype="<f4") for s in seekers])
    return np.ascontiguousarray(vectors[:, : 2 * DIMS])


def _recall(found: Sequence[Keys], truth: Sequence[Keys]) -> float:
    hits = sum(
        len(np.intersect1d(positions_of(some), positions_of(all_)))
        for some, all_ in zip(found, truth, strict=True)
    )
    return hits / max(sum(map(len, truth)), 1)
