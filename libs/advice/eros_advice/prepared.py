"""What the night leaves for a person: `assistant:prepared:{userId}`, JSON, 24 hours.

Made by the worker's `prepare` from profiles and tonight's matches; read by the assistant by day.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final
from uuid import UUID

from eros_advice.icebreakers import openings
from eros_advice.notes import Note, note
from eros_advice.people import Other, Own
from eros_advice.review import Suggestion, review
from eros_advice.situations import likely_questions
from eros_advice.texts import Language

KEPT_SECONDS: Final = 24 * 3600
VERSION: Final = 2
LARGEST_BYTES: Final = 16_000
"""All that is cached of a person stays below 50 KB."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """By language: first lines by the other's user id, the review of the own profile, and what the
    library's answers (by entry id) to the questions that this person's situation makes likely say
    to this person in particular.

    `profile` is the fingerprint of the own profile: what was made of another state is not used.
    """

    profile: str
    openings: dict[Language, dict[str, tuple[str, ...]]]
    review: dict[Language, tuple[Suggestion, ...]]
    questions: tuple[str, ...]
    notes: dict[Language, dict[str, Note]]


def prepared_key(user: UUID) -> str:
    """Where it is kept."""
    return f"assistant:prepared:{user}"


def fingerprint(own: Own) -> str:
    """Changes with whatever of a profile matters here."""
    text = json.dumps(asdict(own), sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def prepare(own: Own, others: Sequence[Other]) -> Prepared:
    """Everything for one person; `others` are tonight's matches, the best first."""
    questions = likely_questions(own, others)
    return Prepared(
        profile=fingerprint(own),
        openings={
            language: {other.user_id: openings(own, other, language) for other in others}
            for language in Language
        },
        review={language: review(own, language) for language in Language},
        questions=questions,
        notes={
            language: {
                entry: found
                for entry in questions
                if (found := note(entry, own, others, language)) is not None
            }
            for language in Language
        },
    )


def encode(prepared: Prepared) -> bytes:
    """As it is stored; the last matches go first where it would be too large."""
    lines = {language.value: dict(found) for language, found in prepared.openings.items()}
    while True:
        data = json.dumps(
            {
                "v": VERSION,
                "profile": prepared.profile,
                "openings": lines,
                "review": {
                    language.value: [[one.key, one.text] for one in found]
                    for language, found in prepared.review.items()
                },
                "questions": prepared.questions,
                "notes": {
                    language.value: {entry: [one.text, one.about] for entry, one in found.items()}
                    for language, found in prepared.notes.items()
                },
            },
            ensure_ascii=False,
            separators=(",", ":"),
        ).encode()
        if len(data) <= LARGEST_BYTES or not any(lines.values()):
            return data
        for found in lines.values():
            if found:
                found.popitem()


def decode(data: bytes) -> Prepared | None:
    """What was stored; None for anything else, such as another version's."""
    try:
        raw: Any = json.loads(data)
        if raw["v"] != VERSION:
            return None
        return Prepared(
            profile=str(raw["profile"]),
            openings={
                language: {
                    user: tuple(map(str, lines))
                    for user, lines in raw["openings"][language.value].items()
                }
                for language in Language
            },
            review={
                language: tuple(
                    Suggestion(str(key), str(text)) for key, text in raw["review"][language.value]
                )
                for language in Language
            },
            questions=tuple(map(str, raw["questions"])),
            notes={
                language: {
                    entry: Note(str(text), str(about))
                    for entry, (text, about) in raw["notes"][language.value].items()
                }
                for language in Language
            },
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def encode_input(own: Own, others: Sequence[Other]) -> bytes:
    """What `prepare` takes, for the way to where it runs."""
    whole = {"own": asdict(own), "others": [asdict(other) for other in others]}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()


def decode_input(data: bytes) -> tuple[Own, tuple[Other, ...]]:
    """The way back. Raises ValueError for anything else."""
    try:
        raw: Any = json.loads(data)
        own = Own(**_tuples(raw["own"]))
        return own, tuple(Other(**_tuples(other)) for other in raw["others"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no input of prepare: {error!r}") from None


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    # JSON knows lists only.
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
    }
