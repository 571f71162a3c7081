"""Finding entries of the advice library, by vectors and keywords together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log
from typing import Final

import numpy as np
import numpy.typing as npt

from eros_advice.library_entries import Entry, library
from eros_advice.texts import Language
from eros_assistant.domain.answers import Cited
from eros_assistant.understanding.words import fold, words

KNOWN: Final = 0.37
"""From this score an entry is about the question (tests/unit/assistant/test_library.py)."""
_KEYWORDS: Final = 0.62
_KEYWORDS_ALONE: Final = 0.8
_LEAST_CHARACTERS: Final = 3
# They say nothing about the topic.
_STOP: Final = frozenset(
    (
        *("the", "and", "for", "are", "you", "your", "what"),
        *("how", "who", "why", "when", "where", "with", "that"),
        *("this", "from", "have", "has", "does", "should", "can"),
        *("could", "would", "about", "into", "they", "them", "their"),
        *("she", "her", "his", "him", "our", "not", "but"),
        *("was", "were", "will", "just", "get", "like", "some"),
        *("any", "more", "tell", "know", "want", "need", "please"),
        *("help", "advice", "tips", "someone", "somebody", "person", "people"),
        *("que", "como", "para", "por", "con", "una", "uno"),
        *("los", "las", "del", "esta", "este", "eso", "ese"),
        *("cuando", "donde", "quien", "mas", "muy", "mis", "sus"),
        *("les", "nos", "era", "ser", "hay", "son", "debo"),
        *("debe", "deberia", "puedo", "puede", "quiero", "hacer", "hago"),
        *("alguien", "persona", "gente", "consejo", "consejos", "ayuda", "dime"),
        *("sobre", "dating", "date", "cita", "citas"),
    )
)

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry and how well it fits, 0 to 1."""

    entry: Entry
    score: float

    def cited(self, language: Language) -> Cited:
        return Cited(self.entry.id, self.entry.title[language])


class Library:
    """All entries with their vectors in memory."""

    def __init__(self, vectors: Callable[[Sequence[str]], Vectors]) -> None:
        self._vectors = vectors
        self.entries = library()
        self._ordered = list(self.entries.values())
        self._topics = vectors([_described(entry) for entry in self._ordered])
        self._texts = vectors([entry.text[Language.EN] for entry in self._ordered])
        self._terms = [_terms_of(entry) for entry in self._ordered]
        self._rarity = _rarities(self._terms)
        self._titles = {
            fold(title): entry for entry in self._ordered for title in entry.title.values()
        }

    def entry(self, topic: str) -> Entry | None:
        """The entry of that id or title."""
        return self.entries.get(topic.strip().lower().replace(" ", "-")) or self._titles.get(
            fold(topic.strip())
        )

    def find(self, question: str, most: int = 3) -> list[Hit]:
        """The nearest entries, the best first, whether they fit or not."""
        asked = {_stem(word) for word in _content(question)}
        row = self._vectors([question])[0]
        similar = np.clip(0.75 * (self._topics @ row) + 0.25 * (self._texts @ row), 0.0, 1.0)
        weight = sum(self._rarity.get(word, self._rarest) for word in asked) or 1.0
        scores = []
        for position, terms in enumerate(self._terms):
            shared = sum(self._rarity[word] * terms[word] for word in asked if word in terms)
            said = min(1.0, shared / weight)
            mixed = _KEYWORDS * said + (1 - _KEYWORDS) * float(similar[position])
            # The vectors know little Spanish: there keywords must be enough.
            scores.append(max(mixed, _KEYWORDS_ALONE * said))
        best = sorted(range(len(scores)), key=lambda position: -scores[position])[:most]
        return [Hit(self._ordered[position], scores[position]) for position in best]

    def cited(self, entry: str, language: Language) -> Cited:
        """The entry as answers name it; KeyError for one that is not there."""
        return Cited(entry, self.entries[entry].title[language])

    @property
    def _rarest(self) -> float:
        return log(1 + len(self._ordered))


def _described(entry: Entry) -> str:
    return f"{entry.title[Language.EN]}. {', '.join(entry.keywords[Language.EN])}"


def _terms_of(entry: Entry) -> dict[str, float]:
    """Words of an entry and what a hit on each is worth: in the text least, in the title most."""
    terms: dict[str, float] = {}
    for language in Language:
        sources = (
            (0.35, [entry.text[language]]),
            (0.9, list(entry.keywords[language])),
            (1.0, [entry.title[language], entry.id.replace("-", " ")]),
        )
        for worth, texts in sources:
            for text in texts:
                for word in _content(text):
                    stem = _stem(word)
                    terms[stem] = max(worth, terms.get(stem, 0.0))
    return terms


def _rarities(all_terms: Sequence[dict[str, float]]) -> dict[str, float]:
    # Only where a word is a keyword or in a title it tells entries apart.
    counts: dict[str, int] = {}
    for terms in all_terms:
        for word, worth in terms.items():
            counts[word] = counts.get(word, 0) + (1 if worth > 0.5 else 0)
    return {word: log(1 + len(all_terms) / max(1, count)) for word, count in counts.items()}


def _content(text: str) -> list[str]:
    return [
        word
        for word in words(text, frozenset())
        if len(word) >= _LEAST_CHARACTERS and word not in _STOP
    ]


def _stem(word: str) -> str:
    """Enough for plurals and endings of either language."""
    for ending in (
        "aciones",
        "amente",
        "ingly",
        "ando",
        "iendo",
        "ings",
        "ies",
        "ing",
        "ado",
        "ada",
        "ar",
        "er",
        "ir",
        "ed",
        "es",
        "ly",
        "s",
        "o",
        "a",
        "e",
    ):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word.removesuffix(ending)
    return word
