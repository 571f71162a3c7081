"""Words that mean the same thing, in both languages: see `data/concepts.txt`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from importlib import resources

from eros_assistant.understanding.words import NAME, QUOTE, fold


class Concepts:
    """Terms by what they mean."""

    def __init__(self, text: str) -> None:
        self._terms: dict[str, set[str]] = defaultdict(set)
        self._starts: dict[str, set[str]] = defaultdict(set)
        for line in text.splitlines():
            if not line or line.startswith("#"):
                continue
            concept, _, terms = line.partition(":")
            for term in terms.split(","):
                self._add(concept, fold(term.strip()).replace("'", "").replace("-", " "))
        self._longest = max(term.count(" ") + 1 for term in self._terms)
        self._start_sizes = sorted({len(start) for start in self._starts})

    @classmethod
    def load(cls) -> Concepts:
        path = resources.files("eros_assistant") / "data/concepts.txt"
        return cls(path.read_text(encoding="utf-8"))

    def of(self, words: Sequence[str]) -> list[str]:
        """The concepts that folded words speak of, sorted."""
        found: set[str] = set()
        for position, word in enumerate(words):
            for size in range(1, min(self._longest, len(words) - position) + 1):
                found |= self._terms.get(" ".join(words[position : position + size]), set())
            for size in self._start_sizes:
                found |= self._starts.get(word[:size], set()) if size <= len(word) else set()
            if word == NAME:
                found.add(NAME)
        return sorted(found)

    def _add(self, concept: str, term: str) -> None:
        if term == "«quote»":
            self._terms[QUOTE].add(concept)
        elif term.endswith("*") and " " not in term:
            self._starts[term[:-1]].add(concept)
        else:
            self._terms[term.rstrip("*")].add(concept)
