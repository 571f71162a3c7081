"""Batches' results: features, daily lists, recommendations; and the cache filled with them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, assert_never

import asyncpg

from eros_common import logging, postgres
from eros_common.clocks import Clock
from eros_common.errors import ErosError
from eros_common.ids import UserId
from eros_common.redis import Valkey
from eros_common.tasks import Breather
from eros_matcher.domain.lists import MatchList, Source
from eros_matcher.features.record import Record
from eros_matcher.filling import CacheFiller
from eros_matcher.ports import Cards, CurrentLists
from eros_matcher.programs.payload import (
    Found,
    LearnedModel,
    unpack_analyzed,
    unpack_found,
    unpack_learned,
)
from eros_matcher.store_features import leave_market, save_records
from eros_matcher.store_kept import save_kept
from eros_matcher.store_lists import PostgresLists, forget_older, write_beyond, write_daily
from eros_matcher.store_locks import lock_alone
from eros_matcher.store_models import save_learned
from eros_matcher.work.advising import keep
from eros_matcher.work.learning import HostLearning
from eros_matcher.worker.jobs import JobKind, RowResult

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

log = logging.get("matcher.sink")


@dataclass(frozen=True, slots=True)
class MatcherSink:
    """See `eros_matcher.worker.ports.ResultSink`."""

    lists: PostgresLists
    cards: Cards
    filler: CacheFiller
    cache: Valkey
    clock: Clock
    learning: HostLearning
    matches_a_day: int
    lists_days: int
    learned: Callable[[int, LearnedModel, datetime], None]
    """Told of a model that was stored, and when."""
    _written: dict[UserId, tuple[int, LearnedModel, datetime]] = field(default_factory=dict)
    """Models whose transaction is not known to be committed, by whose row they were."""

    async def write(
        self, connection: PoolConnectionProxy, kind: JobKind, rows: Sequence[RowResult]
    ) -> None:
        """Within the caller's transaction, which holds the jobs' fences."""
        match kind:
            case JobKind.ANALYZE:
                await self._write_records(connection, rows)
            case JobKind.SCORE:
                made = await self._made(rows)
                await lock_alone(connection, [row.lease.user_id for row, _ in made])
                await write_beyond(connection, [self._list(Source.SCORE, *one) for one in made])
            case JobKind.MATCH:
                made = await self._made(rows)
                await lock_alone(connection, [row.lease.user_id for row, _ in made])
                await self._write_matches(connection, made)
            case JobKind.PREPARE:
                # Nothing that could not be made again in a millisecond: it goes to the cache only.
                return
            case JobKind.LEARN:
                await self._write_model(connection, rows)
            case _:
                assert_never(kind)

    async def committed(self, kind: JobKind, rows: Sequence[RowResult]) -> None:
        """Fill the cache; what cannot be filled is read from the database in the morning."""
        users = [row.lease.user_id for row in rows if row.result is not None]
        if kind is JobKind.LEARN:
            for row in rows:
                if row.result is not None:
                    self._tell(*self._written.pop(row.lease.user_id), len(row.result))
            if users:
                await self.learning.publish(self.clock.night().year)
            return
        if kind is JobKind.ANALYZE or not users:
            return
        if kind is JobKind.PREPARE:
            made = [(row.lease.user_id, row.result) for row in rows if row.result is not None]
            await keep(self.cache, made)
            return
        try:
            await self._fill(kind, users, rows)
        except (ErosError, asyncpg.PostgresError, *postgres.AWAY) as error:
            log.warning("cache_not_filled", people=len(users), error=repr(error))

    async def _write_records(
        self, connection: PoolConnectionProxy, rows: Sequence[RowResult]
    ) -> None:
        at = self.clock.wall()
        by_version: dict[int, list[Record]] = {}
        for row in rows:
            if row.result is not None:
                version, record = unpack_analyzed(row.result)
                by_version.setdefault(version, []).append(record)
        for version, records in by_version.items():
            await save_records(connection, records, version, at)
        gone = [row.lease.user_id for row in rows if row.result is None]
        if gone:
            log.info("accounts_gone", people=len(gone))
            await leave_market(connection, gone, at)

    async def _write_model(
        self, connection: PoolConnectionProxy, rows: Sequence[RowResult]
    ) -> None:
        for row in rows:
            if row.result is not None:
                learned = await asyncio.to_thread(unpack_learned, row.result)
                at = self.clock.wall()
                version = await save_learned(connection, learned, at)
                self._written[row.lease.user_id] = (version, learned, at)

    def _tell(self, version: int, model: LearnedModel, at: datetime, size: int) -> None:
        self.learned(version, model, at)
        log.info(
            "learned",
            version=version,
            bytes=size,
            loss=model.loss,
            auc=model.auc,
            blocks=model.blocks,
            markets=model.markets,
            imbalance=round(model.imbalance, 5),
        )

    async def _made(self, rows: Sequence[RowResult]) -> list[tuple[RowResult, Found]]:
        made: list[tuple[RowResult, Found]] = []
        breather = Breather()
        for row in rows:
            if row.result is not None:
                made.append((row, unpack_found(row.result)))
                await breather.breathe()
        empty = [row.lease.user_id for row, found in made if not found.suggestions]
        if empty:
            log.info("nobody_fits", people=len(empty), first=str(empty[0]))
        return made

    async def _write_matches(
        self, connection: PoolConnectionProxy, made: Sequence[tuple[RowResult, Found]]
    ) -> None:
        daily: list[MatchList] = []
        beyond: list[MatchList] = []
        for row, found in made:
            whole = self._list(Source.MATCH, row, found)
            daily.append(replace(whole, suggestions=found.suggestions[: self.matches_a_day]))
            beyond.append(replace(whole, suggestions=found.suggestions[self.matches_a_day :]))
        kept = [
            (row.lease.user_id, found.model_version, found.kept)
            for row, found in made
            if found.kept is not None
        ]
        if kept:
            await save_kept(connection, kept)
        await write_daily(connection, daily)
        await forget_older(connection, daily, self.lists_days)
        await write_beyond(connection, beyond)

    def _list(self, source: Source, row: RowResult, found: Found) -> MatchList:
        return MatchList(
            user_id=row.lease.user_id,
            list_date=row.lease.list_date,
            source=source,
            suggestions=found.suggestions,
            model_version=found.model_version,
            market_version=found.market_version,
            created_at=self.clock.wall(),
        )

    async def _fill(
        self, kind: JobKind, users: Sequence[UserId], rows: Sequence[RowResult]
    ) -> None:
        dates = {row.lease.user_id: row.lease.list_date for row in rows}
        known = await self.lists.current(users, min(dates.values()))
        if kind is JobKind.SCORE:
            known = {user: CurrentLists(beyond=lists.beyond) for user, lists in known.items()}
        people = {
            suggestion.other_id
            for lists in known.values()
            for matches in (lists.daily, lists.beyond)
            if matches is not None
            for suggestion in matches.suggestions
        }
        cards = await self.cards.of(people.union(users))
        await self.filler.fill(known, cards, dates, self.clock.night().year)
