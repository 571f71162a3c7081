"""Claims, on connections of their own (ADR 0303)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Final

import asyncpg
from pydantic import SecretStr

from eros_common import logging, postgres
from eros_common.ids import WorkerId
from eros_scheduler import sql_claims
from eros_scheduler.core.instructions import Attempt
from eros_scheduler.core.model import RULES, JobKind, Zone
from eros_scheduler.ports import LeasedRows, StoreUnavailableError
from eros_scheduler.store_postgres_rows import leased, unavailable

log = logging.get("scheduler.claims")

CLAIM_SECONDS: Final = 0.25
"""For so long a claim may hold the rows that it has found so far."""
CLAIM_ROUNDS: Final = 8
"""A claim that met blocked rows, which are set aside then, looks again at most so often."""


def claims_pool(
    url: SecretStr | str, *, app: str, size: int
) -> AbstractAsyncContextManager[asyncpg.Pool]:
    """Connections for claims alone: given up soon; planned once, as planning one costs as much as
    an empty one; not waited for until they are on disk: a lease that the server forgets when it
    dies is one more that ended early."""
    return postgres.open_pool(
        url,
        role="eros_scheduler",
        app=app,
        size=size,
        statement_timeout_seconds=CLAIM_SECONDS,
        leaves_nothing=True,
        plans_once=True,
        waits_for_disk=False,
    )


class PostgresClaims:
    """`JobStore.claim`. `claims`: see `claims_pool`; `pool`: for what takes longer."""

    def __init__(self, pool: asyncpg.Pool, claims: asyncpg.Pool) -> None:
        self._pool = pool
        self._claims = claims

    async def claim(
        self, attempt: Attempt, *, owner: WorkerId, night: datetime, lease_seconds: float
    ) -> LeasedRows:
        found: list[asyncpg.Record] = []
        for _ in range(CLAIM_ROUNDS):
            try:
                with unavailable():
                    *rows, last = await self._claim(
                        attempt.kind,
                        attempt.zones,
                        night,
                        attempt.limit - len(found),
                        owner,
                        lease_seconds,
                    )
                    found += rows
                    if last["behind"]:
                        await self._claims.execute(sql_claims.BEHIND, attempt.kind, last["behind"])
            except StoreUnavailableError:
                if found:
                    break  # what is leased is leased
                raise
            if not last["aside"] or len(found) == attempt.limit:
                break
        return leased(found)

    async def _claim(
        self, kind: JobKind, zones: Sequence[Zone], *others: object
    ) -> list[asyncpg.Record]:
        """A claim that takes long walks over what is dead, with the rows locked that it has found
        so far, and their people may wake: it is given up, and tried again after walking alone."""
        try:
            return await self._claims.fetch(sql_claims.CLAIM, kind, zones, *others)
        except asyncpg.QueryCanceledError:
            await self._pool.execute(sql_claims.SWEEP, kind, zones)
        return await self._pool.fetch(sql_claims.CLAIM, kind, zones, *others)

    async def sweep(self) -> None:
        """Walk over what a change of very many rows has left dead in the way of claims, which go on
        where it is cut off or cannot be done: that is no fault of what changed the rows."""
        try:
            with unavailable():
                zones = await self._pool.fetchval(sql_claims.ALL_ZONES)
                for kind in RULES:
                    try:
                        await self._pool.execute(sql_claims.SWEEP, kind, zones)
                    except asyncpg.QueryCanceledError:
                        log.info("sweep_cut_off", kind=kind.name)
        except StoreUnavailableError as error:
            log.warning("not_swept", error=str(error))
