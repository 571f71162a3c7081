"""What calls for care in a text: scams, threats, pressure, danger. Patterns and words are data."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final, Self

from eros_advice.texts import Language
from eros_assistant.domain.answers import Caution, WarningKind
from eros_assistant.understanding.words import fold

URGENT: Final = frozenset((WarningKind.SELF_HARM, WarningKind.DANGER))
"""Help lines come before everything else."""

# Where the number has no country code it may be of these.
_REGIONS: Final = (None, "ES", "US", "GB", "MX")
_MAY_BE_A_NUMBER: Final = re.compile(r"\d(?:[\s().-]*\d){6,}")
_DATES_AND_TIMES: Final = re.compile(
    r"\b\d{4}-\d\d-\d\d\b|\b\d{1,2}[/.]\d{1,2}[/.]\d{2,4}\b|\b\d\d?:\d\d\b"
)


@dataclass(frozen=True, slots=True)
class Found:
    """Something that was recognised, and the entry of the library about it."""

    kind: WarningKind
    entry: str
    message: dict[Language, str]

    def caution(self, language: Language) -> Caution:
        return Caution(self.kind, self.message[language])


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind; `examples` must be recognised, `fine` must not."""

    found: Found
    patterns: tuple[re.Pattern[str], ...]
    exceptions: tuple[re.Pattern[str], ...]
    examples: tuple[str, ...]
    fine: tuple[str, ...]

    def fits(self, folded: str) -> bool:
        for exception in self.exceptions:
            folded = exception.sub(" ", folded)
        return any(pattern.search(folded) for pattern in self.patterns)


class Safety:
    """Compiled once; a text takes some 50 µs."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self.rules = rules
        # Its first use builds tables: now rather than in a request.
        self._has_number("+34 612 345 678")

    @classmethod
    def load(cls) -> Self:
        path = resources.files("eros_assistant") / "data/safety.toml"
        kinds = tomllib.loads(path.read_text(encoding="utf-8"))["kind"]
        return cls(tuple(_rule(kind) for kind in kinds))

    def look(self, text: str) -> tuple[Found, ...]:
        """All that calls for care, the gravest first."""
        return tuple(self._look(text))

    def _look(self, text: str) -> Iterator[Found]:
        folded = " ".join(fold(text).replace("'", "").split())
        for rule in self.rules:
            is_contact = rule.found.kind is WarningKind.CONTACT_DATA
            if rule.fits(folded) or (is_contact and self._has_number(text)):
                yield rule.found

    def _has_number(self, text: str) -> bool:
        plain = _DATES_AND_TIMES.sub(" ", text)
        if not _MAY_BE_A_NUMBER.search(plain):
            return False
        from phonenumbers import PhoneNumberMatcher

        return any(PhoneNumberMatcher(plain, region).has_next() for region in _REGIONS)


def _rule(kind: dict[str, Any]) -> Rule:
    return Rule(
        Found(
            WarningKind(kind["name"]),
            kind["entry"],
            {language: kind[f"message_{language.value}"] for language in Language},
        ),
        tuple(re.compile(pattern) for pattern in kind["patterns"]),
        tuple(re.compile(pattern) for pattern in kind["except"]),
        tuple(kind["examples"]),
        tuple(kind["fine"]),
    )
