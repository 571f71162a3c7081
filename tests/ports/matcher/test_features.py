from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

import asyncpg
import pytest

from eros.accounts.v1 import profile_pb2
from eros_common.ids import UserId
from eros_matcher.domain.people import fit
from eros_matcher.features.analysis import analyze
from eros_matcher.features.model import FIRST_VERSION
from eros_matcher.features.record import Record
from eros_matcher.market import columns
from eros_matcher.market.__main__ import build
from eros_matcher.market.files import MarketFiles, MarketStamp
from eros_matcher.market.freshness import is_stale
from eros_matcher.market.market import HISTORY, Market
from eros_matcher.store_features import PostgresFeatures, leave_market, save_records
from eros_matcher.store_models import NoModelError, PostgresModels
from tests.ports.matcher.lists import NOW, TODAY, a_list, person
from tests.ports.matcher.test_lists import write
from tests.unit.matcher.crowd import MODEL, YEAR, a_crowd, a_market, a_profile

ME, YOU, THEM, FOURTH, FIFTH = map(person, (1, 2, 3, 4, 5))


@pytest.fixture
async def features(pool: asyncpg.Pool) -> PostgresFeatures:
    await PostgresModels(pool).ensure_first(NOW)
    return PostgresFeatures(pool)


async def save(pool: asyncpg.Pool, people: list[Record]) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await save_records(connection, people, FIRST_VERSION, NOW)


async def _written(pool: asyncpg.Pool) -> dict[UserId, int]:
    rows = await pool.fetch("SELECT user_id, written FROM matcher.features")
    return {row["user_id"]: row["written"] for row in rows}


async def test_records_come_back_as_they_were(
    pool: asyncpg.Pool, features: PostgresFeatures
) -> None:
    people = a_crowd(40)
    out = analyze(a_profile(Random(1), gender=None), MODEL, YEAR)
    assert out.filters is None
    await save(pool, [*people, out])

    users = [record.user_id for record in people]
    found = await features.records([*users, out.user_id, ME], FIRST_VERSION)

    assert found == {record.user_id: record for record in [*people, out]}
    # Without a vector of that model there is nothing to compute with; who is out needs none.
    assert set(await features.records([*users, out.user_id], FIRST_VERSION + 1)) == {out.user_id}


@pytest.mark.usefixtures("features")
async def test_only_what_changed_is_written_anew(pool: asyncpg.Pool) -> None:
    people = a_crowd(3)
    await save(pool, people)
    before = await _written(pool)
    moved = replace(people[0], zone="Asia/Tokyo")
    other_vector = replace(people[1], vector=people[0].vector)

    await save(pool, [moved, other_vector, people[2]])

    after = await _written(pool)
    changed = {user for user in before if before[user] != after[user]}
    assert changed == {people[0].user_id, people[1].user_id}


async def test_who_must_not_come_and_who_not_again(
    pool: asyncpg.Pool, features: PostgresFeatures
) -> None:
    await pool.execute("INSERT INTO matcher.hidden VALUES ($1, $2, 1, $3)", ME, YOU, NOW)
    # I like one; another skipped me; a third likes me, which is no reason to leave them out.
    await pool.execute(
        "INSERT INTO matcher.decisions VALUES ($1, $2, 1, $5), ($3, $1, 2, $5), ($4, $1, 1, $5)",
        *(ME, THEM, FOURTH, FIFTH, NOW),
    )
    for days, others in (
        (31, [YOU]),
        (30, [FIFTH]),
        (2, [THEM, FOURTH]),
        (1, [FOURTH]),
        (0, [YOU]),
    ):
        await write(pool, daily=[a_list(ME, others, day=TODAY - timedelta(days=days))])

    seen = (await features.seen({ME: TODAY, YOU: TODAY}))[ME]

    ids = {seen.excluded[at : at + 16] for at in range(0, len(seen.excluded), 16)}
    assert ids == {YOU.bytes, THEM.bytes, FOURTH.bytes}
    assert len(seen.excluded) == 48
    assert seen.shown == FIFTH.bytes + THEM.bytes + FOURTH.bytes


async def test_people_near_are_found_without_the_whole_market(
    pool: asyncpg.Pool, features: PostgresFeatures
) -> None:
    people = a_crowd(600)
    await save(pool, people)

    for seeker in people[:40]:
        assert seeker.filters is not None
        near = await features.near(seeker.filters, FIRST_VERSION, YEAR, 1000)
        fitting = {
            other.user_id
            for other in people
            if other.filters is not None and fit(seeker.filters, other.filters, YEAR)
        }
        assert fitting <= {record.user_id for record in near}
        assert len(near) < 300


@pytest.mark.parametrize("lon", [179.95, -179.95])
async def test_people_across_the_date_line_are_near(
    pool: asyncpg.Pool, features: PostgresFeatures, lon: float
) -> None:
    def at(lon: float) -> Record:
        location = profile_pb2.Location(lat=-17.0, lon=lon)
        preferences = profile_pb2.Preferences(genders=["female"], max_distance_km=50)
        return analyze(
            a_profile(Random(lon), gender="female", location=location, preferences=preferences),
            MODEL,
            YEAR,
        )

    here, there = at(lon), at(-lon)
    await save(pool, [there])

    assert here.filters is not None
    assert await features.near(here.filters, FIRST_VERSION, YEAR, 10) == [there]


@pytest.mark.usefixtures("features")
async def test_a_market_file_is_what_the_tables_hold(
    pool: asyncpg.Pool, postgres_url: str, tmp_path: Path
) -> None:
    people = a_crowd(700)
    await save(pool, people)

    stamp = await build(tmp_path, FIRST_VERSION, YEAR, postgres_url)

    arrays, meta = columns.read(memoryview((tmp_path / stamp.file).read_bytes()))
    market, expected = Market.of(arrays), a_market(people).arrays()
    since = meta.pop("since")
    assert meta == {"model_version": FIRST_VERSION, "year": YEAR}
    # All was written before the file was made; what comes now is news.
    assert len(market.changed_since(1)) == 700
    assert not len(market.changed_since(since))
    for history in HISTORY:
        del arrays[history], expected[history]
    assert columns.digest(arrays) == columns.digest(expected) == stamp.version
    assert market.people == stamp.people == 700


@pytest.mark.usefixtures("features")
async def test_a_file_is_stale_once_anybody_changed_and_only_then(
    pool: asyncpg.Pool, postgres_url: str, tmp_path: Path
) -> None:
    people = a_crowd(50)
    await save(pool, people)

    async def built() -> MarketStamp:
        return await build(tmp_path, FIRST_VERSION, YEAR, postgres_url)

    first = await built()
    assert not await is_stale(pool, first)
    await save(pool, people)
    assert not await is_stale(pool, first)
    assert await built() == first

    # A transaction that was under way while the file was built, and wrote before it.
    async with pool.acquire() as connection, connection.transaction():
        await save_records(connection, [replace(people[0], zone="UTC")], FIRST_VERSION, NOW)
        await save(pool, [replace(people[1], zone="UTC")])
        second = await built()
        assert not await is_stale(pool, second)
    assert await is_stale(pool, second)
    # A zone is no column of the market: other rows, the same content.
    third = await built()
    assert third.version == first.version

    async with pool.acquire() as connection:
        await leave_market(connection, [people[0].user_id], NOW)
    assert await is_stale(pool, third)
    fourth = await built()
    assert fourth.people == 49
    kept = {path.name for path in tmp_path.glob("market.1.*")}
    assert kept == {third.file, fourth.file}


@pytest.mark.usefixtures("features")
async def test_only_the_newest_files_are_kept(
    pool: asyncpg.Pool, postgres_url: str, tmp_path: Path
) -> None:
    people = a_crowd(8)
    (tmp_path / ".market.1.torn.99").write_bytes(b"half")
    stamps = []
    for count in (2, 4, 6, 8):
        await save(pool, people[:count])
        stamps.append(await build(tmp_path, FIRST_VERSION, YEAR, postgres_url))

    assert {p.name for p in tmp_path.glob("market.1.*")} == {s.file for s in stamps[2:]}
    assert not list(tmp_path.glob(".market*"))
    files = MarketFiles(tmp_path)
    assert files.current(FIRST_VERSION, YEAR) == stamps[-1]
    assert files.current(FIRST_VERSION, YEAR + 1) is None
    assert files.current(FIRST_VERSION + 1, YEAR) is None


@pytest.mark.usefixtures("features")
async def test_a_model_that_was_cut_short_is_passed_over(pool: asyncpg.Pool) -> None:
    models = PostgresModels(pool)
    await models.ensure_first(NOW)
    assert (await models.current()).model == MODEL
    await pool.execute(
        """
        INSERT INTO matcher.models
        SELECT 2, kind, substr(body, 1, 100), sha256, seed, data_cutoff, created_at, published_at
        FROM matcher.models WHERE version = 1
        """
    )
    await pool.execute(
        """
        INSERT INTO matcher.models
        SELECT 3, kind, body, sha256, seed, data_cutoff, created_at, NULL
        FROM matcher.models WHERE version = 1
        """
    )

    assert (await PostgresModels(pool).current()).version == 1

    await pool.execute("UPDATE matcher.models SET kind = 'of another kind' WHERE version = 1")
    with pytest.raises(NoModelError):
        await PostgresModels(pool).current()
