"""What people write: which characters may be stored, and in which form."""

from __future__ import annotations

import unicodedata
from typing import Final

# Control characters, lone surrogates, line and paragraph separators.
_FORBIDDEN: Final = frozenset(("Cc", "Cs", "Zl", "Zp"))
# They turn the direction of the text that follows, also in other people's lines.
_TURNING: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LINE_BREAKS: Final = frozenset("\n\t")


def tidy(text: str) -> str:
    """The text without white space around it, composed (NFC): equal words are equal strings."""
    return unicodedata.normalize("NFC", text.strip())


def tidy_lines(text: str) -> str:
    """The same for text of several lines, which end in a line feed."""
    return tidy(text.replace("\r\n", "\n").replace("\r", "\n"))


def line_fault(text: str, longest: int) -> str | None:
    """What keeps a tidy text from being one line of at most ``longest`` characters."""
    return _fault(text, longest, allowed=frozenset())


def lines_fault(text: str, longest: int) -> str | None:
    """The same for text that may have line feeds and tabs."""
    return _fault(text, longest, allowed=_LINE_BREAKS)


def has_letter(text: str) -> bool:
    """Whether there is at least one letter, of whatever script."""
    return any(unicodedata.category(char).startswith("L") for char in text)


def is_visible(text: str) -> bool:
    """Whether there is anything to see: a letter, digit, mark of punctuation or symbol."""
    return any(unicodedata.category(char)[0] in "LNPS" for char in text)


def _fault(text: str, longest: int, *, allowed: frozenset[str]) -> str | None:
    if len(text) > longest:
        return f"must have at most {longest} characters"
    for char in text:
        if char in _TURNING or (unicodedata.category(char) in _FORBIDDEN and char not in allowed):
            return "must not contain control characters"
    return None
