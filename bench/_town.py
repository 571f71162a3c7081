"""Markets to measure on: made up in columns, or with the make-up of real profiles."""

from __future__ import annotations

import csv
import io
import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Final
from uuid import UUID

import numpy as np

from eros_common.ids import UserId
from eros_matcher.domain.people import EARTH_KM, Filters, Gender, Place
from eros_matcher.features.model import DIMS, VECTOR_FLOATS
from eros_matcher.features.record import Record
from eros_matcher.market.build import Columns
from eros_matcher.market.market import FIRST_YEAR

YEAR: Final = 2026
OKCUPID: Final = Path(
    os.environ.get("EROS_OKCUPID_FILE", "../shared/data/okcupid_profiles.csv.zip")
)
_CENTRE: Final = (37.77, -122.42)
_SPREAD_DEGREES: Final = 0.25
_WOMEN: Final = 0.40
_ORIENTATIONS: Final = {"straight": 0.86, "gay": 0.093, "bisexual": 0.047}
_REACHES_KM: Final = (15.0, 30.0, 60.0, 120.0)


class Town:
    """`people` of one place; the same for the same seed."""

    def __init__(self, people: int, seed: int = 1) -> None:
        self._random = np.random.default_rng(seed)
        self.people = people
        self.source = "drawn"
        woman, orientation, age = self._drawn() if people != 59_946 else self._okcupid()
        own = np.where(woman, int(Gender.FEMALE), int(Gender.MALE))
        other = 3 - own
        seeks = np.select([orientation == 0, orientation == 1], [other, own], 3)
        random = self._random
        low = np.maximum(18, age - random.integers(2, 12, people))
        high = np.minimum(110, age + random.integers(2, 12, people))
        self._lat = _CENTRE[0] + random.standard_normal(people) * _SPREAD_DEGREES
        self._lon = _CENTRE[1] + random.standard_normal(people) * _SPREAD_DEGREES
        self._km = random.choice(_REACHES_KM, people)
        born = YEAR - age - FIRST_YEAR
        cell = (self._lat + 90).astype(np.int64) * 1000 + (self._lon + 180).astype(np.int64)
        bounds = (YEAR - high - FIRST_YEAR, YEAR - low - FIRST_YEAR)
        self.columns = Columns(
            ids=random.integers(0, 256, (people, 16), dtype=np.uint8),
            vectors=self._vectors(),
            small=np.stack([own << 3 | seeks, cell, born, *bounds], axis=1).astype(np.int64),
            places=self._places(),
            tokens=np.zeros((people, 16), dtype=np.uint64),
            written=np.zeros(people, dtype=np.uint64),
            prices=np.maximum(random.standard_normal(people) * 0.3, 0).astype(np.float32),
        )

    def change(self, share: float, transaction: int) -> None:
        """So many of them, by this transaction, are somebody else to others from now on."""
        columns = self.columns
        count = round(self.people * share)
        who = self._random.choice(self.people, count, replace=False)
        vectors, written = columns.vectors.copy(), columns.written.copy()
        vectors[who] = vectors[self._random.permutation(who)]
        written[who] = transaction
        self.columns = replace(columns, vectors=vectors, written=written)

    def person(self, index: int) -> Record:
        """One of them, as a seeker."""
        group, _, born, earliest, latest = self.columns.small[index].tolist()
        filters = Filters(
            birth_year=born + FIRST_YEAR,
            gender=Gender(group >> 3),
            seeks=Gender(group & 7),
            age_min=YEAR - latest - FIRST_YEAR,
            age_max=YEAR - earliest - FIRST_YEAR,
            place=Place(float(self._lat[index]), float(self._lon[index])),
            max_km=float(self._km[index]),
        )
        user = UserId(UUID(bytes=self.columns.ids[index].tobytes()))
        return Record(user, filters, "UTC", (), self.columns.vectors[index].tobytes())

    def _drawn(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        random, people = self._random, self.people
        orientation = random.choice(3, people, p=list(_ORIENTATIONS.values()))
        age = np.clip(18 + random.gamma(2.2, 6.5, people), 18, 80).astype(np.int64)
        return random.random(people) < _WOMEN, orientation, age

    def _okcupid(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if not OKCUPID.exists():
            return self._drawn()
        self.source = "sex, orientation and age of real profiles, the rest drawn"
        with zipfile.ZipFile(OKCUPID) as archive:
            text = archive.read(archive.namelist()[0]).decode()
        rows = list(csv.DictReader(io.StringIO(text)))
        names = list(_ORIENTATIONS)
        return (
            np.array([row["sex"] == "f" for row in rows]),
            np.array([names.index(row["orientation"]) for row in rows]),
            np.array([min(max(int(float(row["age"])), 18), 90) for row in rows]),
        )

    def _vectors(self) -> np.ndarray:
        """Logits with a standard deviation of about one, and skewed popularity."""
        values = self._random.standard_normal((self.people, VECTOR_FLOATS), dtype=np.float32)
        values[:, : 2 * DIMS] *= 0.3
        values[:, 2 * DIMS] = values[:, 2 * DIMS] * 0.5 - 1.4
        values[:, 2 * DIMS + 1] *= 0.7
        return values

    def _places(self) -> np.ndarray:
        lat, lon = np.radians(self._lat), np.radians(self._lon)
        level = EARTH_KM * np.cos(lat)
        chord = 2 * EARTH_KM * np.sin((self._km - 0.005) / EARTH_KM / 2)
        return np.stack(
            [level * np.cos(lon), level * np.sin(lon), EARTH_KM * np.sin(lat), chord**2], axis=1
        )
