"""Interests as tokens: what two people have in common, whatever the spelling's case. Pure."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

COMPARED: Final = 16
"""Interests of a person that are compared one by one; taste takes all of them."""
TOKEN_BYTES: Final = 8


def cleaned(interests: Iterable[str]) -> tuple[str, ...]:
    """Without surplus space, empty ones and repetitions; in the person's order."""
    unique: dict[str, str] = {}
    for interest in interests:
        if text := " ".join(interest.split()):
            unique.setdefault(key(text), text)
    return tuple(unique.values())


def key(interest: str) -> str:
    """What is compared."""
    return unicodedata.normalize("NFKC", interest).casefold()


@lru_cache(maxsize=65_536)
def digest(interest: str) -> bytes:
    """64 bytes that stand for the interest: stable across processes, machines and versions."""
    return hashlib.blake2b(key(interest).encode(), person=b"eros.interest").digest()


def tokens(interests: Iterable[str]) -> bytes:
    """8 bytes for each of the first 16. Two of 10^6 interests share one with odds of 3e-8."""
    return b"".join(digest(text)[:TOKEN_BYTES] for text in list(interests)[:COMPARED])
