"""Reads the public OkCupid profiles (59,946 people of the San Francisco area, revised 2021).

What the file has is mapped; what it has not and the product needs (name, city, coordinates,
time zone, the ages and the distance a person seeks) is drawn from a generator seeded by the
row's number. Ethnicity, religion and income are left where they are: EROS neither shows nor
matches by them.
"""

from __future__ import annotations

import csv
import html
import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random

from eros.accounts.v1 import accounts_pb2, profile_pb2
from eros_cli.population.demo import draw_preferences, string_list
from eros_cli.population.names import draw_name
from eros_cli.population.places import SAN_FRANCISCO_BAY, draw_location

SOURCE = "okcupid"
COLUMNS = frozenset(
    (
        *("age", "sex", "orientation", "status", "height", "body_type", "education", "job"),
        *("diet", "drinks", "drugs", "smokes", "pets", "offspring", "speaks"),
    )
)
DRAWN = ("name", "city", "coordinates", "time zone", "ages sought", "distance sought", "last seen")

_SEED = "okcupid"
_INCHES_TO_CM = 2.54
# The ages in the file carry random noise for privacy, which puts a few below 18.
_YOUNGEST, _OLDEST = 18, 120
_FLUENT = re.compile(r"\(fluently\)")
_IN_BRACKETS = re.compile(r"\s*\([^)]*\)")


class UnreadableFileError(ValueError):
    """The file is not the OkCupid profiles; the message says what was found."""


def people(path: Path) -> Iterator[accounts_pb2.ImportedAccount]:
    """Yields everybody in the zip or CSV file at `path`, in its order.

    Raises UnreadableFileError when it is neither, or lacks a column.
    """
    for index, row in enumerate(_rows(path)):
        yield accounts_pb2.ImportedAccount(
            external_id=str(index), profile=profile(row, Random(f"{_SEED}/{index}"))
        )


def profile(row: Mapping[str, str], random: Random) -> profile_pb2.UpdateProfileRequest:
    """One row as a profile; raises UnreadableFileError where it cannot."""
    try:
        gender = {"f": "female", "m": "male"}[row["sex"]]
        age = min(max(int(row["age"]), _YOUNGEST), _OLDEST)
        genders = _sought(gender, row["orientation"])
    except (KeyError, ValueError) as error:
        raise UnreadableFileError(
            f"sex, orientation or age cannot be read in {dict(row)}"
        ) from error
    return profile_pb2.UpdateProfileRequest(
        name=draw_name(random, gender),
        bio=_bio(row),
        age=age,
        location=draw_location(random, SAN_FRANCISCO_BAY),
        interests=string_list(_interests(row)),
        preferences=draw_preferences(random, age, genders),
        gender=gender,
    )


def _rows(path: Path) -> Iterator[Mapping[str, str]]:
    if not zipfile.is_zipfile(path):
        with path.open(encoding="utf-8", newline="") as file:
            yield from _checked(csv.DictReader(file))
        return
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".csv")]
        if len(names) != 1:
            raise UnreadableFileError(f"{path.name} holds {len(names)} CSV files, one was expected")
        with archive.open(names[0]) as raw:
            text = io.TextIOWrapper(raw, encoding="utf-8", newline="")
            yield from _checked(csv.DictReader(text))


def _checked(reader: csv.DictReader[str]) -> Iterator[Mapping[str, str]]:
    try:
        missing = COLUMNS - set(reader.fieldnames or ())
        if missing:
            raise UnreadableFileError(f"columns missing: {', '.join(sorted(missing))}")
        for row in reader:
            yield {
                key: "" if value in (None, "NA") else html.unescape(value)
                for key, value in row.items()
            }
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableFileError(f"not a CSV file in UTF-8: {error}") from error


def _sought(gender: str, orientation: str) -> tuple[str, ...]:
    other = "male" if gender == "female" else "female"
    return {"straight": (other,), "gay": (gender,), "bisexual": ("female", "male")}[orientation]


def _interests(row: Mapping[str, str]) -> list[str]:
    """The ways of living that people match by, as tags, without duplicates and in order."""
    tags = [
        f"job: {row['job']}" if row["job"] not in ("", "other", "rather not say") else "",
        f"education: {row['education']}" if row["education"] else "",
        f"diet: {row['diet'].removeprefix('mostly ').removeprefix('strictly ')}"
        if row["diet"]
        else "",
        f"drinks: {row['drinks']}" if row["drinks"] else "",
        f"smokes: {row['smokes']}" if row["smokes"] else "",
        f"drugs: {row['drugs']}" if row["drugs"] else "",
        f"build: {row['body_type']}" if row["body_type"] else "",
        *(part.strip() for part in row["pets"].split(" and ")),
        *(part.strip(" ,") for part in re.split(r",? and |, but ", row["offspring"])),
        *(f"speaks {language}" for language in _languages(row["speaks"])),
    ]
    return list(dict.fromkeys(tag[:60] for tag in tags if tag))


def _languages(speaks: str) -> list[str]:
    """The languages spoken well: fluently, or named without a level."""
    spoken = [part.strip() for part in speaks.split(",")]
    return [
        _IN_BRACKETS.sub("", language)
        for language in spoken
        if language and ("(" not in language or _FLUENT.search(language))
    ]


def _bio(row: Mapping[str, str]) -> str:
    height = f"{int(row['height']) * _INCHES_TO_CM:.0f} cm" if row["height"].isdigit() else ""
    lines = (row["status"], height, row["education"], row["job"])
    return ". ".join(line[:1].upper() + line[1:] for line in lines if line)
