"""Which zones are open for which kinds now, and until when that holds. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from eros_common.phases import Night, Phase, Window, is_zone
from eros_scheduler.core.model import ANYWHERE, Zone

_NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Standing:
    """One zone between two boundaries of its window."""

    cap: Phase
    night: Night
    """The one that is open, or was last."""
    next_start: datetime
    until: datetime


class Windows:
    """The window in every zone that job rows have. A zone that this machine does not know counts
    as the default zone, and so does `ANYWHERE`, but that it is open wherever one is."""

    def __init__(self, window: Window, default_zone: Zone) -> None:
        self._window = window
        self._default = default_zone
        self._zones: dict[Zone, _Standing] = {}
        self._open: dict[Phase, tuple[Zone, ...]] = {}
        self.boundary = _NEVER
        """When (night time) a zone's cap may change next."""

    @property
    def zones(self) -> frozenset[Zone]:
        return frozenset(self._zones)

    def learn(self, zones: Iterable[Zone], night: datetime) -> bool:
        """More zones; known ones stay. Whether there were new ones."""
        new = [zone for zone in zones if zone not in self._zones]
        for zone in new:
            self._look(zone, night)
        return bool(new)

    def move(self, night: datetime) -> bool:
        """Time has passed: whether a boundary was crossed."""
        if night < self.boundary:
            return False
        self.boundary = _NEVER
        for zone, standing in self._zones.items():
            if standing.until <= night:
                self._look(zone, night)
            else:
                self.boundary = min(self.boundary, standing.until)
        return True

    def cap(self, zone: Zone, night: datetime) -> Phase:
        """The window phase in a zone; in `ANYWHERE` the deepest of all, as of the last `move`."""
        cap = self._standing(zone, night).cap
        if zone != ANYWHERE:
            return cap
        return max((cap, *(standing.cap for standing in self._zones.values())))

    def opens(self, zone: Zone, night: datetime, phase: Phase) -> datetime:
        """When (UTC) a closed window opens next for a phase."""
        zones = list(self._zones) if zone == ANYWHERE else [zone]
        return min(self._opens(self._name(each), night, phase) for each in zones)

    def _opens(self, zone: Zone, night: datetime, phase: Phase) -> datetime:
        while self._window.latest_night(night, zone).cap(night) < phase:
            night = self._window.next_boundary(night, zone)
        return night

    def next_due(self, zone: Zone, night: datetime) -> datetime:
        """The start (UTC) of the next window: when what is done now is due again."""
        return self._standing(zone, night).next_start

    def ended(self, zone: Zone, night: datetime) -> datetime | None:
        """When (UTC) the last night of a zone ended; None while one is open there."""
        standing = self._standing(zone, night)
        return None if standing.cap else standing.night.end

    def list_date(self, zone: Zone, night: datetime) -> date:
        """The date of the list that a match makes now."""
        return self._standing(zone, night).night.list_date

    def open_for(self, phase: Phase) -> tuple[Zone, ...]:
        """The zones whose cap, as of the last `move`, allows a phase; those that close first come
        first."""
        if phase not in self._open:
            found = [zone for zone, standing in self._zones.items() if standing.cap >= phase]
            found.sort(key=lambda zone: (self._zones[zone].night.end, zone))
            if found and ANYWHERE in self._zones and ANYWHERE not in found:
                found.append(ANYWHERE)
            self._open[phase] = tuple(found)
        return self._open[phase]

    def _name(self, zone: Zone) -> Zone:
        return zone if zone and is_zone(zone) else self._default

    def _standing(self, zone: Zone, night: datetime) -> _Standing:
        standing = self._zones.get(zone)
        if standing is None or standing.until <= night:
            standing = self._look(zone, night)
        return standing

    def _look(self, zone: Zone, night: datetime) -> _Standing:
        name = self._name(zone)
        latest = self._window.latest_night(night, name)
        standing = _Standing(
            cap=latest.cap(night),
            night=latest,
            next_start=self._window.next_start(night, name),
            until=self._window.next_boundary(night, name),
        )
        self._zones[zone] = standing
        self._open.clear()
        self.boundary = min(self.boundary, standing.until)
        return standing
