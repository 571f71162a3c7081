"""Nights that find something broken: they go on, people get a sane answer, the log says why."""

from __future__ import annotations

import hashlib
import logging
from datetime import date
from pathlib import Path

import pytest

from eros_common.ids import parse_user_id
from eros_common.postgres import open_pool
from eros_matcher.features.model import VECTOR_FLOATS
from eros_matcher.store_cache import ValkeyLists
from eros_matcher.store_erasures import PostgresErasures
from eros_matcher.work import markets
from eros_matcher.work.helpers import HelperHangsError
from eros_matcher.worker.jobs import JobKind
from eros_matcher.worker.store_fence import StoreUnavailableError
from tests.integration.matcher.conftest import World
from tests.integration.matcher.test_nights import ids_of
from tests.integration.matcher.town import Nights

MORNING = date(2026, 3, 3)


def said(caplog: pytest.LogCaptureFixture, logger: str, event: str) -> list[logging.LogRecord]:
    return [r for r in caplog.records if r.name == logger and r.msg == event]


async def test_who_is_deleted_in_mid_batch_is_on_no_list(world: World) -> None:
    people = world.friends(30)
    work = await world.work_of(learn_every_nights=7, keep_from_people=0)
    nights = Nights(world.pool, work, world.clock)
    await nights.run(JobKind.ANALYZE, people, MORNING)
    results = await nights.compute(JobKind.MATCH, people, MORNING)
    gone = people[1]
    erasures = PostgresErasures(world.pool, ValkeyLists(world.cache))

    await world.admin.execute("SELECT matcher.forget($1)", [gone])
    del world.town.profiles[gone]
    assert await erasures.sweep() == 1
    # Their own row has no fence any more, so of them nothing is kept.
    rows = [row for row in results if row.lease.user_id != gone]
    assert len(rows) == 29
    await nights.keep(JobKind.MATCH, rows)

    named = "SELECT count(*) FROM matcher.matches WHERE other_id = $1"
    assert await world.pool.fetchval(named, gone)
    for user in people:
        if user != gone:
            daily, beyond = await world.daily(user), await world.beyond(user, 50)
            shown = ids_of([*daily.matches, *beyond.recommendations])
            assert len(shown) == 28
            assert gone not in shown
    # Of lists that were being made meanwhile they are taken out when those are surely stored.
    assert await erasures.sweep(again_seconds=0) == 1
    assert not await world.pool.fetchval(named, gone)
    for table in ("recommendations", "kept"):
        left = f"SELECT count(*) FROM matcher.{table} WHERE $1 = ANY (others)"  # noqa: S608
        assert not await world.pool.fetchval(left, gone)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        ("UPDATE matcher.models SET body = substr(body, 1, 90) WHERE version = 2", "digest"),
        (
            """
            UPDATE matcher.models SET body = substr(body, 1, 90),
                sha256 = sha256(substr(body, 1, 90)) WHERE version = 2
            """,
            "unreadable",
        ),
        ("UPDATE matcher.models SET kind = 'of-tomorrow' WHERE version = 2", "of-tomorrow"),
    ],
)
async def test_a_model_that_cannot_be_read_is_passed_over(
    world: World, caplog: pytest.LogCaptureFixture, damage: str, why: str
) -> None:
    people = world.friends(30)
    await world.nights.run(JobKind.ANALYZE, people, MORNING)
    # A second model, with everybody's vectors.
    await world.pool.execute(
        """
        INSERT INTO matcher.models
            (version, kind, body, sha256, seed, data_cutoff, created_at, published_at)
        SELECT 2, kind, body, sha256, seed, data_cutoff, created_at, published_at
        FROM matcher.models WHERE version = 1
        """
    )
    await world.pool.execute(
        """
        INSERT INTO matcher.vectors (model_version, user_id, vector, price)
        SELECT 2, user_id, vector, price FROM matcher.vectors
        """
    )
    await world.pool.execute(damage)

    work = await world.work_of()
    nights = Nights(world.pool, work, world.clock)
    await nights.whole(people, MORNING)

    (first, *_) = said(caplog, "matcher.models", "refused")
    assert first.levelno == logging.ERROR
    assert why in str(first.__dict__)
    versions = await world.pool.fetch("SELECT DISTINCT model_version FROM matcher.matches")
    assert [row[0] for row in versions] == [1]
    assert len((await world.daily(people[0])).matches) == 10


async def test_no_model_at_all_fails_the_batch_and_not_the_worker(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    people = world.friends(20)
    await world.nights.whole(people, MORNING)
    await world.pool.execute(
        "UPDATE matcher.models SET sha256 = $1", hashlib.sha256(b"nothing").digest()
    )
    # Whoever starts now publishes the one set by hand, and goes on with that.
    nights = Nights(world.pool, await world.work_of(), world.clock)
    assert said(caplog, "matcher.models", "refused")
    await nights.whole(people, date(2026, 3, 4))
    versions = await world.pool.fetch(
        "SELECT DISTINCT model_version FROM matcher.matches WHERE list_date = '2026-03-04'"
    )
    assert [row[0] for row in versions] == [2]


async def test_vectors_of_another_size_are_made_anew(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """As another version of the code would leave them."""
    people = world.friends(30)
    await world.nights.run(JobKind.ANALYZE, people, MORNING)
    await world.pool.execute(
        "UPDATE matcher.vectors SET vector = substr(vector, 1, $2) WHERE user_id = $1",
        *(people[0], 4 * VECTOR_FLOATS - 8),
    )

    await world.nights.run(JobKind.MATCH, people, MORNING)

    assert len((await world.daily(people[0])).matches) == 10
    (told,) = said(caplog, "matcher.source", "broken_vectors")
    assert str(people[0]) in str(told.__dict__)
    # To others they are nobody until they are analyzed again.
    shown = ids_of((await world.beyond(people[1], 50)).recommendations)
    assert people[0] not in shown
    assert len(shown) + len((await world.daily(people[1])).matches) == 28


async def test_a_market_file_that_was_cut_short_is_built_anew(
    world: World, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    people = world.friends(30)
    await world.nights.whole(people, MORNING)
    (file,) = tmp_path.glob("market.[0-9]*")
    whole = file.read_bytes()
    with file.open("r+b") as opened:
        opened.truncate(len(whole) // 2)

    nights = Nights(world.pool, await world.work_of(), world.clock)
    await nights.run(JobKind.MATCH, people, date(2026, 3, 4))

    assert said(caplog, "matcher.market", "not_whole")
    assert len(file.read_bytes()) == len(whole)
    assert len((await world.daily(people[0])).matches) == 10


async def test_everybody_filtered_out_is_said_to_the_person_and_in_the_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    people = world.friends(12)
    await world.nights.run(JobKind.ANALYZE, people, MORNING)
    await world.pool.executemany(
        "INSERT INTO matcher.hidden (user_id, other_id, reason, at) VALUES ($1, $2, 1, now())",
        [(people[0], other) for other in people[1:]],
    )
    with caplog.at_level(logging.INFO, logger="matcher.sink"):
        await world.nights.run(JobKind.MATCH, people, MORNING)
    (told,) = said(caplog, "matcher.sink", "nobody_fits")
    assert str(people[0]) in str(told.__dict__)
    answer = await world.daily(people[0])
    assert not answer.matches
    assert answer.message
    assert parse_user_id((await world.daily(people[1])).matches[0].user_id) in people


async def test_what_cannot_be_read_just_now_is_nobodys_failure(
    world: World, postgres_url: str
) -> None:
    people = world.friends(12)
    async with open_pool(postgres_url, app="matcher-test", role="eros_matcher") as pool:
        nights = Nights(pool, await world.work_of(pool=pool), world.clock)
        world.town.away = True
        with pytest.raises(StoreUnavailableError, match="Unavailable"):
            await nights.run(JobKind.ANALYZE, people, MORNING)
        world.town.away = False
        await nights.run(JobKind.ANALYZE, people, MORNING)
    with pytest.raises(StoreUnavailableError, match="InterfaceError"):
        await nights.run(JobKind.MATCH, people, MORNING)


async def test_a_market_build_that_hangs_holds_nobody_up_who_has_a_market(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = world.friends(30)
    await world.nights.run(JobKind.ANALYZE, people, MORNING)
    tries = []

    async def hangs(module: str, *_: str, **__: object) -> int:
        tries.append(module)
        raise HelperHangsError(f"{module} took longer than 300 s")

    with monkeypatch.context() as patched:
        patched.setattr(markets, "run_helper", hangs)
        with pytest.raises(StoreUnavailableError, match="took longer"):
            await world.nights.run(JobKind.MATCH, people, MORNING)
    await world.nights.run(JobKind.MATCH, people, MORNING)

    more = world.friends(5, seed=2)
    await world.nights.run(JobKind.ANALYZE, more, MORNING)
    monkeypatch.setattr(markets, "run_helper", hangs)
    monkeypatch.setattr(markets, "_rested", lambda _: True)
    tries.clear()
    for _ in range(2):
        await world.nights.run(JobKind.MATCH, people, MORNING)
    assert tries == ["eros_matcher.market"]
    assert len((await world.daily(people[0])).matches) == 10
