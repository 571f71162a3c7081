"""Who was last seen when, in memory: what the Valkey functions do, said once in Python. Pure.

The simulator runs on it, and the port tests hold both to the same behaviour.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable

from eros_activity.domain.people import (
    Counts,
    Interaction,
    Rules,
    Seen,
    Transition,
    TransitionKind,
    UserKey,
)
from eros_activity.domain.places import LAST_KEY, Place, everybody_until


class Ledger:
    """People in the order of last-seen, the sweep's mark, and open sessions."""

    def __init__(self, rules: Rules, now: float) -> None:
        self._rules = rules
        self._order: list[Place] = []
        self._last_seen: dict[UserKey, float] = {}
        self._sessions: dict[UserKey, float] = {}
        self.watched_since = now
        self._sleep_mark, self._session_mark = self._marks(now)

    def touch(self, batch: Iterable[Interaction]) -> list[Transition]:
        """Signs of life, oldest effects first; returns who woke and who is announced asleep."""
        transitions: list[Transition] = []
        for touch in batch:
            before = self._last_seen.get(touch.user)
            if before is not None and touch.at <= before:
                continue
            self._note_session(touch, before)
            self._move(touch.user, before, touch.at)
            slept = before is not None and (before, touch.user) <= self._sleep_mark
            if (touch.at, touch.user) <= self._sleep_mark:
                kind = TransitionKind.ASLEEP
                transitions.append(Transition(touch.user, kind, touch.at))
            elif slept:
                kind = TransitionKind.WOKE
                transitions.append(Transition(touch.user, kind, touch.at, touch.wall, touch.trace))
        return transitions

    def sweep(self, now: float) -> list[Transition]:
        """Moves the marks; returns who fell asleep."""
        ended, self._session_mark = self._cross(self._session_mark, now - self._rules.session_end)
        for _, user in ended:
            self._sessions.pop(user, None)
        asleep, self._sleep_mark = self._cross(self._sleep_mark, now - self._rules.idle.phase1)
        return [Transition(user, TransitionKind.ASLEEP, at) for at, user in asleep]

    def rewind(self, now: float) -> bool:
        """Where the night clock was set back behind the sweep's mark: nobody was seen after now,
        and whoever is not idle by the new time is no longer asleep. Whether that was so."""
        if self._sleep_mark[0] <= now:
            return False
        for last_seen, user in self._behind(everybody_until(now)):
            self._move(user, last_seen, now)
        self._sleep_mark, self._session_mark = self._marks(now)
        return True

    def forget(self, now: float) -> list[Transition]:
        """Removes and returns whoever is unseen for too long."""
        end = bisect_right(self._order, everybody_until(now - self._rules.forget_after))
        gone = self._order[:end]
        del self._order[:end]
        for _, user in gone:
            del self._last_seen[user]
            self._sessions.pop(user, None)
        return [Transition(user, TransitionKind.FORGOTTEN, at) for at, user in gone]

    def erase(self, users: Iterable[UserKey]) -> int:
        """Removes these people; how many were known."""
        known = 0
        for user in users:
            last_seen = self._last_seen.pop(user, None)
            if last_seen is not None:
                known += 1
                del self._order[bisect_right(self._order, (last_seen, user)) - 1]
            self._sessions.pop(user, None)
        return known

    def counts(self, now: float) -> Counts:
        idle = self._rules.idle
        known = len(self._order)
        until = [self._until(now - seconds) for seconds in (idle.phase1, idle.phase2, idle.phase3)]
        return Counts(
            awake=known - until[0],
            phase1=until[0] - until[1],
            phase2=until[1] - until[2],
            phase3=until[2],
            open_sessions=known - self._until(now - self._rules.session_end),
        )

    def find(self, user: UserKey) -> Seen | None:
        last_seen = self._last_seen.get(user)
        return None if last_seen is None else Seen(last_seen, self._sessions.get(user))

    def sleepers(self, after: Place | None, limit: int) -> list[Place]:
        """Those announced asleep, longest idle first, behind a place."""
        start = 0 if after is None else bisect_right(self._order, after)
        end = bisect_right(self._order, self._sleep_mark)
        return self._order[start : min(end, start + limit)]

    def recent(self, limit: int) -> list[UserKey]:
        return [user for _, user in self._order[: -limit - 1 : -1]]

    def _note_session(self, touch: Interaction, before: float | None) -> None:
        if (touch.at, touch.user) <= self._session_mark:
            return
        goes_on = (
            before is not None
            and touch.at - before < self._rules.session_end
            and (before, touch.user) > self._session_mark
        )
        if not goes_on:
            self._sessions[touch.user] = touch.at

    def _move(self, user: UserKey, before: float | None, at: float) -> None:
        if before is not None:
            del self._order[bisect_right(self._order, (before, user)) - 1]
        insort(self._order, (at, user))
        self._last_seen[user] = at

    def _cross(self, mark: Place, horizon: float) -> tuple[list[Place], Place]:
        """Who stands between a mark and a horizon, and the mark behind them."""
        new = max(mark, everybody_until(horizon))
        end = bisect_right(self._order, new)
        return self._order[bisect_right(self._order, mark) : end], new

    def _behind(self, place: Place) -> list[Place]:
        return self._order[bisect_right(self._order, place) :]

    def _until(self, instant: float) -> int:
        return bisect_right(self._order, (instant, LAST_KEY))

    def _marks(self, now: float) -> tuple[Place, Place]:
        return (
            everybody_until(now - self._rules.idle.phase1),
            everybody_until(now - self._rules.session_end),
        )
