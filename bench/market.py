"""Matches per person and day in a market whose truth is known, by the order of the daily lists.

Everybody is drawn from a seed: profile, hidden taste (a part of which shows in the interests), how
liked and how choosy they are, with few whom nearly everybody likes. What somebody thinks of another
is not of the model's form: it saturates in the hidden taste and falls with the square of the years
between them. Each night everybody gets ten people they have not decided on, each day most people
look through their list, the first places more surely, and like or skip by that truth. A match is
made on the day the second of two likes falls.

The orders, each in a world of its own that begins the same: random; the most liked first; what the
learned model says of the seeker's own interest alone; and the engine: both sides, congestion
prices. Learner, prices, market, search and scorer are the ones that run at night; the night's
leases and tables are not.

EROS_BENCH_PEOPLE (2,000 by default, in cities of 2,000), EROS_BENCH_NIGHTS (30), EROS_BENCH_WORKERS
(processes, 2), EROS_BENCH_PLOT (where the picture goes).
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from bench._machine import machine
from eros_common.ids import UserId, user_id_from_bytes
from eros_matcher.domain.people import Filters, Gender, Place
from eros_matcher.engine.best import positions_of
from eros_matcher.engine.search import Search
from eros_matcher.features.analysis import leaning_of, vector_of
from eros_matcher.features.interests import tokens
from eros_matcher.features.model import LATENT_DIMS, Model, by_hand
from eros_matcher.features.record import Record
from eros_matcher.features.said import TIES_OF_COLUMNS, Said, said_of
from eros_matcher.learning.course import Course
from eros_matcher.learning.design import Behaviour, Design
from eros_matcher.learning.export import (
    leanings_of,
    model_of,
    start_of,
    theta_of,
)
from eros_matcher.learning.learned import vectors
from eros_matcher.learning.prices import Rules, balanced
from eros_matcher.market import market as m
from eros_matcher.market.build import MarketBuilder

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_PEOPLE: Final = 2_000
_NIGHTS: Final = 30
_CITY: Final = 2_000
_DAILY: Final = 10
_SEED: Final = 20260301
_YEAR: Final = 2026
_LEARN_AFTER: Final = (1, 5, 12)
"""Nights after which a model is learned; every night would only take longer."""
_MOST_LEARNED: Final = 30
"""Decisions a person that a learning takes, the latest."""
_HIDDEN: Final = 3
_LOOKS: Final = 0.8
_INTERESTS: Final = tuple(f"thing {number}" for number in range(48))
_BATCH: Final = 250
_ORDERS: Final = ("random", "popularity", "one-sided", "balanced")


@dataclass(frozen=True)
class World:
    """The people, and the truth about them; `likes` is p(u likes v) within each city."""

    ids: list[UserId]
    filters: list[Filters]
    interests: list[tuple[str, ...]]
    said: list[Said]
    city: Ints
    female: npt.NDArray[np.bool_]
    hidden: Doubles
    choosy: Doubles
    liked: Doubles
    age: Ints

    def likes(self, u: Ints, v: Ints) -> Doubles:
        """The truth, pair by pair."""
        taste = np.tanh(0.9 * (self.hidden[u] * self.hidden[v]).sum(axis=-1))
        apart = (self.age[u] - self.age[v]) / 9.0
        logit = -1.6 + self.choosy[u] + self.liked[v] + 1.8 * taste - apart * apart
        likely: Doubles = 1 / (1 + np.exp(-logit))
        return likely


@dataclass
class Life:
    """One order's world so far."""

    order: str
    model: Model
    seen: list[set[int]]
    chooser: list[Ints] = field(default_factory=list)
    chosen: list[Ints] = field(default_factory=list)
    said: list[npt.NDArray[np.bool_]] = field(default_factory=list)
    likes: set[tuple[int, int]] = field(default_factory=set)
    matches: list[int] = field(default_factory=list)
    matched: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    shown: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    leanings: npt.NDArray[np.float32] = field(
        default_factory=lambda: np.zeros((0, 0), dtype=np.float32)
    )
    prices: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    engine_seconds: float = 0.0
    learn_seconds: float = 0.0


def run() -> dict[str, Any]:
    """Rows by order; the plot is written beside."""
    people = int(os.environ.get("EROS_BENCH_PEOPLE", _PEOPLE))
    nights = int(os.environ.get("EROS_BENCH_NIGHTS", _NIGHTS))
    plot = Path(os.environ.get("EROS_BENCH_PLOT", Path(tempfile.gettempdir()) / "eros-market.png"))
    began = time.monotonic()
    workers = int(os.environ.get("EROS_BENCH_WORKERS", min(2, os.cpu_count() or 1)))
    # The longest first: the others fit beside it. Not forked, for threads may be under way.
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        under_way = [pool.submit(_outcome, order, people, nights) for order in reversed(_ORDERS)]
        outcomes = [one.result() for one in reversed(under_way)]
    rows = [one.row for one in outcomes]
    _draw(outcomes, people, plot)
    best = rows[-1]
    return {
        "matches_per_person_day": best["matches_per_person_day"],
        "over_random": _ratio(best, rows[0]),
        "over_popularity": _ratio(best, rows[1]),
        "over_one_sided": _ratio(best, rows[2]),
        "people": people,
        "nights": nights,
        "cities": -(-people // _CITY),
        "plot": str(plot),
        "seconds": round(time.monotonic() - began, 1),
        "rows": rows,
        **machine("numpy"),
    }


@dataclass(frozen=True)
class Outcome:
    """What an order came to."""

    matches: list[int]
    """Made on each day."""
    row: dict[str, Any]


def _outcome(order: str, people: int, nights: int) -> Outcome:
    """A life in a process of its own; everybody is born anew there, from the same seed."""
    with threadpool_limits(1):
        world = _world(people)
        life = _live(world, order, nights)
    return Outcome(life.matches, _row(life, world, nights))


def _ratio(row: dict[str, Any], other: dict[str, Any]) -> float:
    return float(row["matches_per_person_day"] / max(other["matches_per_person_day"], 1e-9))


def _world(people: int) -> World:
    random = np.random.default_rng(_SEED)
    hidden = random.normal(0, 1, (people, _HIDDEN))
    axes = random.normal(0, 1, (len(_INTERESTS), _HIDDEN))
    # Interests show a part of the hidden taste; the rest only shows in what people do.
    pull = hidden @ axes.T + random.gumbel(0, 2.0, (people, len(_INTERESTS)))
    age = np.clip(22 + random.gamma(2.0, 5.0, people), 22, 60).astype(np.int64)
    female = random.random(people) < 0.48
    city = np.arange(people) // _CITY
    draw = Random(_SEED)
    model = by_hand()
    ids: list[UserId] = []
    filters: list[Filters] = []
    interests: list[tuple[str, ...]] = []
    said: list[Said] = []
    for index in range(people):
        ids.append(user_id_from_bytes(draw.randbytes(16)))
        gender = Gender.FEMALE if female[index] else Gender.MALE
        own = int(age[index])
        filters.append(
            Filters(
                birth_year=_YEAR - own,
                gender=gender,
                seeks=Gender(3 - gender),
                age_min=max(18, own - draw.randint(8, 14)),
                age_max=own + draw.randint(8, 14),
                place=Place(40.0 + 3 * float(city[index]), -3.7),
                max_km=100.0,
            )
        )
        chosen = np.argsort(-pull[index])[: draw.randint(4, 8)].tolist()
        interests.append(tuple(_INTERESTS[one] for one in chosen))
        said.append(
            said_of(
                filters[-1], interests[-1], draw.randint(0, 5), draw.randint(0, 300), model, _YEAR
            )
        )
    return World(
        ids=ids,
        filters=filters,
        interests=interests,
        said=said,
        city=city,
        female=female,
        hidden=hidden,
        choosy=random.normal(0, 0.7, people),
        # Few whom nearly everybody likes.
        liked=random.exponential(1.0, people) - 1.0,
        age=age,
    )


def _live(world: World, order: str, nights: int) -> Life:
    people = len(world.ids)
    life = Life(order, by_hand(), [set() for _ in range(people)])
    life.matched = np.zeros(people, dtype=np.int64)
    life.shown = np.zeros(people, dtype=np.int64)
    life.leanings = np.zeros((people, 2 + 2 * LATENT_DIMS), dtype=np.float32)
    life.prices = np.zeros(people, dtype=np.float32)
    random = np.random.default_rng(_SEED + 1)
    lists: dict[str, Callable[[], list[list[int]]]] = {
        "random": lambda: _drawn(world, life, random),
        "popularity": lambda: _ordered(world, life, _popularity(life, people)),
        "one-sided": lambda: _one_sided(world, life),
        "balanced": lambda: _searched(world, life),
    }
    for night in range(nights):
        began = time.process_time()
        found = lists[order]()
        life.engine_seconds += time.process_time() - began
        _day(world, life, found, random)
        if night + 1 in _LEARN_AFTER and order in ("one-sided", "balanced"):
            began = time.process_time()
            _learn(world, life)
            life.learn_seconds += time.process_time() - began
    return life


def _day(world: World, life: Life, found: list[list[int]], random: np.random.Generator) -> None:
    """Most look through their lists, the first places more surely; they like or skip."""
    pairs: list[tuple[int, int]] = []
    for person, others in enumerate(found):
        for other in others:
            life.shown[other] += 1
        if random.random() < _LOOKS:
            odds = 1 / (1 + 0.1 * np.arange(len(others)))
            looks = random.random(len(others)) < odds
            pairs += [(person, o) for o, there in zip(others, looks, strict=True) if there]
    table = np.array(pairs, dtype=np.int64).reshape(len(pairs), 2)
    u, v = table[:, 0], table[:, 1]
    says = random.random(len(u)) < world.likes(u, v)
    made = 0
    for one, other, yes in zip(u.tolist(), v.tolist(), says.tolist(), strict=True):
        life.seen[one].add(other)
        if yes:
            life.likes.add((one, other))
            if (other, one) in life.likes:
                made += 1
                life.matched[[one, other]] += 1
    life.matches.append(made)
    life.chooser.append(u)
    life.chosen.append(v)
    life.said.append(says)


def _learn(world: World, life: Life) -> None:
    """What the job `learn` does, with the same parts."""
    design, rules = _design(world), _rules(world)
    chooser, chosen = np.concatenate(life.chooser), np.concatenate(life.chosen)
    says = np.concatenate(life.said).astype(float)
    last = slice(max(0, len(says) - _MOST_LEARNED * len(world.ids)), None)
    behaviour = Behaviour(
        chooser[last].astype(np.int32),
        chosen[last].astype(np.int32),
        says[last],
        np.ones(len(says[last])),
    )
    known = life.model.was_learned
    course = Course(
        design,
        behaviour,
        seed=_SEED,
        latent=LATENT_DIMS,
        start=start_of(design, life.model, life.leanings) if known else None,
        prior=theta_of(by_hand()),
    )
    while not course.step():
        pass
    learned = course.learned
    if life.order == "balanced":
        life.prices = balanced(vectors(design, learned), rules, mutual=learned.mutual, seed=_SEED)
    life.model = model_of(learned, life.model, float(np.median(life.prices)))
    life.leanings = leanings_of(design, learned)


def _design(world: World) -> Design:
    bias, taste, trait = (
        np.stack([getattr(one, name) for one in world.said]).astype(np.float32)
        for name in ("bias", "taste", "trait")
    )
    return Design(bias, taste, trait, TIES_OF_COLUMNS)


def _rules(world: World) -> Rules:
    born = [(max(0, f.birth_year - m.FIRST_YEAR), *m.born_range(f, _YEAR)) for f in world.filters]
    table = np.array(born, dtype=np.int16)
    return Rules(
        gender=np.array([int(f.gender) for f in world.filters], dtype=np.uint8),
        seeks=np.array([int(f.seeks) for f in world.filters], dtype=np.uint8),
        born=table[:, 0],
        born_from=table[:, 1],
        born_to=table[:, 2],
        place=np.array([m.place_of(f) for f in world.filters], dtype=np.float32),
        reach=np.array([m.reach_of(f) for f in world.filters], dtype=np.float32),
    )


def _records(world: World, life: Life) -> list[Record]:
    return [
        Record(
            world.ids[index],
            world.filters[index],
            "UTC",
            world.interests[index],
            vector_of(
                world.said[index], life.model, leaning_of(life.leanings[index].tobytes())
            ).tobytes(),
            price=float(life.prices[index]),
        )
        for index in range(len(world.ids))
    ]


def _searched(world: World, life: Life) -> list[list[int]]:
    """The engine's own lists: market, search, scorer."""
    records = _records(world, life)
    builder = MarketBuilder(_YEAR)
    for record in records:
        assert record.filters is not None
        builder.add(
            record.user_id.bytes,
            record.filters,
            record.vector,
            tokens(record.interests),
            record.price,
        )
    market = builder.build()
    # Whom each position of the market is.
    number = np.empty(market.people, dtype=np.int64)
    ids = [user.bytes for user in world.ids]
    number[market.positions(b"".join(ids))] = np.arange(len(ids))
    found: list[list[int]] = []
    for start in range(0, len(records), _BATCH):
        batch = records[start : start + _BATCH]
        search = Search(market, len(batch), _DAILY, _YEAR, mutual=life.model.mutual)
        for row, record in enumerate(batch):
            excluded = b"".join([ids[one] for one in life.seen[start + row]])
            search.put(row, record, excluded=excluded)
        alive = np.arange(len(batch))
        while len(alive):
            search.step(alive)
            alive = np.setdiff1d(alive, search.ended(alive))
        found += [number[positions_of(search.keys(row))].tolist() for row in range(len(batch))]
    return found


def _one_sided(world: World, life: Life) -> list[list[int]]:
    """By p(u likes v) alone, of the model learned in this life."""
    rows = np.stack([np.frombuffer(record.vector, "<f4") for record in _records(world, life)])
    dims = (rows.shape[1] - 2) // 2
    taste, trait, popularity = rows[:, :dims], rows[:, dims : 2 * dims], rows[:, -1]
    return _ordered(world, life, lambda u, v: taste[u] @ trait[v].T + popularity[v])


def _popularity(life: Life, people: int) -> Callable[[Ints, Ints], Doubles]:
    if not life.said:
        return lambda u, v: np.zeros((len(u), len(v)))
    chosen, says = np.concatenate(life.chosen), np.concatenate(life.said)
    count = np.bincount(chosen, minlength=people)
    share = (np.bincount(chosen, weights=says, minlength=people) + 0.3 * 4) / (count + 4)
    return lambda u, v: np.broadcast_to(share[v], (len(u), len(v)))


def _drawn(world: World, life: Life, random: np.random.Generator) -> list[list[int]]:
    return _ordered(world, life, lambda u, v: random.random((len(u), len(v))))


def _ordered(world: World, life: Life, score: Callable[[Ints, Ints], Doubles]) -> list[list[int]]:
    """The first of each one's city by a score, by the same filters; ties fall by chance."""
    rules = _rules(world)
    jitter = np.random.default_rng(_SEED + len(life.said))
    found: list[list[int]] = [[] for _ in world.ids]
    for city in np.unique(world.city):
        members = np.flatnonzero(world.city == city)
        for start in range(0, len(members), _BATCH):
            rows = members[start : start + _BATCH]
            values = score(rows, members) + jitter.random((len(rows), len(members))) * 1e-6
            values = np.where(rules.fit(rows, members), values, -np.inf)
            first = int(members[0])
            for row, person in enumerate(rows.tolist()):
                values[row, [other - first for other in life.seen[person]]] = -np.inf
            best = np.argsort(-values, axis=1)[:, :_DAILY]
            for row, person in enumerate(rows.tolist()):
                kept = best[row][np.isfinite(values[row][best[row]])]
                found[person] = members[kept].tolist()
    return found


def _row(life: Life, world: World, nights: int) -> dict[str, Any]:
    people = len(world.ids)
    last = life.matches[-min(7, nights) :]
    said = np.concatenate(life.said)
    shown = np.sort(life.shown)[::-1]
    return {
        "order": life.order,
        "matches_per_person_day": 2 * sum(life.matches) / (people * nights),
        "last_week": 2 * sum(last) / (people * len(last)),
        "likes_share": float(said.mean()) if len(said) else 0.0,
        "people_without_match": float((life.matched == 0).mean()),
        "cities_least_and_most": _cities(life, world, nights),
        "shown_to_top_percent": float(shown[: max(1, people // 100)].sum() / max(shown.sum(), 1)),
        "lists_cpu_s": round(life.engine_seconds, 1),
        "learn_cpu_s": round(life.learn_seconds, 1),
    }


def _cities(life: Life, world: World, nights: int) -> tuple[float, float]:
    """Matches a person and day in the city with the fewest and in the one with the most."""
    share = np.bincount(world.city, weights=life.matched) / np.bincount(world.city) / nights
    return round(float(share.min()), 3), round(float(share.max()), 3)


def _draw(outcomes: list[Outcome], people: int, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for one in outcomes:
        nights = np.arange(1, len(one.matches) + 1)
        axes.plot(nights, np.cumsum(one.matches) * 2 / people, label=one.row["order"])
    axes.set_xlabel("day")
    axes.set_ylabel("matches a person so far")
    axes.set_title(f"{people:,} people, ten suggestions a day")
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=150)
