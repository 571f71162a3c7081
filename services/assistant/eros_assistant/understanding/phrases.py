"""Training phrases: `data/phrases/INTENT.LANGUAGE.txt`, one a line."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

from eros_advice.texts import Language
from eros_assistant.domain.intents import Intent


@dataclass(frozen=True, slots=True)
class Phrase:
    """Something people say, and what they want with it."""

    text: str
    intent: Intent
    language: Language


def training_phrases() -> list[Phrase]:
    """All of them, always in the same order."""
    folder = resources.files("eros_assistant") / "data/phrases"
    return [
        Phrase(line, intent, language)
        for intent in Intent
        for language in Language
        for line in (folder / f"{intent}.{language}.txt").read_text(encoding="utf-8").splitlines()
    ]
