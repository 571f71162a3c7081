"""What was kept of a search gives the same as a whole search, to the last bit, or is not used."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eros_matcher.domain import kept as keeping
from eros_matcher.domain.kept import Kept
from eros_matcher.engine import search as searching
from eros_matcher.engine.best import Keys, positions_of
from eros_matcher.engine.search import Search
from eros_matcher.features.analysis import analyze
from eros_matcher.features.interests import tokens
from eros_matcher.features.record import Record
from eros_matcher.market.build import MarketBuilder
from eros_matcher.market.market import Market
from eros_matcher.programs.payload import unpack_found
from tests.unit.matcher.crowd import MODEL, YEAR, Row, a_crowd, a_profile, finish, open_program

WANTED = 12
SPARE = 8
MUTUAL = 0.4


@dataclass
class Town:
    """People, who changed when, and whom nobody of the seekers is to see."""

    people: dict[bytes, Record]
    written: dict[bytes, int]
    now: int = 1
    out: list[bytes] = field(default_factory=list)

    def put(self, person: Record) -> None:
        self.people[person.user_id.bytes] = person
        self.written[person.user_id.bytes] = self.now

    def market(self) -> Market:
        builder = MarketBuilder(YEAR)
        for user, person in self.people.items():
            assert person.filters is not None
            builder.add(
                *(user, person.filters, person.vector, tokens(person.interests), person.price),
                written=self.written[user],
            )
        return builder.build()


def a_town(count: int, seed: int) -> Town:
    town = Town({}, {})
    for person in a_crowd(count, seed):
        town.put(person)
    return town


def searched(
    market: Market, people: list[Record], town: Town, kept: list[Kept | None] | None
) -> tuple[list[Keys], list[Kept | None], int]:
    """The best of each, what is kept of it, and how many had enough in what was kept before."""
    search = Search(
        *(market, len(people), WANTED, YEAR), mutual=MUTUAL, spare=SPARE, since=town.now + 1
    )
    for row, person in enumerate(people):
        search.put(
            row, person, excluded=b"".join(town.out), kept=None if kept is None else kept[row]
        )
    rows = np.arange(len(people))
    taken = search.take_up(search.waiting(rows))
    alive = rows
    while len(alive := np.setdiff1d(alive, search.ended(alive))):
        search.step(alive)
    numbers = range(len(people))
    return [search.keys(row) for row in numbers], [search.kept(row) for row in numbers], taken


def changed(town: Town, random: Random, what: str) -> None:
    users = sorted(town.people)
    one = random.choice(users)
    match what:
        case "profile":
            fresh = analyze(a_profile(random), MODEL, YEAR)
            town.put(replace(fresh, user_id=town.people[one].user_id))
        case "price":
            town.put(replace(town.people[one], price=random.random() * 2))
        case "clone":
            other = town.people[random.choice(users)]
            town.put(replace(other, user_id=town.people[one].user_id))
        case "comes":
            town.put(analyze(a_profile(random), MODEL, YEAR))
        case "goes":
            del town.people[one]
        case "decided":
            town.out.append(one)
        case "again" if town.out:
            town.out.pop(random.randrange(len(town.out)))
        case _:
            """Nobody was left out who could come again."""


CHANGES = st.lists(
    st.sampled_from(["profile", "price", "clone", "comes", "goes", "decided", "again"]),
    max_size=12,
)


@settings(max_examples=25)
@given(nights=st.lists(CHANGES, min_size=1, max_size=4), seed=st.integers(0, 10**6))
def test_after_any_changes_it_is_the_same_to_the_last_bit(
    nights: list[list[str]], seed: int
) -> None:
    random = Random(seed)
    town = a_town(300, seed)
    ids = random.sample(sorted(town.people), 20)
    seekers = [town.people[user] for user in ids]
    _, kept, _ = searched(town.market(), seekers, town, None)
    for night in nights:
        town.now += 1
        for what in night:
            changed(town, random, what)
        seekers = [town.people.get(user, seeker) for user, seeker in zip(ids, seekers, strict=True)]
        market = town.market()
        whole, _, _ = searched(market, seekers, town, None)
        found, more, taken = searched(market, seekers, town, kept)
        for mine, truth in zip(found, whole, strict=True):
            np.testing.assert_array_equal(mine, truth)
        # Who had enough keeps what was kept, whoever had not keeps what was found now.
        assert taken == sum(one is None for one in more)
        kept = [new or old for new, old in zip(more, kept, strict=True)]


def test_when_little_changed_hardly_anybody_is_searched_for_anew() -> None:
    town = a_town(1500, 5)
    ids = sorted(town.people)[:100]
    seekers = [town.people[user] for user in ids]
    market = town.market()
    _, kept, taken = searched(market, seekers, town, None)
    assert taken == 0
    town.now += 1
    random = Random(1)
    for what in ("profile", "price", "comes", "goes", "decided") * 3:
        changed(town, random, what)
    seekers = [town.people.get(user, seeker) for user, seeker in zip(ids, seekers, strict=True)]

    _, _, taken = searched(town.market(), seekers, town, kept)

    assert taken > 85


def test_who_was_left_out_and_may_come_again_is_known() -> None:
    town = a_town(1500, 7)
    market, seekers = town.market(), list(town.people.values())[:60]
    best, _, _ = searched(market, seekers, town, None)
    # The three best of each are left out at first, and come again the next night.
    town.out = [market.ids[at].tobytes() for keys in best for at in positions_of(keys[:3])]
    _, kept, _ = searched(market, seekers, town, None)
    town.out.clear()
    found, _, taken = searched(market, seekers, town, kept)
    assert taken > 50
    for mine, truth in zip(found, best, strict=True):
        np.testing.assert_array_equal(mine, truth)


def a_search(town: Town, seeker: Record, since: int) -> Search:
    search = Search(town.market(), 1, WANTED, YEAR, spare=SPARE, since=since)
    search.put(0, seeker)
    row = np.zeros(1, dtype=np.intp)
    while not len(search.ended(row)):
        search.step(row)
    return search


def test_what_says_nothing_about_this_search_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    town = a_town(1500, 6)
    seeker = max(
        list(town.people.values())[:40], key=lambda one: len(a_search(town, one, 5).keys(0))
    )
    kept = a_search(town, seeker, 5).kept(0)
    assert kept is not None
    assert kept.floor > 0
    assert keeping.unpack(keeping.pack(kept)) == kept

    def taken(market: Market, since: int, what: Kept, wanted: int = WANTED) -> bool:
        search = Search(market, 1, wanted, YEAR, spare=SPARE, since=since)
        search.put(0, seeker, kept=what)
        return search.take_up(search.waiting(np.arange(1))) == 1

    market = town.market()
    assert taken(market, 5, kept)
    # Somebody else, or the same person with another profile.
    assert not taken(market, 5, replace(kept, seeker=bytes(16)))
    # A market that is older than the one that was searched.
    assert not taken(market, 4, kept)
    # Too many changed, or too few are left.
    assert not taken(market, 5, replace(kept, since=1))
    assert not taken(market, 5, kept, wanted=WANTED + SPARE)
    # No more are kept than may be; then the floor is higher.
    monkeypatch.setattr(searching, "MOST_KEPT", 15)
    fewer = a_search(town, seeker, 5).kept(0)
    assert fewer is not None
    assert fewer.floor > kept.floor
    assert len(fewer.others) <= 15 * 16
    for broken in (b"", b"x" * 40, keeping.pack(kept)[:-1]):
        with pytest.raises(ValueError, match=r"kept|bytes"):
            keeping.unpack(broken)


def test_the_program_keeps_and_goes_on(tmp_path: Path) -> None:
    town = a_town(1300, 8)
    market = town.market()
    people = list(town.people.values())[:30]
    first = open_program(tmp_path, market, [Row(one) for one in people], spare=40, since=9)
    for row in range(30):
        first.load(row, None)
    results = {row: unpack_found(data) for row, data in finish(first, range(30)).items()}
    assert all(found.kept is not None for found in results.values())

    rows = []
    for row, one in enumerate(people):
        found = results[row].kept
        assert found is not None
        rows.append(Row(one, kept=keeping.pack(found)))
    # What cannot be read is as good as nothing.
    rows[3] = Row(people[3], kept=b"x" * 30)
    second = open_program(tmp_path, market, rows, spare=40, since=9)
    for row in range(30):
        second.load(row, None)
    # Halted and resumed before it was looked at, it is looked at again.
    state = second.snapshot(5)
    second.load(5, state)
    again = {row: unpack_found(data) for row, data in finish(second, range(30)).items()}
    for row in range(30):
        assert again[row].suggestions == results[row].suggestions
        assert (again[row].kept is None) == (row != 3)
