"""From what people did to a served model: real tables, the real program, the real helpers."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from uuid import uuid4

import asyncpg
import numpy as np
import pytest

from eros_matcher.compute.program import BatchInput, CheckpointRejectedError, RowError
from eros_matcher.features import model as models
from eros_matcher.features.record import Record
from eros_matcher.learning.gather import gather
from eros_matcher.learning.publish import publish_waiting
from eros_matcher.market import columns
from eros_matcher.programs import payload
from eros_matcher.programs.learn import LearnProgram, result_bytes, snapshot_bytes
from eros_matcher.store_features import PostgresFeatures, save_records
from eros_matcher.store_models import PostgresModels, save_learned
from tests.unit.matcher.crowd import YEAR, a_crowd

NOW = datetime(2026, 5, 1, 4, tzinfo=UTC)


async def a_town(pool: asyncpg.Pool, count: int = 60, each: int = 15) -> list[Record]:
    """People, a first model, and what they thought of each other: some are liked by nearly all."""
    await PostgresModels(pool).ensure_first(NOW)
    people = a_crowd(count)
    async with pool.acquire() as connection, connection.transaction():
        await save_records(connection, people, models.FIRST_VERSION, NOW)
    random = Random(7)
    rows = []
    for number, person in enumerate(people):
        for other in random.sample(range(count), each):
            if other != number:
                likes = random.random() < (0.8 if other % 4 == 0 else 0.2)
                action = 1 if likes else random.choice((2, 2, 2, 3, 4))
                at = NOW - timedelta(days=random.randint(1, 60))
                rows.append((person.user_id, people[other].user_id, uuid4(), action, at))
    await pool.executemany(
        """
        INSERT INTO matcher.actions (user_id, other_id, match_id, action, at)
        VALUES ($1, $2, $3, $4, $5)
        """,
        rows,
    )
    return people


async def gathered(pool: asyncpg.Pool, path: Path) -> dict[str, object]:
    model = await PostgresModels(pool).current()
    return await gather(pool, path, model.version, model.model, YEAR, NOW)


def a_program(path: Path, body: str) -> LearnProgram:
    header = {"model": body, "seed": 3, "strength": 1.0}
    packed = payload.pack(header, [()])
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    return LearnProgram(BatchInput(1, memoryview(packed), (memoryview(mapped),)))


def finish(program: LearnProgram, units: int = 50) -> bytes:
    while not program.chunk([0], units).finished:
        pass
    return program.result(0)


async def learn(pool: asyncpg.Pool, path: Path) -> bytes:
    """One night's learning, up to the row that is not yet published."""
    await gathered(pool, path)
    program = a_program(path, (await PostgresModels(pool).current()).body)
    program.load(0, None)
    data = finish(program)
    program.close()
    async with pool.acquire() as connection, connection.transaction():
        await save_learned(connection, payload.unpack_learned(data), NOW)
    return data


def popularity(record: Record) -> float:
    return float(np.frombuffer(record.vector, dtype="<f4")[-1])


async def test_a_night_of_learning_is_served(pool: asyncpg.Pool, tmp_path: Path) -> None:
    people = await a_town(pool)
    stored, features = PostgresModels(pool), PostgresFeatures(pool)
    data = await learn(pool, tmp_path / "learn.1")
    assert len(data) <= result_bytes(len(people))
    assert (await stored.current()).version == 1

    assert await publish_waiting(pool, YEAR) == [2]

    model = await stored.current()
    assert model.version == 2
    users = [person.user_id for person in people]
    records = await features.records(users, 2)
    assert set(records) == set(users)
    liked = [popularity(records[person.user_id]) for person in people[::4]]
    others = [popularity(records[p.user_id]) for n, p in enumerate(people) if n % 4]
    assert np.mean(liked) > np.mean(others) + 1
    prices = [records[person.user_id].price for person in people]
    assert min(prices) == 0 < max(prices) < 100
    assert np.mean(prices[::4]) > np.mean([p for n, p in enumerate(prices) if n % 4])
    leanings = await features.leanings(users, 2)
    assert {len(one) for one in leanings.values()} == {4 * models.LEANING_FLOATS}

    # The next night goes on from there, and only two versions stay.
    await learn(pool, tmp_path / "learn.2")
    assert await publish_waiting(pool, YEAR) == [3]
    assert await publish_waiting(pool, YEAR) == []
    kept = await pool.fetch("SELECT DISTINCT model_version FROM matcher.vectors ORDER BY 1")
    assert [row[0] for row in kept] == [2, 3]


async def test_the_last_word_of_each_pair_counts(pool: asyncpg.Pool, tmp_path: Path) -> None:
    await PostgresModels(pool).ensure_first(NOW)
    people = [person for person in a_crowd(6) if person.filters is not None]
    async with pool.acquire() as connection, connection.transaction():
        await save_records(connection, people, models.FIRST_VERSION, NOW)
    me, first, second, third = (person.user_id for person in people[:4])
    half_a_year = timedelta(days=180)
    said: Sequence[tuple[object, int, datetime]] = (
        (first, 1, NOW - half_a_year),
        (first, 3, NOW - timedelta(days=1)),
        (second, 1, NOW - timedelta(days=9)),
        (second, 2, NOW),
        (third, 3, NOW),
        (third, 1, NOW + timedelta(days=1)),
        (uuid4(), 1, NOW),
    )
    for other, action, at in said:
        await pool.execute(
            """
            INSERT INTO matcher.actions (user_id, other_id, match_id, action, at)
            VALUES ($1, $2, $3, $4, $5)
            """,
            *(me, other, uuid4(), action, at),
        )
    await gathered(pool, tmp_path / "learn")
    arrays, _ = columns.read(memoryview((tmp_path / "learn").read_bytes()))
    found = sorted(zip(arrays["liked"].tolist(), arrays["weight"].tolist(), strict=True))
    # A view alone, a skip after a like, a like of half a year ago; nobody unknown, nothing later.
    assert found == [(0.0, 0.25), (0.0, 1.0), (1.0, 0.5)]


async def test_halted_anywhere_it_comes_to_the_same_bits(
    pool: asyncpg.Pool, tmp_path: Path
) -> None:
    await a_town(pool, 40, 15)
    meta = await gathered(pool, tmp_path / "learn")
    body = (await PostgresModels(pool).current()).body
    whole = a_program(tmp_path / "learn", body)
    whole.load(0, None)
    expected = finish(whole, 1)

    state, steps = None, 0
    while True:
        part = a_program(tmp_path / "learn", body)
        part.load(0, state)
        steps += 1
        # Turns of 400 steps, until one ends with the prices that are not kept.
        if part.chunk([0], 400).finished:
            assert part.result(0) == expected
            break
        state = part.snapshot(0)
        assert len(state) <= snapshot_bytes(int(meta["people"]), int(meta["observations"]))  # type: ignore[call-overload]
    assert steps > 2


async def test_a_state_of_others_or_cut_short_is_begun_anew(
    pool: asyncpg.Pool, tmp_path: Path
) -> None:
    await a_town(pool, 30, 5)
    await gathered(pool, tmp_path / "learn")
    program = a_program(tmp_path / "learn", (await PostgresModels(pool).current()).body)
    program.load(0, None)
    program.chunk([0], 3)
    state = program.snapshot(0)
    for broken in (b"", state[: len(state) // 2], b"x" * 100, state[:8] + b"\xff" * 8):
        with pytest.raises(CheckpointRejectedError):
            program.load(0, broken)
    (tmp_path / "cut").write_bytes((tmp_path / "learn").read_bytes()[:5000])
    with pytest.raises(RowError):
        a_program(tmp_path / "cut", models.encode(models.by_hand()).decode()).load(0, None)


async def test_an_empty_market_learns_nothing_and_hurts_nobody(
    pool: asyncpg.Pool, tmp_path: Path
) -> None:
    await PostgresModels(pool).ensure_first(NOW)
    await learn(pool, tmp_path / "learn.1")
    assert await publish_waiting(pool, YEAR) == [2]
    served = await PostgresModels(pool).current()
    assert served.version == 2
    # Nobody said anything: what was set by hand stays.
    assert served.model.interest_weight == models.by_hand().interest_weight
    assert served.model.selects == models.by_hand().selects


async def test_a_model_that_was_cut_short_is_never_served(
    pool: asyncpg.Pool, tmp_path: Path
) -> None:
    await a_town(pool, 30, 5)
    await learn(pool, tmp_path / "learn.1")
    await pool.execute(
        "UPDATE matcher.models SET people = substr(people, 1, 900) WHERE version = 2"
    )
    assert await publish_waiting(pool, YEAR) == []
    assert (await PostgresModels(pool).current()).version == 1

    await learn(pool, tmp_path / "learn.2")
    await pool.execute("UPDATE matcher.models SET body = substr(body, 1, 90) WHERE version = 3")
    assert await publish_waiting(pool, YEAR) == []
    # Of a kind that another version of the code reads.
    await pool.execute(
        """
        INSERT INTO matcher.models
            (version, kind, body, sha256, seed, data_cutoff, created_at, published_at)
        VALUES (9, 'of-tomorrow', 'x', $1, 1, $2, $2, $2)
        """,
        *(hashlib.sha256(b"x").digest(), NOW),
    )
    assert (await PostgresModels(pool).current()).version == 1
