"""Sentence vectors: the mean of the word vectors that WordLlama's wheel carries.

Its data is all that is used of that package (`vectors.lock` says where it comes
from): its own code needs a compiled part that not every Python and processor has.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from safetensors import safe_open
from tokenizers import Tokenizer

Vectors = npt.NDArray[np.float32]

FOLDER: Final = Path(sys.prefix) / "share/eros/vectors"
"""Where the set-up and the image unpack the wheel."""
_WORDS: Final = "wordllama/tokenizers/l2_supercat_tokenizer_config.json"
_WEIGHTS: Final = "wordllama/weights/l2_supercat_256.safetensors"


class SentenceVectors:
    """0.04 ms a sentence. `words`: one row of 256 halves for each of the tokenizer's tokens."""

    def __init__(self, tokenizer: Tokenizer, words: npt.NDArray[np.float16]) -> None:
        self._tokenizer = tokenizer
        self._words = words

    @classmethod
    def load(cls, folder: Path = FOLDER) -> SentenceVectors:
        """Raises FileNotFoundError where the wheel was not unpacked."""
        with safe_open(folder / _WEIGHTS, framework="np") as tensors:
            words = tensors.get_tensor("embedding.weight")
        return cls(Tokenizer.from_file(str(folder / _WORDS)), words)

    def of(self, texts: Sequence[str]) -> Vectors:
        """One row of length 1 per text; of zeros for a text without words."""
        rows = np.zeros((len(texts), self._words.shape[1]), np.float32)
        encoded = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        for row, tokens in zip(rows, encoded, strict=True):
            if tokens.ids:
                row[:] = self._words[tokens.ids].mean(axis=0, dtype=np.float32)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        rows /= np.where(lengths > 0, lengths, np.float32(1))
        return rows
