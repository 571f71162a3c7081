"""Reads the speed-dating file: who sat opposite whom, what both decided, what both had told before.

Columns that were filled in during or after an evening are never read, but for the decisions and
the order of the dates, which only cuts an evening in halves.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

INTERESTS = (
    *("sports", "tvsports", "exercise", "dining", "museums", "art", "hiking", "gaming"),
    *("clubbing", "reading", "tv", "theater", "movies", "concerts", "music", "shopping", "yoga"),
)
QUALITIES = ("attr", "sinc", "intel", "fun", "amb")
SURVEY = (
    *("gender", "age", "condtn", "round", "field_cd", "goal", "date", "go_out", "career_c"),
    *INTERESTS,
    *("exphappy", "expnum"),
    *(f"{quality}1_1" for quality in (*QUALITIES, "shar")),
    *(f"{quality}{question}_1" for question in (3, 5) for quality in QUALITIES),
)
"""What is read of a person. Origin, income and belief are not, nor how much they matter."""
_PAIR = ("iid", "pid", "wave", "order", "dec", "samerace")


class UnreadableFileError(ValueError):
    """The file is not the speed-dating data; the message says what was found."""


@dataclass(frozen=True, slots=True)
class Evenings:
    """`n` people and `m` pairs; a pair is listed once, decisions both ways."""

    survey: dict[str, npt.NDArray[np.float64]]
    """(n) each, NaN where not answered."""
    wave: npt.NDArray[np.int32]
    """(n)"""
    left: npt.NDArray[np.int32]
    """(m) the person with the lower number,"""
    right: npt.NDArray[np.int32]
    """and the other one."""
    left_says: npt.NDArray[np.bool_]
    right_says: npt.NDArray[np.bool_]
    place: npt.NDArray[np.float64]
    """(m) when in the evening, as a share of its dates: 0 to 1."""
    same_race: npt.NDArray[np.float64]
    """(m) reported beside, never learned from by the engine."""
    dropped: int
    """Rows without a partner, or whose partner's row is missing."""

    @property
    def match(self) -> npt.NDArray[np.bool_]:
        return self.left_says & self.right_says

    @property
    def pair_wave(self) -> npt.NDArray[np.int32]:
        wave: npt.NDArray[np.int32] = self.wave[self.left]
        return wave


def read(path: Path) -> Evenings:
    """Raises UnreadableFileError, and OSError where there is no file."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = {*SURVEY, *_PAIR} - set(reader.fieldnames or ())
            if missing:
                raise UnreadableFileError(f"columns missing: {', '.join(sorted(missing))}")
            rows = list(reader)
        return _evenings(rows)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableFileError(f"not a CSV file in UTF-8: {error}") from error


def _evenings(rows: list[dict[str, str]]) -> Evenings:
    by_pair = {(row["iid"], row["pid"]): row for row in rows if row["pid"]}
    pairs = sorted((int(i), int(j)) for i, j in by_pair if int(i) < int(j) and (j, i) in by_pair)
    if not pairs:
        raise UnreadableFileError("no pair with the decisions of both")
    people = sorted({person for pair in pairs for person in pair})
    row_of = {int(i): row for (i, _), row in by_pair.items()}
    number = {person: index for index, person in enumerate(people)}
    there = [by_pair[str(i), str(j)] for i, j in pairs]
    back = [by_pair[str(j), str(i)] for i, j in pairs]
    dates = np.array([max(_number(row["round"]), 1.0) for row in there])
    order = np.array(
        [(_number(a["order"]) + _number(b["order"])) / 2 for a, b in zip(there, back, strict=True)]
    )
    return Evenings(
        survey={
            name: np.array([_number(row_of[person][name]) for person in people]) for name in SURVEY
        },
        wave=np.array([int(row_of[person]["wave"]) for person in people], dtype=np.int32),
        left=np.array([number[i] for i, _ in pairs], dtype=np.int32),
        right=np.array([number[j] for _, j in pairs], dtype=np.int32),
        left_says=np.array([_said(row) for row in there]),
        right_says=np.array([_said(row) for row in back]),
        place=(order - 0.5) / dates,
        same_race=np.array([_number(row["samerace"]) for row in there]),
        dropped=len(rows) - 2 * len(pairs),
    )


def _said(row: dict[str, str]) -> bool:
    if row["dec"] not in {"0", "1"}:
        raise UnreadableFileError(f"a decision {row['dec']!r} of person {row['iid']}")
    return row["dec"] == "1"


def _number(text: str) -> float:
    if not text:
        return float("nan")
    try:
        return float(text.replace(",", ""))
    except ValueError as error:
        raise UnreadableFileError(f"{text!r} where a number was expected") from error
