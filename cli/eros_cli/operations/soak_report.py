"""What a soak found, and whether every promise held."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

#: Beyond this a process has grown: its last third against its first, after warming up.
GROWTH_MOST: Final = 1.35
#: The bound of a halt, to the row's having left.
HALT_MOST_MS: Final = 500.0
#: Streams are there again, leases sorted out.
RECOVERED_SECONDS: Final = 5.0
_SAMPLES_LEAST: Final = 9


@dataclass(slots=True)
class Footprint:
    """Samples of one program while one process of it lived: MiB and open files."""

    memory: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Halt:
    """One that was looked up at the end. `at`: when the phone was touched, in seconds of the epoch;
    the rest in milliseconds from then, None where it never was."""

    reason: str
    at: float
    durable_ms: float | None
    left_ms: float | None
    killed: bool


@dataclass(slots=True)
class Report:
    """Filled while it runs."""

    seed: int
    seconds: float = 0.0
    people: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    """By status: HTTP codes, `cut` where the connection broke."""
    refusals: Counter[str] = field(default_factory=Counter)
    """What was not answered with 200: status, the error's code, and the route."""
    request_ms: list[float] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    """What was done to whom, such as `kill scheduler`."""
    halts: list[Halt] = field(default_factory=list)
    faulty: list[tuple[float, float]] = field(default_factory=list)
    """From when to when something was broken, in seconds of the epoch."""
    jobs_lost: list[str] = field(default_factory=list)
    doubled: int = 0
    writes: int = 0
    writes_lost: list[str] = field(default_factory=list)
    footprints: dict[str, list[Footprint]] = field(default_factory=dict)
    unexpected: list[str] = field(default_factory=list)
    """Answers that no fault explains (500, 501), with their request id, and what was logged of
    them: whoever is away is 503."""
    unfinished: int = 0
    """Jobs of sleeping people that were still to be done when time was up: late, not lost."""

    def grown(self) -> dict[str, str]:
        """Programs whose memory or files grew while one process lived."""
        found = {}
        for name, lives in self.footprints.items():
            for life in lives:
                for what, values in (("MiB", life.memory), ("files", life.files)):
                    if (growth := _growth(values)) is not None:
                        before, after = growth
                        # A handful more files is a connection, not a leak.
                        if after > GROWTH_MOST * before and after - before > 20:
                            found[name] = f"{before:.0f} → {after:.0f} {what}"
        return found

    def late_halts(self) -> list[Halt]:
        """Of people who woke: over the bound, though nothing was broken meanwhile."""
        return [
            halt
            for halt in self.halts
            if halt.reason == "woke" and (halt.left_ms or 0.0) > HALT_MOST_MS and self._whole(halt)
        ]

    def _whole(self, halt: Halt) -> bool:
        """Nothing was broken shortly before it or in it."""
        until = halt.at + (halt.left_ms or 0.0) / 1000
        return all(until < begin or end + RECOVERED_SECONDS < halt.at for begin, end in self.faulty)

    def broken(self) -> list[str]:
        """The promises that did not hold."""
        lines = []
        if self.jobs_lost:
            lines.append(f"{len(self.jobs_lost)} jobs lost: {', '.join(self.jobs_lost[:3])}")
        if self.doubled:
            lines.append(f"{self.doubled} results doubled")
        if self.writes_lost:
            lines.append(f"{len(self.writes_lost)} writes lost: {', '.join(self.writes_lost[:3])}")
        if late := self.late_halts():
            lines.append(f"{len(late)} halts over {HALT_MOST_MS:.0f} ms with nothing broken")
        if self.unexpected:
            lines.append(f"{len(self.unexpected)} unexpected: {'; '.join(self.unexpected[:3])}")
        lines += [f"{name} grew: {how}" for name, how in self.grown().items()]
        return lines

    def summary(self) -> dict[str, Any]:
        """One JSON object."""
        woke = [halt for halt in self.halts if halt.reason == "woke"]
        return {
            "soak": {"seed": self.seed, "seconds": round(self.seconds), "people": self.people},
            "faults": dict(sorted(self.faults.items())),
            "requests": dict(sorted(self.requests.items())),
            "refusals": dict(self.refusals.most_common(20)),
            "requestMs": _percentiles(self.request_ms),
            "halts": len(self.halts),
            "haltsByReason": dict(Counter(halt.reason for halt in self.halts)),
            "durableMs": _percentiles([one.durable_ms for one in woke if one.durable_ms]),
            "leftMs": _percentiles([one.left_ms for one in woke if one.left_ms]),
            "haltsLate": len(self.late_halts()),
            "childrenKilled": sum(halt.killed for halt in self.halts),
            "jobsLost": len(self.jobs_lost),
            "jobsUnfinished": self.unfinished,
            "resultsDoubled": self.doubled,
            "acknowledgedWrites": self.writes,
            "writesLost": len(self.writes_lost),
            "unexpected": self.unexpected[:20],
            "grown": self.grown(),
            "memoryMiB": {
                name: round(max((max(life.memory, default=0.0) for life in lives), default=0.0), 1)
                for name, lives in sorted(self.footprints.items())
            },
            "openFiles": {
                name: max((max(life.files, default=0) for life in lives), default=0)
                for name, lives in sorted(self.footprints.items())
            },
            "held": not self.broken(),
        }


def _growth(values: Sequence[float]) -> tuple[float, float] | None:
    if len(values) < _SAMPLES_LEAST:
        return None
    # The first third is warming up: imports, pools, caches.
    third = len(values) // 3
    return statistics.median(values[third : 2 * third]), statistics.median(values[2 * third :])


def _percentiles(values: Sequence[float]) -> Mapping[str, float]:
    if not values:
        return {}
    ordered = sorted(values)

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)

    return {"n": len(ordered), "p50": at(0.5), "p99": at(0.99), "max": round(ordered[-1], 1)}
