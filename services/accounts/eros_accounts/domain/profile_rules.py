"""Which changes of a profile are accepted.

Ranges, lengths of plain fields and known genders are in the contract (protovalidate); here is what
a contract cannot say. Faults carry the REST name of their field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from eros_accounts.domain.faults import Faults
from eros_accounts.domain.profile import Gender, Place, Preferences, ProfileChange
from eros_accounts.domain.text import (
    has_letter,
    is_visible,
    line_fault,
    lines_fault,
    tidy,
    tidy_lines,
)
from eros_common.phases import is_zone

LONGEST_NAME: Final = 80
LONGEST_BIO: Final = 2000
LONGEST_CITY: Final = 120
MOST_PHOTOS: Final = 12
LONGEST_PHOTO: Final = 2048
MOST_INTERESTS: Final = 50
LONGEST_INTEREST: Final = 60

_HOST: Final = re.compile(r"[\w-]{1,63}(\.[\w-]{1,63})*\.?")
_NO_URL: Final = "must be an http or https URL with a host name"


@dataclass(frozen=True, slots=True)
class ProfileDraft:
    """A change as it was sent. Lists may hold anything: the wire format cannot type them."""

    name: str | None = None
    bio: str | None = None
    photos: Sequence[object] | None = None
    interests: Sequence[object] | None = None
    age: int | None = None
    gender: Gender | None = None
    place: Place | None = None
    preferences: Preferences | None = None


def check(draft: ProfileDraft, *, year: int, faults: Faults, at: str = "") -> ProfileChange:
    """The change to store. Faults are added below the path ``at``, such as ``accounts[3].``; with
    any, the result is not to be used. ``year`` is the current one, to turn an age into a year."""
    return ProfileChange(
        name=None if draft.name is None else check_name(draft.name, faults, f"{at}name"),
        bio=None if draft.bio is None else _bio(draft.bio, faults, f"{at}bio"),
        photos=_photos(draft.photos, faults, f"{at}photos"),
        interests=_interests(draft.interests, faults, f"{at}interests"),
        birth_year=None if draft.age is None else year - draft.age,
        gender=draft.gender,
        place=None if draft.place is None else _place(draft.place, faults, f"{at}location"),
        preferences=draft.preferences,
    )


def check_name(text: str, faults: Faults, at: str = "name") -> str:
    """The name as it is stored."""
    name = tidy(text)
    fault = line_fault(name, LONGEST_NAME)
    if fault is None and not has_letter(name):
        fault = "must contain a letter"
    if fault is not None:
        faults.add(at, fault)
    return name


def photo_fault(url: str) -> str | None:
    """What keeps a text from being the address of a photo."""
    if len(url) > LONGEST_PHOTO:
        return f"must have at most {LONGEST_PHOTO} characters"
    # urlsplit drops some of these in silence.
    if not url.isprintable() or any(char in ' "<>\\^`{|}' for char in url):
        return _NO_URL
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return _NO_URL
    if parts.scheme not in ("http", "https") or "[" in parts.netloc:
        return _NO_URL
    if host is None or _HOST.fullmatch(host) is None:
        return _NO_URL
    if parts.username is not None:
        return "must not contain a user name"
    return None


def _bio(text: str, faults: Faults, at: str) -> str:
    bio = tidy_lines(text)
    fault = lines_fault(bio, LONGEST_BIO)
    if fault is not None:
        faults.add(at, fault)
    return bio


def _photos(items: Sequence[object] | None, faults: Faults, at: str) -> tuple[str, ...] | None:
    return _strings(items, MOST_PHOTOS, str.strip, photo_fault, faults, at)


def _interests(items: Sequence[object] | None, faults: Faults, at: str) -> tuple[str, ...] | None:
    return _strings(items, MOST_INTERESTS, tidy, _interest_fault, faults, at)


def _interest_fault(text: str) -> str | None:
    if not is_visible(text):
        return "must not be empty"
    return line_fault(text, LONGEST_INTEREST)


def _strings(
    items: Sequence[object] | None,
    most: int,
    clean: Callable[[str], str],
    fault_of: Callable[[str], str | None],
    faults: Faults,
    at: str,
) -> tuple[str, ...] | None:
    if items is None:
        return None
    if len(items) > most:
        faults.add(at, f"must have at most {most} items")
        return None
    kept: list[str] = []
    for index, item in enumerate(items):
        if not isinstance(item, str):
            faults.add(f"{at}[{index}]", "must be a string")
            continue
        text = clean(item)
        fault = fault_of(text)
        if fault is not None:
            faults.add(f"{at}[{index}]", fault)
        kept.append(text)
    return tuple(kept)


def _place(place: Place, faults: Faults, at: str) -> Place:
    city = tidy(place.city)
    fault = line_fault(city, LONGEST_CITY)
    if fault is not None:
        faults.add(f"{at}.city", fault)
    if place.lat is None and place.lon is not None:
        faults.add(f"{at}.lat", "goes with lon: set both or neither")
    if place.lon is None and place.lat is not None:
        faults.add(f"{at}.lon", "goes with lat: set both or neither")
    if place.time_zone and not is_zone(place.time_zone):
        faults.add(f"{at}.timeZone", "is no known IANA time zone")
    return replace(place, city=city)
