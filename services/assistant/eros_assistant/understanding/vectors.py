"""Sentence vectors of WordLlama, whose weights are in its wheel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]


class SentenceVectors:
    """0.02 ms and 100 MB."""

    def __init__(self, model: Any) -> None:
        self._model = model

    @classmethod
    def load(cls) -> SentenceVectors:
        # Here and not above: importing it takes a fifth of a second and 30 MB.
        import wordllama

        folder = Path(wordllama.__file__).parent
        return cls(wordllama.WordLlama.load(cache_dir=folder, disable_download=True))

    def of(self, texts: Sequence[str]) -> Vectors:
        """One row of length 1 per text; of zeros for a text without words."""
        rows = cast("Vectors", self._model.embed(list(texts), norm=False))
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        found = rows / np.where(lengths > 0, lengths, 1.0)
        return found.astype(np.float32)
