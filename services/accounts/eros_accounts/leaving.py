"""Taking one's data along, and leaving for good."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from eros_accounts.domain.sessions import Lifetimes
from eros_accounts.ports import LeavingStore, TraceStore
from eros_accounts.signin import SignIn
from eros_common import logging, telemetry
from eros_common.clocks import Clock
from eros_common.errors import ErosError, NotFound
from eros_common.ids import UserId
from eros_common.shielded import Shield

AGAIN: Final = timedelta(seconds=60)
"""How long after one sweep of a person's traces the next follows."""
SETTLED: Final = timedelta(seconds=300)
"""Beyond the sessions' last tokens: what was under way when somebody left is over by then."""
_GONE: Final = "there is no such account"

log = logging.get("accounts.leaving")


class Leaving:
    """The use cases."""

    def __init__(
        self,
        store: LeavingStore,
        traces: TraceStore,
        sign_in: SignIn,
        clock: Clock,
        shield: Shield,
        lifetimes: Lifetimes,
    ) -> None:
        self._store = store
        self._traces = traces
        self._sign_in = sign_in
        self._clock = clock
        self._shield = shield
        self._kept = lifetimes.refused(is_admin=False) + SETTLED
        self._kept_of_admins = lifetimes.refused(is_admin=True) + SETTLED
        self._deleted = telemetry.meter().create_counter(
            "eros.accounts.deleted", unit="{account}", description="Accounts that were deleted"
        )

    async def delete(self, user_id: UserId) -> None:
        """Everything the stores hold is gone when this returns; sessions have ended everywhere,
        and caches are empty, unless Valkey or activity is away: then as soon as they are back.
        ``NotFound``, and ``Unavailable`` where nothing was deleted."""
        await self._shield.run(self._delete(user_id))

    async def export(self, user_id: UserId, authorization: str) -> dict[str, Any]:
        """Everything, by part. ``NotFound``; ``Unavailable`` where a part cannot be asked, because
        half an export looks like a whole one."""
        data = await self._store.export(user_id)
        if data.get("accounts", {}).get("account") is None:
            raise NotFound(_GONE)
        return {**data, "activity": await self._traces.activity(authorization)}

    async def sweep(self) -> None:
        """Removes traces of those who left, once more where that is due."""
        now = self._clock.wall()
        for user_id in await self._store.unswept(now - AGAIN):
            await self._remove_traces(user_id)
        await self._store.forget(now - self._kept, now - self._kept_of_admins)

    async def _delete(self, user_id: UserId) -> None:
        ended = await self._store.delete(user_id, self._clock.wall())
        if ended is None:
            raise NotFound(_GONE)
        self._deleted.add(1)
        log.info("deleted", sessions=len(ended))
        for session in ended:
            await self._sign_in.announce_or_owe(session)
        await self._remove_traces(user_id)

    async def _remove_traces(self, user_id: UserId) -> None:
        try:
            await self._traces.remove(user_id)
            await self._store.swept(user_id, self._clock.wall())
        except ErosError as error:
            # The row stays: the next sweep finds it.
            log.warning("traces_remain", error=error.message)
