"""How fast the best of a market are found, beside the bare products that it cannot be without.

Batches of 300 people, as a worker gets them, search the whole of a market of one place with all
filters for their 50 best, on one core, timed by its CPU time. A *pair* is one that was scored in
both directions: people whom the order of the market spares a row count for nothing here and stand
beside it as `skipped_share`. The ceiling is what BLAS takes for the same rows against the same
tiles, two products of 64 and nothing else, measured in turn with the engine. In the same run:
a plain scorer of one pair at a time, and faiss-cpu, flat (exact, but without filters or both sides'
probabilities) and IVF (approximate) with the filters after it.

A row "again" is the night after under the same model: one in a hundred changed, everybody was shown
ten people, and lists are made of what was kept. They are compared with those of a whole search.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"

import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

import numpy as np

from bench._machine import machine
from bench._peers import faiss_flat, faiss_ivf, per_pair
from bench._town import YEAR, Town
from eros_matcher.domain.kept import Kept
from eros_matcher.engine.best import Keys, positions_of
from eros_matcher.engine.search import Search, Step
from eros_matcher.features.model import DIMS
from eros_matcher.market.build import market_of_columns
from eros_matcher.market.market import Market

_SIZES: Final = "10000,59946,200000,1000000"
_BATCH: Final = 300
_BEST: Final = 50
_SPARE: Final = 60
_SHOWN: Final = 10
_CHANGED: Final = 0.01
_REPEATS: Final = 5
_PEERS_AT: Final = 59_946
_MILLION: Final = 1_000_000
_HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch searched: CPU seconds of each part, and what was done in it."""

    preparing: float
    searching: float
    wording: float
    steps: tuple[Step, ...]
    exact: int
    keys: tuple[Keys, ...]
    kept: tuple[Kept | None, ...]


def run() -> dict[str, Any]:
    """A row a market and one a peer; the slowest market's figures at the top."""
    sizes = [int(size) for size in os.environ.get("EROS_BENCH_SIZES", _SIZES).split(",")]
    repeats = int(os.environ.get("EROS_BENCH_REPEATS", _REPEATS))
    markets: list[dict[str, Any]] = []
    peers: list[dict[str, Any]] = []
    for people in sizes:
        row, more = _market_rows(people, repeats)
        markets.append(row)
        peers += more
    worst = min(markets, key=lambda row: float(row["ratio"]))
    largest = markets[-1]
    return {
        **{name: worst[name] for name in _HEADLINE},
        "million_core_hours": round(_MILLION * largest["cpu_ms_per_person"] / 1000 / _HOUR, 3),
        "million_arithmetic": f"1e6 people x {largest['cpu_ms_per_person']} ms of CPU "
        f"({largest['pairs_per_person']:.4g} pairs, putting in, reasons) in a market of "
        f"{largest['users']}, / 3600 s",
        "million_all_pairs_core_hours": round(_MILLION**2 / largest["pairs_per_s_core"] / _HOUR, 3),
        **machine("numpy", "llvmlite", "faiss-cpu"),
        "rows": [*markets, *peers],
    }


_HEADLINE: Final = ("users", "d", "pairs_per_s_core", "ceiling", "ratio", "peak_mb")


def _market_rows(people: int, repeats: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    town = Town(people)
    began = time.process_time()
    market = market_of_columns(town.columns)
    build_seconds = time.process_time() - began
    chosen = np.random.default_rng(2).choice(people, min(_BATCH, people), replace=False).tolist()
    _search(market, town, chosen)
    batches: list[Batch] = []
    bare: list[float] = []
    for _ in range(repeats):
        batches.append(_search(market, town, chosen))
        bare.append(_products(market, batches[-1].steps))
    pairs = _pairs(market, batches[0].steps)
    searching = median(batch.searching for batch in batches)
    whole = median(batch.preparing + batch.searching + batch.wording for batch in batches)
    rate, ceiling = pairs / searching, pairs / median(bare)
    row = {
        "users": people,
        "d": DIMS,
        "pairs_per_s_core": round(rate),
        "ceiling": round(ceiling),
        "ratio": round(rate / ceiling, 3),
        "peak_mb": round(_peak_mb(market, town, chosen), 1),
        "market_mb": round(sum(array.nbytes for array in market.arrays().values()) / 1e6, 1),
        "ceiling_large_blocks": round(_large_blocks()),
        "pairs_per_person": round(pairs / len(chosen)),
        "skipped_share": round(1 - pairs / len(chosen) / people, 3),
        "exact_per_person": round(batches[0].exact / len(chosen)),
        "cpu_ms_per_person": round(whole / len(chosen) * 1000, 3),
        "core_hours_for_all": round(whole / len(chosen) * people / _HOUR, 4),
        "build_seconds": round(build_seconds, 2),
        "method": "engine",
        "recall": 1.0,
        "source": town.source,
    }
    base = dict.fromkeys(row, "")
    again = {**base, **_again(town, market, chosen, repeats)}
    if people != _PEERS_AT:
        return row, [again]
    seekers = [town.person(index) for index in chosen]
    peers = [
        per_pair(town, market, seekers),
        faiss_flat(market, seekers),
        *faiss_ivf(market, seekers, batches[0].keys),
    ]
    return row, [again, *({**base, "users": people, "d": DIMS, **peer} for peer in peers)]


def _again(town: Town, market: Market, chosen: list[int], repeats: int) -> dict[str, Any]:
    """The night after, beside a whole search of the same market."""
    first = [_search(market, town, chosen, spare=_SPARE, since=1) for _ in range(repeats)]
    plain = [_search(market, town, chosen) for _ in range(repeats)]
    kept, shown = first[0].kept, [market.ids[positions_of(k)[:_SHOWN]] for k in first[0].keys]
    assert all(kept)
    town.change(_CHANGED, 1)
    new = market_of_columns(town.columns)
    again: list[Batch] = []
    whole: list[Batch] = []
    for _ in range(repeats):
        again.append(_search(new, town, chosen, spare=_SPARE, since=2, kept=kept, shown=shown))
        whole.append(_search(new, town, chosen, shown=shown))
    for mine, truth in zip(again[0].keys, whole[0].keys, strict=True):
        assert np.array_equal(mine, truth)
    # Who had enough was asked about these alone; the others' pairs are in the steps.
    enough = [one for one, more in zip(kept, again[0].kept, strict=True) if one and more is None]
    changed = len(new.changed_since(1))
    asked = sum(len(one.others) // 16 + changed for one in enough)
    pairs = asked + _pairs(new, again[0].steps)
    seconds, usual = (
        median(batch.preparing + batch.searching for batch in batches) for batches in (again, whole)
    )
    return {
        "users": market.people,
        "d": DIMS,
        "method": f"again, {_CHANGED:.0%} changed",
        "cpu_ms_per_person": round(seconds / len(chosen) * 1000, 3),
        "time_share": round(seconds / usual, 3),
        "pairs_share": round(pairs / _pairs(new, whole[0].steps), 3),
        "rows_whole": len(chosen) - len(enough),
        "spare_costs": round(
            median(b.searching for b in first) / median(b.searching for b in plain), 3
        ),
        "kept_bytes_per_person": round(sum(len(k.others) + 32 for k in kept if k) / len(kept)),
        "recall": 1.0,
        "source": town.source,
    }


def _search(
    market: Market,
    town: Town,
    chosen: list[int],
    *,
    spare: int = 0,
    since: int = 0,
    kept: Sequence[Kept | None] = (),
    shown: Sequence[Any] = (),
) -> Batch:
    marks = [time.process_time()]
    search = Search(market, len(chosen), _BEST, YEAR, spare=spare, since=since)
    for row, index in enumerate(chosen):
        search.put(
            row,
            town.person(index),
            excluded=shown[row].tobytes() if shown else b"",
            kept=kept[row] if kept else None,
        )
    marks.append(time.process_time())
    steps: list[Step] = []
    alive = np.arange(len(chosen))
    while len(waiting := search.waiting(alive)[:16]):
        search.take_up(waiting)
    while len(alive):
        ended = search.ended(alive)
        if len(ended):
            alive = alive[~np.isin(alive, ended)]
        else:
            steps.append(search.step(alive))
    keys = tuple(search.keys(row) for row in range(len(chosen)))
    marks.append(time.process_time())
    for row in range(len(chosen)):
        search.found(row)
    marks.append(time.process_time())
    stays = tuple(search.kept(row) if spare else None for row in range(len(chosen)))
    parts = np.diff(marks).tolist()
    return Batch(parts[0], parts[1], parts[2], tuple(steps), search.exact, keys, stays)


def _pairs(market: Market, steps: tuple[Step, ...]) -> int:
    widths = np.diff(market.bounds)
    return sum(step.rows * int(widths[step.tile]) for step in steps)


def _products(market: Market, steps: tuple[Step, ...]) -> float:
    """CPU seconds of the same rows against the same tiles, two products of 64 each."""
    left = np.random.default_rng(3).standard_normal((2, 1024, DIMS), dtype=np.float32)
    out = np.empty((2, 1024 * 1024), dtype=np.float32)
    began = time.process_time()
    for step in steps:
        here = slice(int(market.bounds[step.tile]), int(market.bounds[step.tile + 1]))
        width = here.stop - here.start
        for side, people in ((0, market.trait), (1, market.taste)):
            sums = out[side, : step.rows * width].reshape(step.rows, width)
            np.matmul(left[side, : step.rows], people[here].T, out=sums)
    return time.process_time() - began


def _large_blocks() -> float:
    """Pairs a second of two products of 512 x 1,024 x 64 that stay in the cache."""
    random = np.random.default_rng(4)
    left = random.standard_normal((2, 512, DIMS), dtype=np.float32)
    right = random.standard_normal((2, 1024, DIMS), dtype=np.float32)
    out = np.empty((512, 1024), dtype=np.float32)
    began = time.process_time()
    for _ in range(40):
        for side in (0, 1):
            np.matmul(left[side], right[side].T, out=out)
    return 40 * out.size / (time.process_time() - began)


def _peak_mb(market: Market, town: Town, chosen: list[int]) -> float:
    """Most that a batch had in memory beside the market, which is a mapped file in production."""
    tracemalloc.start()
    _search(market, town, chosen)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 1e6
