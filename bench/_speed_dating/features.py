"""The thin adapter: a survey as the design the engine learns from.

Only what a person said before the evening. The blocks mirror those of a profile: interests meet
interests, age meets age, what somebody seeks meets what the other says of themselves.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bench._speed_dating.data import INTERESTS, QUALITIES, Evenings
from eros_matcher.learning.design import Design

Doubles = npt.NDArray[np.float64]

_GOALS = range(1, 7)


def design_of(evenings: Evenings, known: npt.NDArray[np.bool_]) -> Design:
    """`known` are the people whose answers may set means and spreads: those learned from."""
    survey = evenings.survey
    interests = np.stack([survey[name] for name in INTERESTS], axis=1)
    importance = np.stack([survey[f"{name}1_1"] for name in (*QUALITIES, "shar")], axis=1)
    # Some evenings asked for points of 100, some for marks of 10.
    total = np.nansum(importance, axis=1, keepdims=True)
    importance = importance / np.where(total > 0, total, np.nan)
    own = np.stack([survey[f"{name}3_1"] for name in QUALITIES], axis=1)
    seen = np.stack([survey[f"{name}5_1"] for name in QUALITIES], axis=1)
    male = np.where(survey["gender"] == 1, 1.0, -1.0)[:, None]
    age = survey["age"][:, None]
    goals = np.stack([survey["goal"] == goal for goal in _GOALS], axis=1).astype(float)
    habits = np.stack([survey[name] for name in ("date", "go_out", "exphappy")], axis=1)
    unseen = np.isnan(seen[:, :1]).astype(float)
    evening = np.stack([survey["round"], survey["condtn"]], axis=1)
    plain = np.concatenate(
        [age, habits, interests, importance, own, unseen, seen, evening, goals], axis=1
    )
    scaled = _scaled(plain, known)
    gendered = _scaled(np.concatenate([age, own, interests], axis=1), known) * male
    bias = np.concatenate([male, scaled, gendered], axis=1)

    liking = _scaled(interests, known)
    # Two people's products of these sum to the correlation of their interests.
    answered = np.maximum(np.isfinite(interests).sum(axis=1, keepdims=True), 1)
    profile = interests - np.nansum(interests, axis=1, keepdims=True) / answered
    profile = profile / (np.sqrt(np.nansum(profile**2, axis=1, keepdims=True)) + 1e-9)
    profile = np.nan_to_num(profile) * 2
    wanted = _scaled(importance[:, : len(QUALITIES)], known)
    offered = _scaled(own, known)
    same = _scaled(np.concatenate([age, habits[:, :2]], axis=1), known)
    goal = _scaled(goals, known)
    blocks = [
        (liking, liking, np.arange(liking.shape[1])),
        (profile, profile, np.zeros(profile.shape[1], dtype=int)),
        (wanted, offered, np.arange(len(QUALITIES))),
        (same, same, np.arange(same.shape[1])),
        (male * same[:, :1], same[:, :1], np.arange(1)),
        (goal, goal, np.zeros(goal.shape[1], dtype=int)),
    ]
    tie: list[npt.NDArray[np.int64]] = []
    for _, _, block in blocks:
        tie.append(block + (int(tie[-1].max()) + 1 if tie else 0))
    return Design(
        bias=bias.astype(np.float32),
        taste=np.concatenate([taste for taste, _, _ in blocks], axis=1).astype(np.float32),
        trait=np.concatenate([trait for _, trait, _ in blocks], axis=1).astype(np.float32),
        tie=np.concatenate(tie).astype(np.int32),
    )


def _scaled(values: Doubles, known: npt.NDArray[np.bool_]) -> Doubles:
    """Mean 0 and spread 1 among the known; what is missing is the mean."""
    shown = values[known]
    with np.errstate(invalid="ignore"):
        counted = np.isfinite(shown).sum(axis=0)
        mean = np.where(counted > 0, np.nansum(shown, axis=0) / np.maximum(counted, 1), 0.0)
        spread = np.sqrt(np.nansum((shown - mean) ** 2, axis=0) / np.maximum(counted, 1))
    return np.nan_to_num(np.where(spread > 1e-9, (values - mean) / np.maximum(spread, 1e-9), 0.0))
