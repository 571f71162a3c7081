"""Places in the order of last-seen. Pure.

A store keeps people ordered by (last seen, id). A *mark* is a place in that order: everybody up to
it was told of. The sweep mark divides those announced asleep from those awake, so "who woke" needs
no flag on anybody: it is whoever stood at or before the mark and is touched to behind it.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from eros_activity.domain.people import UserKey

Place: TypeAlias = tuple[float, UserKey]
"""(last seen, id): compared like that, ids byte by byte."""

LAST_KEY: Final = UserKey(b"\xff" * 16)


def everybody_until(instant: float) -> Place:
    """The place behind everybody last seen at or before an instant."""
    return (instant, LAST_KEY)
