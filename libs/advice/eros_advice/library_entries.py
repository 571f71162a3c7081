"""The advice library: `library/*.md`, Markdown with front matter, English and Spanish."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from eros_advice.texts import Language

_FENCE: Final = "---\n"
_SPANISH: Final = "\n## es\n"
_FIELDS: Final = frozenset(("title", "title_es", "keywords", "keywords_es"))


class LibraryFault(ValueError):
    """An entry is not written as it must be; the message names file and fault."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One topic; titles, keywords and texts by language."""

    id: str
    title: dict[Language, str]
    keywords: dict[Language, tuple[str, ...]]
    text: dict[Language, str]


@cache
def library() -> dict[str, Entry]:
    """All entries by id, in alphabetical order. Raises LibraryFault."""
    return {entry.id: entry for entry in _read()}


def parse(name: str, source: str) -> Entry:
    """An entry as it is written."""
    if not source.startswith(_FENCE):
        raise LibraryFault(f"{name}: does not begin with ---")
    head, found, body = source.removeprefix(_FENCE).partition(f"\n{_FENCE}")
    english, spanish_found, spanish = body.partition(_SPANISH)
    if not found or not spanish_found:
        raise LibraryFault(f"{name}: needs front matter and a part '## es'")
    fields = dict(_field(name, line) for line in head.splitlines())
    if fields.keys() != _FIELDS:
        raise LibraryFault(f"{name}: has the fields {sorted(fields)}, not {sorted(_FIELDS)}")
    entry = Entry(
        id=name,
        title={Language.EN: fields["title"], Language.ES: fields["title_es"]},
        keywords={
            Language.EN: _keywords(fields["keywords"]),
            Language.ES: _keywords(fields["keywords_es"]),
        },
        text={Language.EN: _flowing(english), Language.ES: _flowing(spanish)},
    )
    if not all(entry.text.values()) or not all(entry.keywords.values()):
        raise LibraryFault(f"{name}: has an empty text or no keywords")
    return entry


def _read() -> Iterator[Entry]:
    folder = resources.files("eros_advice") / "library"
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".md"):
            yield parse(file.name.removesuffix(".md"), file.read_text(encoding="utf-8"))


def _field(entry: str, line: str) -> tuple[str, str]:
    name, found, value = line.partition(": ")
    if not found:
        raise LibraryFault(f"{entry}: the line {line!r} is no 'field: value'")
    return name, value.strip()


def _keywords(text: str) -> tuple[str, ...]:
    return tuple(keyword.strip() for keyword in text.split(",") if keyword.strip())


def _flowing(text: str) -> str:
    # Lines are wrapped in the files only; paragraphs stay.
    paragraphs = text.strip().split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
