"""Sentences in the languages that EROS answers in."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final


class Language(StrEnum):
    """The values are BCP 47. Whoever writes in another language is answered in English."""

    EN = "en"
    ES = "es"


_AND: Final = {Language.EN: "and", Language.ES: "y"}


def listed(items: Sequence[str], language: Language) -> str:
    """`a, b and c`."""
    if len(items) < 2:
        return "".join(items)
    word = _AND[language]
    # Spanish says "e" before the sound i.
    if language is Language.ES and items[-1].lower().startswith(("i", "hi")):
        word = "e"
    return f"{', '.join(items[:-1])} {word} {items[-1]}"


def bulleted(items: Sequence[str]) -> str:
    """One item a line."""
    return "\n".join(f"• {item}" for item in items)
