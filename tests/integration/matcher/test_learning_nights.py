"""A night learns from what people did, and the next one matches by it: the helpers as they ship."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from uuid import UUID, uuid4

import numpy as np
import pytest

from eros_common.ids import UserId
from eros_common.postgres import open_pool
from eros_matcher.learning import gather
from eros_matcher.store_features import PostgresFeatures
from eros_matcher.store_models import PostgresModels
from eros_matcher.worker.jobs import JobKind
from eros_matcher.worker.store_fence import StoreUnavailableError
from tests.integration.matcher.conftest import World
from tests.integration.matcher.town import Nights

MORNING = date(2026, 3, 3)
NEXT = date(2026, 3, 4)
LEARNER = UserId(UUID(int=0))


async def test_what_people_did_changes_the_next_night(world: World) -> None:
    people = world.friends(60)
    await world.nights.whole(people, MORNING)
    random = Random(2)
    liked = set(people[::4])
    rows = [
        (user, other, uuid4(), 1 if random.random() < (0.9 if other in liked else 0.1) else 2)
        for user in people
        for other in random.sample(people, 12)
        if other != user
    ]
    await world.pool.executemany(
        """
        INSERT INTO matcher.actions (user_id, other_id, match_id, action, at)
        VALUES ($1, $2, $3, $4, now())
        """,
        rows,
    )

    await world.nights.run(JobKind.LEARN, [LEARNER], MORNING)

    model = await PostgresModels(world.pool).current()
    assert model.version == 2
    records = await PostgresFeatures(world.pool).records(people, 2)
    popular = {
        user: float(np.frombuffer(record.vector, dtype="<f4")[-1])
        for user, record in records.items()
    }
    others = set(people) - liked
    assert np.mean([popular[u] for u in liked]) > np.mean([popular[u] for u in others]) + 1

    # A changed profile keeps what was learned of the person.
    await world.nights.run(JobKind.ANALYZE, people, NEXT)
    again = await PostgresFeatures(world.pool).records(people, 2)
    assert {u: r.vector for u, r in again.items()} == {u: r.vector for u, r in records.items()}
    world.at("2026-03-04T05:30:00")
    await world.nights.run(JobKind.MATCH, people, NEXT)
    found = await world.pool.fetch(
        "SELECT DISTINCT model_version FROM matcher.matches WHERE list_date = $1", NEXT
    )
    assert [row[0] for row in found] == [2]

    # With nothing new said, the next learning goes on from this model.
    await world.nights.run(JobKind.LEARN, [LEARNER], MORNING + timedelta(days=1))
    assert (await PostgresModels(world.pool).current()).version == 3


async def test_a_model_is_told_of_when_it_is_kept(world: World) -> None:
    people = world.friends(20)
    await world.nights.whole(people, MORNING)
    told: list[int] = []
    work = await world.work_of(learned=lambda version, *_: told.append(version))
    nights = Nights(world.pool, work, world.clock)
    rows = await nights.compute(JobKind.LEARN, [LEARNER], MORNING)
    async with world.pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await work.sink.write(connection, JobKind.LEARN, rows)
        await transaction.rollback()
    assert told == []

    await nights.keep(JobKind.LEARN, rows)
    assert told == [2]


async def test_the_next_turn_on_another_host_learns_from_the_same(
    world: World, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it begins later, with more decisions; and reading may take longer than a statement."""
    people = world.friends(20)
    await world.nights.whole(people, MORNING)
    insert = """
        INSERT INTO matcher.actions (user_id, other_id, match_id, action, at)
        VALUES ($1, $2, gen_random_uuid(), 1, now())
        """
    pairs = [(a, b) for a in people[:5] for b in people[5:10]]
    await world.pool.executemany(insert, pairs)
    slow = "SELECT 1 FROM pg_sleep(1.1)"
    actions = gather._ACTIONS.replace("WHERE at", f"WHERE EXISTS ({slow}) AND at")
    monkeypatch.setattr(gather, "_ACTIONS", actions)
    model = await PostgresModels(world.pool).current()
    async with open_pool(
        postgres_url, app="t", role="eros_matcher", statement_timeout_seconds=1.0
    ) as pool:
        found = []
        for host in ("one", "two"):
            cutoff = await gather.cutoff_of(pool, "night", datetime.now(UTC))
            found.append(await gather.gather(pool, tmp_path / host, 1, model.model, 2026, cutoff))
            await world.pool.executemany(insert, [(b, a) for a, b in pairs])
    assert found[0] == found[1]
    assert found[0]["observations"] == len(pairs)


async def test_a_night_is_learned_where_it_began_while_it_has_turns_there(
    world: World, tmp_path: Path
) -> None:
    """Each host reads profiles as they are: on another one it would begin anew, at each turn."""
    people = world.friends(20)
    await world.nights.whole(people, MORNING)
    hosts = [tmp_path / name for name in ("one", "two")]
    here, there = [(await world.work_of(data_dir=host)).source for host in hosts]
    batch = world.nights.batch(JobKind.LEARN, [LEARNER], MORNING)
    begun = await here.prepare(batch)
    await world.pool.execute(
        "UPDATE matcher.features SET birth_year = birth_year - 3 WHERE user_id = $1", people[0]
    )

    with pytest.raises(StoreUnavailableError, match="another host"):
        await there.prepare(batch)
    # Reading all of it is minutes of work where there are a million people.
    assert not list(hosts[1].glob("learn.*"))
    assert (await here.prepare(batch)).spec == begun.spec

    await world.admin.execute("UPDATE matcher.learnings SET turn_at = turn_at - interval '1 hour'")
    taken = await there.prepare(batch)
    assert taken.spec is not None
    assert begun.spec is not None
    assert taken.spec.row_versions != begun.spec.row_versions
    with pytest.raises(StoreUnavailableError, match="another host"):
        await here.prepare(batch)
