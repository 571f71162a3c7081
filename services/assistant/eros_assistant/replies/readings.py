"""What common lines usually mean: `data/readings.toml`."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Final, Self

from eros_advice.texts import Language
from eros_assistant.understanding.words import fold

_QUOTATION: Final = re.compile(r'["“«]([^"”»]{1,400})["”»]')


@dataclass(frozen=True, slots=True)
class Readings:
    """Patterns with what is said of them, the first that fits first."""

    rules: tuple[tuple[re.Pattern[str], dict[Language, str]], ...]

    @classmethod
    def load(cls) -> Self:
        path = resources.files("eros_assistant") / "data/readings.toml"
        raw = tomllib.loads(path.read_text(encoding="utf-8"))["reading"]
        return cls(
            tuple(
                (re.compile(one["pattern"]), {each: one[each.value] for each in Language})
                for one in raw
            )
        )

    def of(self, quote: str, language: Language) -> str | None:
        folded = fold(quote).replace("'", "")
        for pattern, texts in self.rules:
            if pattern.search(folded):
                return texts[language]
        return None


def quotation(text: str) -> str:
    """What a text puts in quotation marks; empty if nothing."""
    found = _QUOTATION.search(text)
    return found[1].strip() if found else ""
