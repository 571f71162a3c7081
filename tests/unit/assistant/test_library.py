"""The advice library: enough of it, well-formed, and found."""

from __future__ import annotations

import pytest

from eros_advice.library_entries import LibraryFault, library, parse
from eros_advice.texts import Language
from eros_assistant.safety import Safety
from eros_assistant.searching import KNOWN, Library
from eros_assistant.understanding.vectors import SentenceVectors


@pytest.fixture(scope="module")
def found() -> Library:
    return Library(SentenceVectors.load().of)


def test_there_are_sixty_topics_with_something_to_say() -> None:
    entries = library()
    assert len(entries) >= 60
    for entry in entries.values():
        assert len(entry.text[Language.EN].split()) >= 50, entry.id
        assert len(entry.text[Language.ES].split()) >= 25, entry.id
        assert min(len(entry.keywords[language]) for language in Language) >= 3, entry.id
    assert {"consent", "spotting-scams", "meeting-safely", "crisis-help"} <= entries.keys()


def test_every_warning_leads_to_an_entry() -> None:
    assert {rule.found.entry for rule in Safety.load().rules} <= library().keys()


@pytest.mark.parametrize(
    ("question", "entry"),
    [
        ("Who pays on the first date?", "who-pays"),
        ("how do I spot a romance scam", "spotting-scams"),
        ("what is consent", "consent"),
        ("I was ghosted, what now?", "being-ghosted"),
        ("which photos should I choose", "choosing-photos"),
        ("what to wear on a date", "what-to-wear"),
        ("how does the matching algorithm work", "how-matching-works"),
        ("I am jealous", "jealousy"),
        ("dating with kids", "dating-with-children"),
        ("¿Quién paga en la primera cita?", "who-pays"),
        ("¿cómo detecto una estafa?", "spotting-scams"),
        ("qué es el consentimiento", "consent"),
        ("me hicieron ghosting", "being-ghosted"),
        ("qué ropa me pongo", "what-to-wear"),
        ("siento celos", "jealousy"),
        ("cómo borro mi cuenta y mis datos", "your-data"),
    ],
)
def test_questions_find_their_entry(found: Library, question: str, entry: str) -> None:
    hits = found.find(question)
    assert hits[0].entry.id == entry, [(hit.entry.id, hit.score) for hit in hits]
    assert hits[0].score >= KNOWN


@pytest.mark.parametrize(
    "question",
    [
        "how do I change a tyre",
        "what is the capital of Peru",
        "write a function in Rust",
        "¿cuánto cuesta un vuelo a Lima?",
        "receta de lentejas",
        "quantum chromodynamics",
    ],
)
def test_what_it_does_not_know_it_says(found: Library, question: str) -> None:
    assert found.find(question)[0].score < KNOWN


@pytest.mark.parametrize("source", ["", "---\ntitle: x\n---\n\ntext", "no front matter"])
def test_a_malformed_entry_is_refused(source: str) -> None:
    with pytest.raises(LibraryFault):
        parse("x", source)
