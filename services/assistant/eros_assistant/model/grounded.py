"""Whether what a model says is covered by what it was given. Pure.

Not understanding, but a net whose holes are known: names, places and numbers that nobody gave;
statements about somebody's interests, work or life with a word that nobody gave; contact data;
the rules themselves. What is caught in vain costs the model's wording only: then our own answer is
given. A claim made of given words alone passes, whoever it is put on.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Final

from eros_assistant.understanding.words import fold


class Fault(StrEnum):
    """What a sentence says that was not given; a word for metrics."""

    NAME = "ungrounded_name"
    NUMBER = "ungrounded_number"
    CLAIM = "ungrounded_claim"
    CONTACT = "contact_data"
    RULES = "rules_revealed"


_WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_DIGITS: Final = re.compile(r"\d+")
_NUMBERING: Final = re.compile(r"^\s*\d{1,2}[.)]\s")
_CONTACT: Final = re.compile(
    r"https?://\S+|www\.\S+|[\w.+-]+@[\w-]+\.\w+|(?<!\w)@\w{3,}|\b[\w-]+\.(?:com|net|org|io|me|es|app)\b"
)
_SENTENCE_END: Final = re.compile(r"(?<=[.!?…])[\"”»')]*\s+|\n+")
# Behind these a capital letter says nothing.
_BEGINS: Final = re.compile(r"(?:^|[.!?…:;\n\"“”«»¿¡(\-–—•*])[\s\"“«¿¡'*]*$")

_SAID: Final = r"(?P<said>[^,.;:!?()—\n]+)"
_YES: Final = re.compile(r"\bsí\b", re.IGNORECASE)
_SUBJECT: Final = re.compile(
    r"\b(?:she|he|they|her|his|their|him|them|you both|you two|both of you|ella|el|ellos|ellas|"
    r"le|les|su|sus|os|los dos|las dos|ambos|ambas|compartis)\b"
)
# What is no statement: a question, a condition, a guess.
_OPEN: Final = re.compile(
    r"\?\s*[\"”»]?\s*$|\b(?:if|whether|maybe|perhaps|might|may|could|would|si|quiza|quizas|tal vez|"
    r"puede que|podria)\b"
)
_CLAUSE_END: Final = re.compile(
    r"\b(?:so|because|but|which|who|then|while|and (?:you|ask|that|it|this)|porque|pero|asi que|"
    r"que|cuando|y (?:tu|te|eso|esto))\b"
)
_SHINGLE: Final = 7


@dataclass(frozen=True, slots=True)
class Words:
    """`data/claims.toml`: what the net is made of."""

    capitalised: frozenset[str]
    beginnings: frozenset[str]
    numbers: frozenset[str]
    empty: frozenset[str]
    claims: tuple[re.Pattern[str], ...]

    @classmethod
    @cache
    def load(cls) -> Words:
        text = (resources.files("eros_assistant") / "data/claims.toml").read_text("utf-8")
        data = tomllib.loads(text)
        return cls(
            frozenset(data["capitalised"].split()),
            frozenset(data["beginnings"].split()),
            frozenset(data["numbers"].split()),
            frozenset(data["empty"].split()),
            tuple(re.compile(rf"\b(?:{one}) {_SAID}") for one in data["claims"]),
        )


class Given:
    """What a model was told, as one may compare with it."""

    def __init__(self, texts: Iterable[str], names: frozenset[str], rules: str) -> None:
        """`names` are first names, folded; `rules` is what must not be repeated."""
        told = list(texts)
        folded = fold("\n".join(told))
        self._data = Words.load()
        self._names = names
        self._words = frozenset(_bare(word) for word in _WORD.findall(folded))
        self._numbers = frozenset(_DIGITS.findall(folded))
        self._folded = folded
        self._rules = _shingles(fold(rules))

    def fault(self, sentence: str) -> Fault | None:
        """The first thing in it that was not given."""
        folded = fold(sentence)
        if any(found.group() not in self._folded for found in _CONTACT.finditer(folded)):
            return Fault.CONTACT
        if self._rules & _shingles(folded):
            return Fault.RULES
        numbers = _DIGITS.findall(_NUMBERING.sub("", sentence))
        words = {_bare(word) for word in _WORD.findall(folded)}
        if not set(numbers) <= self._numbers or words & self._data.numbers - self._words:
            return Fault.NUMBER
        if self._has_a_new_name(sentence):
            return Fault.NAME
        return Fault.CLAIM if self._claims(sentence, folded) else None

    def _has_a_new_name(self, sentence: str) -> bool:
        data = self._data
        for found in _WORD.finditer(sentence):
            word = found.group()
            folded = _bare(fold(word))
            if not word[0].isupper() or folded in self._words or folded in data.capitalised:
                continue
            begins = _BEGINS.search(sentence[: found.start()]) is not None
            if not begins or folded in self._names - data.beginnings:
                return True
        return False

    def _claims(self, sentence: str, folded: str) -> bool:
        # Without its accent it would be the other one: yes, and if.
        if _OPEN.search(fold(_YES.sub("yes", sentence))) or not self._speaks_of_somebody(
            sentence, folded
        ):
            return False
        for pattern in self._data.claims:
            for claim in pattern.finditer(folded):
                said = _CLAUSE_END.split(claim["said"], maxsplit=1)[0]
                if not all(self._was_given(word) for word in _WORD.findall(said)):
                    return True
        return False

    def _speaks_of_somebody(self, sentence: str, folded: str) -> bool:
        return _SUBJECT.search(folded) is not None or any(
            word[0].isupper() and _bare(fold(word)) in self._names
            for word in _WORD.findall(sentence)
        )

    def _was_given(self, word: str) -> bool:
        bare = _bare(word)
        if len(bare) < 3 or bare in self._data.empty or bare in self._words:
            return True
        return any(_same_stem(bare, other) for other in self._words)


def sentences(text: str) -> tuple[list[str], str]:
    """The whole sentences with what is between them, and what is not yet one."""
    found: list[str] = []
    start = 0
    for end in _SENTENCE_END.finditer(text):
        found.append(text[start : end.end()])
        start = end.end()
    return found, text[start:]


def _bare(word: str) -> str:
    return word.replace("’", "'").removesuffix("'s").replace("'", "")


def _same_stem(one: str, other: str) -> bool:
    shorter = min(len(one), len(other))
    if shorter < 3:
        return False
    length = max(3, -(-7 * shorter // 10))
    return one[:length] == other[:length]


def _shingles(folded: str) -> frozenset[tuple[str, ...]]:
    words: Sequence[str] = _WORD.findall(folded)
    return frozenset(
        tuple(words[start : start + _SHINGLE]) for start in range(len(words) - _SHINGLE + 1)
    )
