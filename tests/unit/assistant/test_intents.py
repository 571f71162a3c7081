"""Intents of phrases that the head was not trained on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from eros_advice.texts import Language
from eros_assistant.domain.intents import Intent
from eros_assistant.understanding.phrases import training_phrases
from eros_assistant.understanding.trained import fingerprint
from eros_assistant.understanding.understanding import Understanding

HELD_OUT = Path(__file__).parent


@pytest.fixture(scope="module")
def understanding() -> Understanding:
    return Understanding.load()


def held_out(name: str) -> list[tuple[Intent, str]]:
    lines = (HELD_OUT / name).read_text(encoding="utf-8").splitlines()
    return [(Intent(line.partition("\t")[0]), line.partition("\t")[2]) for line in lines]


def test_there_are_many_phrases_of_each_in_both_languages() -> None:
    phrases = training_phrases()
    counts = Counter((phrase.intent, phrase.language) for phrase in phrases)
    assert len(Intent) >= 13
    assert min(counts[intent, language] for intent in Intent for language in Language) >= 40
    texts = {phrase.text.casefold() for phrase in phrases}
    for name in ("held_out.tsv", "held_out_2.tsv"):
        shared = {text for _, text in held_out(name) if text.casefold() in texts}
        assert not shared, "held-out phrases must not be trained on"


@pytest.mark.parametrize("name", ["held_out.tsv", "held_out_2.tsv"])
def test_nine_of_ten_phrases_that_it_never_saw_are_understood(
    understanding: Understanding, name: str
) -> None:
    phrases = held_out(name)
    wrong = [
        f"{text!r}: {understanding.intent(text).intent}, not {intent}"
        for intent, text in phrases
        if understanding.intent(text).intent is not intent
    ]
    assert len(wrong) <= 0.08 * len(phrases), "\n".join(wrong)


@pytest.mark.parametrize("text", ["", "   ", "🙂", "?!", "x" * 5000, "\u0000\ud7ff"])
def test_no_text_is_too_strange(understanding: Understanding, text: str) -> None:
    assert understanding.intent(text).intent in Intent


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("hola", Language.ES),
        ("gracias", Language.ES),
        ("¿quién paga?", Language.ES),
        ("hi", Language.EN),
        ("who pays on a date", Language.EN),
        ("Bonjour, comment ça va aujourd'hui ?", Language.EN),
    ],
)
def test_the_language_of_short_texts(
    understanding: Understanding, text: str, language: Language
) -> None:
    assert understanding.languages.answering(text) is language


def test_the_fingerprint_is_stable() -> None:
    assert fingerprint() == fingerprint()
