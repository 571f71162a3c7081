"""People as advice needs them: a person's own profile, and of others only what is public."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Own:
    """The person who is advised. Empty and None: not given."""

    name: str = ""
    age: int | None = None
    city: str = ""
    bio: str = ""
    interests: tuple[str, ...] = ()
    photos: int = 0
    gender: str | None = None
    seeks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Other:
    """Somebody else, as any signed-in person may see them.

    `reasons` are the matcher's, in English; `distance_km` is None where it is unknown.
    """

    user_id: str
    name: str
    age: int | None = None
    city: str = ""
    bio: str = ""
    interests: tuple[str, ...] = ()
    photos: int = 0
    distance_km: float | None = None
    reasons: tuple[str, ...] = ()
    match_id: str = ""


def shared_interests(own: Own, other: Other) -> tuple[str, ...]:
    """What both name, as the person wrote it."""
    theirs = {_plain(interest) for interest in other.interests}
    return tuple(dict.fromkeys(one for one in own.interests if _plain(one) in theirs))


def _plain(interest: str) -> str:
    return " ".join(interest.casefold().split())
