"""What must survive a translation as it is: links, addresses, names, emoji, line breaks. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_EMOJI: Final = (
    "[\U0001f000-\U0001faff\u2600-\u27bf\u2190-\u21ff\u2b00-\u2bff"
    "\u203c\u2049\u2122\u2139\u3030\u303d]"
)
_FIXED: Final = re.compile(
    r"https?://[^\s<>\"“”]+[^\s<>\"“”.,;:!?)]"
    r"|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
    r"|(?<![\w@])[@#]\w+"
    rf"|{_EMOJI}(?:[\ufe0e\ufe0f\u200d\U0001f3fb-\U0001f3ff]|{_EMOJI})*"
    r"|(?<!\w)(?:[:;=8xX]['^-]?[)(DPpO3/|*]+|<3+)(?!\w)"
)
# A capital inside a sentence is a name in the languages we translate between (but for "I").
_NAME: Final = re.compile(
    r"(?<=[\w,;:] )(?!(?:I|I'm|I'd|I'll|I've)\b)"
    r"[A-ZÁÉÍÓÚÑ][a-záéíóúñü]+(?: [A-ZÁÉÍÓÚÑ][a-záéíóúñü]+)*"
)
_TRANSLATED_NAMES: Final = frozenset(
    (
        *("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
        *("january", "february", "march", "april", "may", "june", "july"),
        *("august", "september", "october", "november", "december", "english", "spanish"),
        *("french", "german", "italian", "portuguese", "spain", "england", "christmas"),
        *("easter",),
    )
)


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a text; what is fixed stays as it is."""

    text: str
    fixed: bool


def pieces(text: str) -> Iterator[Piece]:
    """The text in pieces that make it up again: white space at the ends and line breaks fixed."""
    for line in re.split(r"(\r\n|\n|\r)", text):
        if not line or line in ("\n", "\r\n", "\r"):
            if line:
                yield Piece(line, fixed=True)
            continue
        position = 0
        for found in _FIXED.finditer(line):
            yield from _spoken(line[position : found.start()])
            yield Piece(found.group(), fixed=True)
            position = found.end()
        yield from _spoken(line[position:])


def names_in(text: str) -> list[str]:
    """Names of people and places within sentences."""
    return [
        found.group()
        for found in _NAME.finditer(text)
        if found.group().casefold() not in _TRANSLATED_NAMES
    ]


def _spoken(text: str) -> Iterator[Piece]:
    stripped = text.strip()
    if not any(character.isalpha() for character in stripped):
        if text:
            yield Piece(text, fixed=True)
        return
    start = text.index(stripped)
    if start:
        yield Piece(text[:start], fixed=True)
    yield Piece(stripped, fixed=False)
    if len(text) > start + len(stripped):
        yield Piece(text[start + len(stripped) :], fixed=True)
