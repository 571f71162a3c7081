"""The trained head: regularised least squares on sentence vectors and hashed features.

Solved in closed form, so that it is the same at every start and takes a second. Softmax regression
on the same features is as good and takes several times as long (docs/adr/0602).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from eros_assistant.understanding.features import DIMENSIONS, Sparse
from eros_assistant.understanding.vectors import Vectors

_REGULARISATION: Final = 0.3
_BLOCK: Final = 1024
_STRIP: Final = 512
"""Columns of the features that are dense at a time, and rows of their products: all of it at once
would be hundreds of megabytes."""

VECTOR_WEIGHT: Final = 0.8
TEMPERATURE: Final = 11.0
"""Of the softmax over scores: with it a probability is how often it is right, by cross-validation
(tests/unit/assistant/test_intents.py)."""


@dataclass(frozen=True, slots=True)
class Head:
    """Weights of the vector and of the features, a column a class."""

    of_vectors: npt.NDArray[np.float32]
    of_features: npt.NDArray[np.float32]

    def probabilities(self, vector: Vectors, features: Sparse) -> npt.NDArray[np.float32]:
        """One per class."""
        scores = vector @ self.of_vectors + features.values @ self.of_features[features.places]
        raised: npt.NDArray[np.float32] = np.exp(TEMPERATURE * (scores - scores.max()))
        raised /= raised.sum()
        return raised


def train(
    vectors: Vectors, features: Sequence[Sparse], classes: npt.NDArray[np.intp], count: int
) -> Head:
    """A head for `count` classes from one vector, one sparse vector and one class a text."""
    weighted = vectors * np.float32(VECTOR_WEIGHT)
    gram = weighted @ weighted.T
    for block in _blocks(features):
        # Strip by strip: the whole product would be a second matrix of this size.
        for start in range(0, len(gram), _STRIP):
            gram[start : start + _STRIP] += block[start : start + _STRIP] @ block.T
    gram[np.diag_indices_from(gram)] += np.float32(_REGULARISATION)
    targets = np.full((len(classes), count), -1.0 / (count - 1), np.float32)
    targets[np.arange(len(classes)), classes] = 1.0
    shares = np.linalg.solve(gram, targets)
    del gram
    return Head(
        of_vectors=np.float32(VECTOR_WEIGHT) * (weighted.T @ shares),
        of_features=np.concatenate([block.T @ shares for block in _blocks(features)]),
    )


def _blocks(features: Sequence[Sparse]) -> Iterator[npt.NDArray[np.float32]]:
    """The features as dense blocks of columns, one after the other."""
    rows = np.repeat(np.arange(len(features)), [len(one.places) for one in features])
    places = np.concatenate([one.places for one in features])
    values = np.concatenate([one.values for one in features])
    for start in range(0, DIMENSIONS, _BLOCK):
        inside = (places >= start) & (places < start + _BLOCK)
        block = np.zeros((len(features), _BLOCK), np.float32)
        block[rows[inside], places[inside] - start] = values[inside]
        yield block
