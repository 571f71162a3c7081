"""What the head sees of a text besides its sentence vector: hashed n-grams and concepts."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from eros_assistant.understanding.concepts import Concepts
from eros_assistant.understanding.words import NAME, QUOTE, words

DIMENSIONS: Final = 16_384

# How much each kind of feature counts, found by cross-validation.
_WORD, _PAIR, _SKIP, _PART, _CONCEPT, _CONCEPTS = 1.0, 0.7, 0.4, 0.3, 1.0, 1.0
_PARTS: Final = (3, 4, 5)
# Concepts that any question may speak of: having only these, a text is probably not for us.
_ANYBODYS: Final = frozenset(
    (
        *("you", "me", "he_she", "we", "should", "is_it_ok", "help"),
        *("facts", "school", "household", "services", "weather", "write", "say"),
        *("show", "today", "word", "first", "when_day", "tell_me", "how_works"),
        *(
            "question_how",
            "question_what",
            "question_who",
            "question_why",
            "question_where",
            "question_when",
        ),
    )
)


@dataclass(frozen=True, slots=True)
class Sparse:
    """A vector of length 1 by its places that are not zero."""

    places: npt.NDArray[np.int32]
    values: npt.NDArray[np.float32]


class Features:
    """Deterministic: the same text always gives the same vector."""

    def __init__(self, concepts: Concepts, names: frozenset[str]) -> None:
        self._concepts = concepts
        self._names = names

    def of(self, text: str) -> Sparse:
        found = words(text, self._names)
        sums: dict[int, float] = defaultdict(float)
        for feature, weight in self._weighted(found):
            digest = zlib.crc32(feature.encode())
            sums[digest % DIMENSIONS] += -weight if digest & 0x8000_0000 else weight
        values = np.fromiter(sums.values(), np.float32, len(sums))
        size = float(np.linalg.norm(values)) or 1.0
        return Sparse(np.fromiter(sums, np.int32, len(sums)), values / np.float32(size))

    def _weighted(self, found: Sequence[str]) -> Iterator[tuple[str, float]]:
        for word in found:
            yield f"w:{word}", _WORD
            if word not in (NAME, QUOTE):
                framed = f"<{word}>"
                for size in _PARTS:
                    for start in range(len(framed) - size + 1):
                        yield f"c:{framed[start : start + size]}", _PART
        for left, right in zip(["^", *found], [*found, "$"], strict=True):
            yield f"b:{left} {right}", _PAIR
        for left, right in zip(found, found[2:], strict=False):
            yield f"s:{left} {right}", _SKIP
        concepts = self._concepts.of(found)
        for position, concept in enumerate(concepts):
            yield f"k:{concept}", _CONCEPT
            for other in concepts[position + 1 :]:
                yield f"p:{concept}|{other}", _CONCEPTS
        ours = sum(concept not in _ANYBODYS for concept in concepts)
        yield f"k:ours {min(ours, 3)}", _CONCEPT
        if len(found) <= 3:
            yield f"k:words {len(found)}", _CONCEPT
