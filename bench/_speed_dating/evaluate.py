"""The engine against its baselines on held-out decisions, fold by fold, in one run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from threadpoolctl import threadpool_limits

from bench._speed_dating import baselines
from bench._speed_dating.baselines import Answer, behaviour_of
from bench._speed_dating.data import Evenings, read
from bench._speed_dating.features import design_of
from bench._speed_dating.metrics import auc, average_precision, by_person
from bench._speed_dating.splits import SEED, Fold, Mask, Split, folds_of
from eros_matcher.features.model import LATENT_DIMS
from eros_matcher.learning.calibrate import match_probability
from eros_matcher.learning.course import learn
from eros_matcher.learning.design import Design
from eros_matcher.learning.learned import Learned, Vectors, vectors

ENGINE: Final = "eros"
Row = dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Trained:
    """The engine after learning from some pairs."""

    design: Design
    learned: Learned
    vectors: Vectors


def train(evenings: Evenings, mask: Mask) -> Trained:
    """The learner that runs at night, on these pairs; answers of nobody else set any scale."""
    known = np.zeros(len(evenings.wave), dtype=bool)
    known[evenings.left[mask]] = True
    known[evenings.right[mask]] = True
    design = design_of(evenings, known)
    learned = learn(design, behaviour_of(evenings, mask), seed=SEED, latent=LATENT_DIMS)
    return Trained(design, learned, vectors(design, learned))


def answer(trained: Trained, evenings: Evenings, mask: Mask, *, mutual: bool = True) -> Answer:
    """What the scorer says of pairs: each direction, and both.

    Without `mutual`: the product, as if one's interest told nothing of the other's.
    """
    left, right = evenings.left[mask], evenings.right[mask]
    there, back = trained.vectors.logits(left, right), trained.vectors.logits(right, left)
    return Answer(
        1 / (1 + np.exp(-there)),
        1 / (1 + np.exp(-back)),
        match_probability(there, back, trained.learned.mutual if mutual else 0.0),
    )


def trainings(evenings: Evenings, split: Split) -> Iterator[tuple[Fold, Trained]]:
    """Each fold with the engine as trained for it; folds that learn from the same share it."""
    before: tuple[Mask, Trained] | None = None
    for fold in folds_of(evenings, split):
        if not fold.train.any() or not fold.test.any():
            continue
        if before is None or not np.array_equal(before[0], fold.train):
            before = (fold.train, train(evenings, fold.train))
        yield fold, before[1]


def run(path: Path, split: Split) -> dict[str, Any]:
    """All methods on all folds; raises UnreadableFileError. Figures are means over folds."""
    # The products are small: more threads only wait for each other.
    with threadpool_limits(1):
        return _run(path, split)


def _run(path: Path, split: Split) -> dict[str, Any]:
    began = time.monotonic()
    evenings = read(path)
    folds: list[dict[str, Row]] = []
    names: list[str] = []
    calibration: list[dict[str, float]] = []
    for fold, trained in trainings(evenings, split):
        answers = {
            ENGINE: answer(trained, evenings, fold.test),
            f"{ENGINE}_product": answer(trained, evenings, fold.test, mutual=False),
        }
        answers |= _baselines(evenings, trained.design, fold, split)
        folds.append({name: _row(evenings, fold.test, found) for name, found in answers.items()})
        names.append(fold.name)
        learned = trained.learned
        calibration.append(
            {"scale": learned.scale, "shift": learned.shift, "mutual": learned.mutual}
        )
    return {
        "split": split.value,
        "people": len(evenings.wave),
        "pairs": len(evenings.left),
        "waves": len(np.unique(evenings.wave)),
        "rows_dropped": evenings.dropped,
        "match_base_rate": float(evenings.match.mean()),
        "decision_base_rate": float((evenings.left_says.mean() + evenings.right_says.mean()) / 2),
        "folds": len(folds),
        "methods": _methods(folds),
        "paired": _paired(folds),
        "calibration": {
            key: float(np.mean([one[key] for one in calibration]))
            for key in ("scale", "shift", "mutual")
            if calibration
        },
        "fold_rows": [
            {"fold": name, **{f"{method}": row for method, row in fold.items()}}
            for name, fold in zip(names, folds, strict=True)
        ],
        "left_out": ["samerace", "race", "income", "imprace", "imprelig", "all rated afterwards"],
        "seconds": time.monotonic() - began,
    }


def _baselines(evenings: Evenings, design: Design, fold: Fold, split: Split) -> dict[str, Answer]:
    asked = (evenings, design, fold.train, fold.test, split)
    found = {
        "logistic_regression": baselines.logistic(*asked),
        "logistic_regression_with_samerace": baselines.logistic(*asked, extra=True),
    }
    if split is not Split.COLD:
        # Who is new gave and got nothing yet.
        found["popularity_selectivity"] = baselines.popularity(evenings, fold.train, fold.test)
        found["popularity_selectivity_smoothed"] = baselines.popularity(
            evenings, fold.train, fold.test, smooth=4.0
        )
        found["lfrr"] = baselines.lfrr(evenings, fold.train, fold.test)
    return found


def _row(evenings: Evenings, test: Mask, found: Answer) -> Row:
    left, right = evenings.left[test], evenings.right[test]
    chooser = np.concatenate([left, right])
    says = np.concatenate([evenings.left_says[test], evenings.right_says[test]])
    likely = np.concatenate([found.left, found.right])
    match = evenings.match[test]
    twice, score = np.concatenate([match, match]), np.concatenate([found.match, found.match])
    row: Row = {
        "match_auc": auc(match, found.match),
        "match_ap": average_precision(match, found.match),
        "decision_auc": auc(says, likely),
        "decision_ap": average_precision(says, likely),
        "decision_log_loss": float(-np.log(np.where(says, likely, 1 - likely).clip(1e-9)).mean()),
    }
    row["match_person_auc"], row["match_p5"] = by_person(chooser, twice, score)
    row["decision_person_auc"], row["decision_p5"] = by_person(chooser, says, likely)
    return row


def _methods(folds: list[dict[str, Row]]) -> dict[str, dict[str, dict[str, float]]]:
    result: dict[str, dict[str, dict[str, float]]] = {}
    for method in folds[0] if folds else ():
        result[method] = {}
        for metric in folds[0][method]:
            values = [v for fold in folds if (v := fold[method][metric]) is not None]
            if values:
                result[method][metric] = {
                    "mean": float(np.mean(values)),
                    "std": float(np.std(values)),
                }
    return result


def _paired(folds: list[dict[str, Row]]) -> dict[str, dict[str, dict[str, float]]]:
    """Engine minus each baseline, fold by fold."""
    result: dict[str, dict[str, dict[str, float]]] = {}
    for method in folds[0] if folds else ():
        if method == ENGINE:
            continue
        result[method] = {}
        for metric in ("match_auc", "match_ap", "decision_auc"):
            gains = [
                ours - theirs
                for fold in folds
                if (ours := fold[ENGINE][metric]) is not None
                and (theirs := fold[method][metric]) is not None
            ]
            if gains:
                result[method][metric] = {
                    "mean": float(np.mean(gains)),
                    "standard_error": float(np.std(gains) / np.sqrt(len(gains))),
                    "folds_not_below": float(np.mean([gain >= 0 for gain in gains])),
                }
    return result
