"""People for the matcher's tests: profiles, records, markets, and the plain truth about pairs."""

from __future__ import annotations

import math
import mmap
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import numpy as np

from eros.accounts.v1 import profile_pb2
from eros_common.ids import UserId
from eros_matcher.compute.program import BatchInput
from eros_matcher.domain.lists import Suggestion
from eros_matcher.domain.people import Filters, fit
from eros_matcher.features.analysis import analyze
from eros_matcher.features.interests import tokens
from eros_matcher.features.model import DIMS, Model, by_hand, encode
from eros_matcher.features.record import Record, pack
from eros_matcher.market import columns
from eros_matcher.market.build import MarketBuilder
from eros_matcher.market.market import Market
from eros_matcher.programs import payload
from eros_matcher.programs.match import MatchProgram

YEAR = 2026
MODEL = by_hand()
INTERESTS = tuple(
    f"{verb}{thing}"
    for verb in ("", "likes ", "speaks ", "job: ")
    for thing in ("chess", "sailing", "jazz", "dogs", "bread", "hills", "rain", "maps")
)


def a_profile(random: Random, **changes: object) -> profile_pb2.MatchingProfile:
    """One person of a city by the sea; `changes` are fields of the profile."""
    gender = random.choice(("female", "male", "nonbinary"))
    age = random.randint(18, 70)
    fields: dict[str, object] = {
        "user_id": uuid.UUID(int=random.getrandbits(128), version=4).bytes,
        "birth_year": YEAR - age,
        "gender": gender,
        "preferences": profile_pb2.Preferences(
            genders=random.sample(("female", "male", "nonbinary"), random.randint(1, 3)),
            age_min=max(18, age - random.randint(0, 15)),
            age_max=age + random.randint(0, 15),
            max_distance_km=random.choice((0, 5, 20, 50, 500)),
        ),
        "location": profile_pb2.Location(
            city="Porto",
            lat=41.15 + random.gauss(0, 0.2),
            lon=-8.61 + random.gauss(0, 0.2),
            time_zone="Europe/Lisbon",
        ),
        "interests": random.sample(INTERESTS, random.randint(0, 8)),
        "bio": "words " * random.randint(0, 60),
        "name": f"Person {random.randint(1, 999)}",
    }
    return profile_pb2.MatchingProfile(**(fields | changes))  # type: ignore[arg-type]


def a_crowd(count: int, seed: int = 1) -> list[Record]:
    """`count` people; a tenth of them far away, some nowhere."""
    random = Random(seed)
    found: list[Record] = []
    for index in range(count):
        changes: dict[str, object] = {}
        if index % 10 == 3:
            changes["location"] = profile_pb2.Location(city="Lima", lat=-12.05, lon=-77.04)
        if index % 17 == 5:
            changes["location"] = profile_pb2.Location()
        found.append(analyze(a_profile(random, **changes), MODEL, YEAR))
    return found


def a_market(people: Iterable[Record]) -> Market:
    builder = MarketBuilder(YEAR)
    for person in people:
        assert person.filters is not None
        builder.add(
            *(person.user_id.bytes, person.filters, person.vector, tokens(person.interests)),
            price=person.price,
        )
    return builder.build()


@dataclass(frozen=True)
class Row:
    """One row of a batch: who looks, and who is left out or was shown (the oldest first)."""

    person: Record | profile_pb2.MatchingProfile
    excluded: Sequence[UserId] = ()
    shown: Sequence[UserId] = ()
    kept: bytes = b""

    def parts(self) -> tuple[bytes, ...]:
        is_record = isinstance(self.person, Record)
        return (
            pack(self.person) if isinstance(self.person, Record) else b"",
            b"" if is_record else self.person.SerializeToString(),  # type: ignore[union-attr]
            b"".join(user.bytes for user in self.excluded),
            b"".join(user.bytes for user in self.shown),
            self.kept,
        )


def open_program(
    directory: Path,
    market: Market,
    rows: Sequence[Row],
    *,
    wanted: int = 60,
    daily: int = 0,
    sample: int | None = None,
    spare: int = 0,
    since: int = 1,
    model: Model = MODEL,
) -> MatchProgram:
    """The real program over a real market file."""
    path = directory / "market"
    columns.write(path, market.arrays(), {"since": since})
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    header = {
        "model": encode(model).decode(),
        "model_version": 1,
        "market_version": "m1",
        "year": YEAR,
        "wanted": wanted,
        "daily": daily,
        "sample": sample,
        "spare": spare,
    }
    packed = payload.pack(header, [row.parts() for row in rows])
    return MatchProgram(BatchInput(len(rows), memoryview(packed), (memoryview(mapped),)))


def finish(program: MatchProgram, rows: Iterable[int]) -> dict[int, bytes]:
    """Run loaded rows to their end; a row leaves when it is done."""
    alive = sorted(rows)
    results: dict[int, bytes] = {}
    while alive:
        progress = program.chunk(alive, 1)
        assert progress.units == 1
        for row in progress.finished:
            results[row] = program.result(row)
            program.drop(row)
        alive = [row for row in alive if row not in results]
    return results


def match_all(
    directory: Path, market: Market, rows: Sequence[Row], **settings: int | None
) -> list[tuple[Suggestion, ...]]:
    """What each row is suggested."""
    program = open_program(directory, market, rows, **settings)  # type: ignore[arg-type]
    for row in range(len(rows)):
        program.load(row, None)
    results = finish(program, range(len(rows)))
    return [payload.unpack_found(results[row]).suggestions for row in range(len(rows))]


def true_score(a: Record, b: Record, mutual: float = 0.0) -> float:
    """p(both like each other), in double precision, one pair at a time."""

    def odds_against(u: Record, v: Record) -> float:
        mine, theirs = (np.frombuffer(r.vector, dtype="<f4").astype(float) for r in (u, v))
        logit = mine[2 * DIMS] + theirs[2 * DIMS + 1] + mine[:DIMS] @ theirs[DIMS : 2 * DIMS]
        return math.exp(-logit)

    there, back = odds_against(a, b), odds_against(b, a)
    return 1 / (1 + there + back + (1 - mutual) * there * back)


def true_scores(
    seeker: Record, people: Iterable[Record], mutual: float = 0.0
) -> dict[UserId, float]:
    """Everybody that fits the seeker, by the plain filters, with the true score."""
    mine = _tighter(seeker)
    return {
        other.user_id: true_score(seeker, other, mutual)
        for other in people
        if other.user_id != seeker.user_id and fit(mine, _tighter(other), YEAR)
    }


def _tighter(person: Record) -> Filters:
    """The engine keeps 5 metres from a limit, because it knows places to half a metre."""
    assert person.filters is not None
    limit = person.filters.max_km
    return replace(person.filters, max_km=None if limit is None else limit - 0.005)
