"""The whole of understanding: language and intent of a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from eros_assistant.domain.intents import Intent
from eros_assistant.understanding.concepts import Concepts
from eros_assistant.understanding.features import Features, Sparse
from eros_assistant.understanding.head import Head
from eros_assistant.understanding.language import Languages
from eros_assistant.understanding.trained import trained_head
from eros_assistant.understanding.vectors import SentenceVectors, Vectors
from eros_assistant.understanding.words import first_names, without_quotes

LEAST: Final = 0.2
"""Below this probability the answer is "none of these" (calibrated by cross-validation)."""
_LOOKED_AT: Final = 400
"""Characters of a long text: what is wanted is said at its beginning."""

INTENTS: Final = tuple(Intent)


@dataclass(frozen=True, slots=True)
class Guess:
    """An intent and how probable it is, 0 to 1."""

    intent: Intent
    probability: float


class Understanding:
    """Everything in memory; each call takes a fraction of a millisecond."""

    def __init__(
        self, vectors: SentenceVectors, features: Features, head: Head, languages: Languages
    ) -> None:
        self._vectors = vectors
        self._features = features
        self._head = head
        self.languages = languages

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        """Reads weights and head; where the head is missing in `folder`, it is trained first."""
        return cls(
            SentenceVectors.load(),
            Features(Concepts.load(), first_names()),
            trained_head(folder),
            Languages.load(),
        )

    def vector(self, text: str) -> Vectors:
        """The sentence vector, for finding what is similar."""
        row: Vectors = self._vectors.of([text])[0]
        return row

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """One row a text."""
        return self._vectors.of(texts)

    def intent(self, text: str) -> Guess:
        """What somebody wants who writes this."""
        looked_at = text[:_LOOKED_AT]
        features: Sparse = self._features.of(looked_at)
        if not features.places.size:
            return Guess(Intent.NONE, 1.0)
        probabilities = self._head.probabilities(self.vector(without_quotes(looked_at)), features)
        best = int(probabilities.argmax())
        probability = float(probabilities[best])
        if probability < LEAST:
            return Guess(Intent.NONE, probability)
        return Guess(INTENTS[best], probability)
