"""What one may ask about an interest, or do together because of it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from eros_advice.texts import Language


@dataclass(frozen=True, slots=True)
class Topic:
    """An interest that the library knows; texts by language."""

    name: dict[Language, str]
    question: dict[Language, str]
    date: dict[Language, str]


def topic_of(interest: str) -> Topic | None:
    """What is known of an interest as a person wrote it; None for one that is not known."""
    return _topics().get(" ".join(interest.casefold().split()))


def named(interest: str, language: Language) -> str:
    """The interest in a sentence: in the language if it is known, else as it was written."""
    topic = topic_of(interest)
    return interest if topic is None else topic.name[language]


@cache
def _topics() -> dict[str, Topic]:
    text = (resources.files("eros_advice") / "interests.toml").read_text(encoding="utf-8")
    found: dict[str, Topic] = {}
    for one in tomllib.loads(text)["interest"]:
        topic = Topic(
            name={language: one[language.value] for language in Language},
            question={language: one[f"ask_{language.value}"] for language in Language},
            date={language: one[f"date_{language.value}"] for language in Language},
        )
        for name in one["names"]:
            found[name] = topic
    return found
