"""A text as the words that the classifier compares."""

from __future__ import annotations

import re
import unicodedata
from importlib import resources
from typing import Final

NAME: Final = "xname"
QUOTE: Final = "xquote"

_QUOTED: Final = re.compile(r'"[^"]+"|“[^”]+”|«[^»]+»')
_WORD: Final = re.compile(r"[\w']+")
# Capitalised where they are, and nobody's name.
_NO_NAMES: Final = frozenset(("i", "im", "id", "ill", "eros"))


def fold(text: str) -> str:
    """Lower case, without accents and typographic apostrophes."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c)).replace("’", "'")


def without_quotes(text: str) -> str:
    """What somebody else wrote says nothing of what is asked about it."""
    return _QUOTED.sub('"…"', text)


def words(text: str, names: frozenset[str]) -> list[str]:
    """Folded words; a quotation is one word, and so is anybody's name (`names` are folded)."""
    found: list[str] = []
    for position, match in enumerate(_WORD.finditer(_QUOTED.sub(f" {QUOTE} ", text))):
        word = match.group()
        folded = fold(word).replace("'", "")
        looks_like_a_name = (
            position > 0 and word[0].isupper() and word[1:].islower() and folded not in _NO_NAMES
        )
        found.append(NAME if folded in names or looks_like_a_name else folded)
    return found


def first_names() -> frozenset[str]:
    """First names that are common in either language, folded."""
    text = (resources.files("eros_assistant") / "data/names.txt").read_text(encoding="utf-8")
    return frozenset(fold(name) for name in text.split())
