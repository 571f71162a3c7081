"""Fits the model by coordinate Newton steps, block by block. Deterministic, no I/O.

A *sweep* goes through three stages and ends with a fourth:

1. over all observations, sums for one Newton step of the weights that all people share;
2. by chooser: one Newton step of (s, U) of each person, all else fixed;
3. by chosen: the same of (p, V);
4. spreads and towers from what the people's parts look like now (empirical Bayes: the expected
   squares under the local posteriors), and the shared weights moved to where they explain as much
   of the people's parts as they can.

Each step is a `block`: whole people, some thousand observations, well under 10 ms. Blocks have
fixed bounds and sums a fixed order, so the outcome does not depend on where it was interrupted.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from eros_matcher.learning.design import Behaviour, Design, Doubles, Floats, Ints
from eros_matcher.learning.learned import Learned, tower_inputs

BLOCK: Final = 2048
"""Observations a block, unless one person has more."""
_LONGEST: Final = 2.0
"""A Newton step of a person's part is cut to this length: logits do not move further at once."""
_BEND: Final = 0.2
"""What a decision adds to certainty: p (1 - p) for a usual p."""
_BELIEF: Final = 10
"""Sweeps of a fresh start in which learned dimensions are taken for certain."""
_TINY: Final = 1e-4
"""Variances do not fall below this: a thing of no spread is as good as none."""


class Stage(IntEnum):
    SHARED = 0
    CHOOSERS = 1
    CHOSEN = 2
    ALL = 3


@dataclass(slots=True)
class Sums:
    """What a sweep has added up so far."""

    gradient: Doubles
    """(f) of the shared weights,"""
    hessian: Doubles
    """(f, f)"""
    squares_own: Doubles
    """(1 + k) expected squares of people's parts around what their profiles say,"""
    squares_others: Doubles
    loss: float = 0.0
    """Weighted log loss of the sweep's first stage."""

    def copy(self) -> Sums:
        return Sums(
            self.gradient.copy(),
            self.hessian.copy(),
            self.squares_own.copy(),
            self.squares_others.copy(),
            self.loss,
        )


class Fit:
    """`learned` is changed in place; read it between two calls of `step`."""

    def __init__(
        self,
        design: Design,
        behaviour: Behaviour,
        learned: Learned,
        *,
        warm: bool = False,
        prior: Doubles | None = None,
    ) -> None:
        """`warm`: `learned` is no fresh start; `prior` (ties) is what theta is shrunk towards."""
        self.learned = learned
        self._warm = warm
        self._prior = np.zeros(design.ties) if prior is None else prior
        self.sweep = 0
        self._design = design
        self._inputs = tower_inputs(design)
        self._tying = np.eye(design.ties, dtype=np.float32)[design.tie]
        # Of nobody there is no mean.
        taste, trait = (side.sum(axis=0, dtype=float) for side in (design.taste, design.trait))
        usual = taste * trait / max(design.people, 1) ** 2
        self._usual_ties = usual @ self._tying
        self._by_chooser = _Side(behaviour, behaviour.chooser, design.people)
        self._by_chosen = _Side(behaviour, behaviour.chosen, design.people)
        self.stage = Stage.SHARED
        self.block = 0
        self.sums = self._fresh()
        self.loss = float("inf")
        """Mean log loss per weight at the beginning of the last whole sweep."""
        self._weight = float(behaviour.weight.sum())
        self._prepare()

    def step(self) -> bool:
        """Do one block; True when that ended a sweep."""
        match self.stage:
            case Stage.SHARED:
                self._shared(self._by_chooser, self.block)
                if self._next(len(self._by_chooser.bounds) - 1):
                    self._move_shared()
            case Stage.CHOOSERS:
                self._people(self._by_chooser, self.block, choosing=True)
                self._next(len(self._by_chooser.bounds) - 1)
            case Stage.CHOSEN:
                self._people(self._by_chosen, self.block, choosing=False)
                self._next(len(self._by_chosen.bounds) - 1)
            case Stage.ALL:
                self.sweep += 1
                self._all()
                self.stage, self.block = Stage.SHARED, 0
                self.sums = self._fresh()
                return True
        return False

    def resume(self, sweep: int, stage: Stage, block: int, sums: Sums, loss: float) -> None:
        """Go on where another fit of the same data with `learned` as it is now stood."""
        self.sweep, self.stage, self.block = sweep, stage, block
        self.sums, self.loss = sums, loss
        self._prepare()

    def _next(self, blocks: int) -> bool:
        """Whether that was the stage's last block."""
        self.block += 1
        if self.block < blocks:
            return False
        self.stage, self.block = Stage(self.stage + 1), 0
        return True

    def _fresh(self) -> Sums:
        size = 1 + 2 * self._design.bias.shape[1] + self._design.ties
        k = self.learned.latent
        return Sums(np.zeros(size), np.zeros((size, size)), np.zeros(1 + k), np.zeros(1 + k))

    def _prepare(self) -> None:
        """What depends on the shared weights alone."""
        design, learned = self._design, self.learned
        self._selects = learned.base + design.bias @ learned.selects
        self._attracts = design.bias @ learned.attracts
        self._weighted = design.taste * learned.theta[design.tie].astype(design.taste.dtype)
        # In single precision: in double all inputs would be copied each time.
        self._mean_own = self._inputs @ learned.tower_taste.astype(np.float32)
        self._mean_others = self._inputs @ learned.tower_trait.astype(np.float32)
        spread = learned.spread
        taste = spread.taste + _mean_square(self._mean_own)
        trait = spread.trait + _mean_square(self._mean_others)
        # Small factors that are doubted at once never grow: a fresh start believes in them a while.
        doubted = float(self.sweep >= _BELIEF or self._warm)
        self._doubt_own = doubted / (1 / spread.taste + _BEND * trait * self._by_chooser.weights)
        self._doubt_others = doubted / (1 / spread.trait + _BEND * taste * self._by_chosen.weights)

    def _logits(self, side: _Side, part: slice) -> Doubles:
        learned = self.learned
        u, v = side.chooser[part], side.chosen[part]
        own, others = learned.own[u].astype(np.float64), learned.others[v]
        logits: Doubles = self._selects[u] + self._attracts[v] + own[:, 0] + others[:, 0]
        logits += np.einsum("ij,ij->i", self._weighted[u], self._design.trait[v])
        logits += np.einsum("ij,ij->i", own[:, 1:], others[:, 1:])
        return logits

    def _shared(self, side: _Side, block: int) -> None:
        design, sums = self._design, self.sums
        part = side.part(block)
        u, v = side.chooser[part], side.chosen[part]
        logits = self._logits(side, part)
        likely = _sigmoid(logits)
        weight, liked = side.weight[part], side.liked[part]
        products = design.taste[u] * design.trait[v]
        tied = products @ self._tying
        rows = np.concatenate([np.ones((len(u), 1)), design.bias[u], design.bias[v], tied], axis=1)
        sums.gradient += rows.T @ (weight * (liked - likely))
        sums.hessian += (rows * (weight * likely * (1 - likely))[:, None]).T @ rows
        sums.loss += float((weight * (np.logaddexp(0, logits) - liked * logits)).sum())

    def _move_shared(self) -> None:
        learned, design, sums = self.learned, self._design, self.sums
        spread = learned.spread
        b = design.bias.shape[1]
        now = np.concatenate([[learned.base], learned.selects, learned.attracts, learned.theta])
        precision = np.concatenate(
            [
                [1e-6],
                np.full(b, 1 / spread.selects),
                np.full(b, 1 / spread.attracts),
                np.full(design.ties, 1 / spread.theta),
            ]
        )
        towards = np.concatenate([np.zeros(1 + 2 * b), self._prior])
        hessian = sums.hessian + np.diag(precision)
        inverse = np.linalg.inv(hessian)
        move = inverse @ (sums.gradient - precision * (now - towards))
        # A step that moves logits a lot, as at the very beginning, is taken in part. The curvature
        # alone does not tell: where all are nearly certain, and wrong, there is none.
        length = float(np.sqrt(move @ sums.hessian @ move / max(self._weight, 1e-9)))
        length = max(length, self._moved(move))
        after = now + move * min(1.0, _LONGEST / max(length, 1e-9))
        learned.base = float(after[0])
        learned.selects, learned.attracts = after[1 : 1 + b], after[1 + b : 1 + 2 * b]
        learned.theta = after[1 + 2 * b :]
        if design.ties:
            known = np.diag(inverse)[1 + 2 * b :]
            beyond = learned.theta - self._prior
            spread.theta = _variance(beyond, float(known.sum()), spread.theta)
        self.loss = sums.loss / max(self._weight, 1e-9)
        self._prepare()

    def _moved(self, move: Doubles) -> float:
        """By how much a step of the shared weights moves a logit: of everybody's at once, and
        beyond that from person to person. What ties move from pair to pair is left out."""
        b = self._design.bias.shape[1]
        selects = self._design.bias @ move[1 : 1 + b]
        attracts = self._design.bias @ move[1 + b : 1 + 2 * b]
        tied = float(self._usual_ties @ move[1 + 2 * b :])
        together = float(move[0]) + float(selects.mean()) + float(attracts.mean()) + tied
        return float(np.sqrt(together**2 + selects.var() + attracts.var()))

    def _people(self, side: _Side, block: int, *, choosing: bool) -> None:
        learned, spread = self.learned, self.learned.spread
        part = side.part(block)
        people, starts = side.people(block)
        if choosing:
            mine, theirs = learned.own, learned.others[side.chosen[part], 1:]
            mean, variances = self._mean_own[people], (spread.selectivity, spread.taste)
            tied, ratio = learned.others[people, 0], spread.popularity
            doubt = self._doubt_others[side.chosen[part]]
        else:
            mine, theirs = learned.others, learned.own[side.chooser[part], 1:]
            mean, variances = self._mean_others[people], (spread.popularity, spread.trait)
            tied, ratio = learned.own[people, 0], spread.selectivity
            doubt = self._doubt_own[side.chooser[part]]
        k = learned.latent
        likely = _sigmoid(self._logits(side, part))
        weight = side.weight[part]
        bending = weight * likely * (1 - likely)
        rows = np.concatenate([np.ones((len(theirs), 1)), theirs], axis=1)
        pull = np.add.reduceat(
            rows * (weight * (side.liked[part] - likely))[:, None], starts, axis=0
        )
        outer = (rows[:, :, None] * rows[:, None, :]).reshape(len(rows), -1)
        bend = np.add.reduceat(outer * bending[:, None], starts, axis=0)
        bend = bend.reshape(-1, 1 + k, 1 + k)
        # The others' learned dimensions are guesses too; taking them for certain would overfit.
        unsure = np.add.reduceat(bending * doubt, starts)
        bend[:, range(1, 1 + k), range(1, 1 + k)] += unsure[:, None]
        precision = np.full(1 + k, 1 / variances[1])
        precision[0] = 1 / (variances[0] * (1 - spread.together**2))
        expected = np.empty((len(people), 1 + k))
        expected[:, 0] = spread.together * np.sqrt(variances[0] / ratio) * tied
        expected[:, 1:] = mean
        inverse = np.linalg.inv(bend + np.diag(precision))
        now = mine[people].astype(np.float64)
        pull[:, 1:] -= unsure[:, None] * now[:, 1:]
        move = np.einsum("nij,nj->ni", inverse, pull - precision * (now - expected))
        longest = np.abs(move).max(axis=1, keepdims=True)
        now += move * np.minimum(1.0, _LONGEST / np.maximum(longest, 1e-9))
        mine[people] = now
        around = now.copy()
        around[:, 1:] -= mean
        squares = (around**2 + np.einsum("nii->ni", inverse)).sum(axis=0)
        if choosing:
            self.sums.squares_own += squares
        else:
            self.sums.squares_others += squares

    def _all(self) -> None:
        learned, spread, sums = self.learned, self.learned.spread, self.sums
        choosers, chosen = self._by_chooser.who, self._by_chosen.who
        if not len(choosers):
            return
        spread.selectivity = max(_TINY, float(sums.squares_own[0]) / len(choosers))
        spread.popularity = max(_TINY, float(sums.squares_others[0]) / len(chosen))
        k = learned.latent
        if k and (self.sweep >= _BELIEF or self._warm):
            spread.taste = max(_TINY, float(sums.squares_own[1:].sum()) / (len(choosers) * k))
            spread.trait = max(_TINY, float(sums.squares_others[1:].sum()) / (len(chosen) * k))
        both = np.intersect1d(choosers, chosen, assume_unique=True)
        if len(both):
            product = float((learned.own[both, 0] * learned.others[both, 0]).mean(dtype=float))
            root = float(np.sqrt(spread.selectivity * spread.popularity))
            spread.together = min(0.9, max(-0.9, product / root))
        spread.selects = self._explain(
            learned.selects, learned.own, choosers, spread.selects, spread.selectivity
        )
        spread.attracts = self._explain(
            learned.attracts, learned.others, chosen, spread.attracts, spread.popularity
        )
        if k:
            self._towers(choosers, chosen)
        self._prepare()

    def _explain(
        self, weights: Doubles, parts: Floats, who: Ints, shrink: float, noise: float
    ) -> float:
        """Move what a profile can explain from people's biases to the shared weights.

        The sums of both stay as they are, so this only changes what is put down to what.
        """
        design = self._design
        if not design.bias.shape[1]:
            return shrink
        rows = design.bias[who].astype(np.float64)
        total = rows @ weights + parts[who, 0]
        centre = float(total.mean())
        inverse = np.linalg.inv(rows.T @ rows / noise + np.eye(rows.shape[1]) / shrink)
        found = inverse @ (rows.T @ (total - centre)) / noise
        parts[who, 0] = total - centre - rows @ found
        self.learned.base += centre
        weights[:] = found
        return _variance(found, float(np.trace(inverse)), shrink)

    def _towers(self, choosers: Ints, chosen: Ints) -> None:
        learned, spread = self.learned, self.learned.spread
        found = np.empty((2, len(learned.tower_taste), learned.latent))
        unsure = 0.0
        sides = (
            (learned.tower_taste, learned.own, choosers, spread.taste),
            (learned.tower_trait, learned.others, chosen, spread.trait),
        )
        for index, (tower, parts, who, noise) in enumerate(sides):
            rows = self._inputs[who].astype(np.float64)
            inverse = np.linalg.inv(rows.T @ rows / noise + np.eye(rows.shape[1]) / spread.tower)
            tower[:] = inverse @ (rows.T @ parts[who, 1:]) / noise
            found[index] = tower
            unsure += float(np.trace(inverse)) * learned.latent
            # Whoever never acted is what the profile says.
            silent = np.ones(len(parts), dtype=bool)
            silent[who] = False
            parts[silent, 1:] = self._inputs[silent] @ tower
        spread.tower = _variance(found.reshape(-1), unsure, spread.tower)


class _Side:
    """Observations in the order of one of the two people, cut between people."""

    def __init__(self, behaviour: Behaviour, key: Ints, people: int) -> None:
        order = np.argsort(key, kind="stable")
        self.chooser, self.chosen = behaviour.chooser[order], behaviour.chosen[order]
        self.liked, self.weight = behaviour.liked[order], behaviour.weight[order]
        self.weights = np.bincount(key, weights=behaviour.weight, minlength=people)
        self.who, self._starts = np.unique(key[order], return_index=True)
        ends = np.append(self._starts[1:], len(order))
        # People whose observations end within the same BLOCK share a block.
        cut = np.flatnonzero(np.diff((ends - 1) // BLOCK, prepend=-1))
        self._first = np.append(cut, len(self.who))
        self.bounds = np.append(self._starts[cut], len(order))

    def part(self, block: int) -> slice:
        return slice(int(self.bounds[block]), int(self.bounds[block + 1]))

    def people(self, block: int) -> tuple[Ints, npt.NDArray[np.intp]]:
        """The people of the block, and where each one's observations begin in it."""
        some = slice(self._first[block], self._first[block + 1])
        return self.who[some], self._starts[some] - self.bounds[block]


def _sigmoid(logits: Doubles) -> Doubles:
    likely: Doubles = 1 / (1 + np.exp(-np.clip(logits, -40, 40)))
    return likely


def _mean_square(values: Floats) -> float:
    return float(np.einsum("ij,ij->", values, values, dtype=np.float64)) / max(values.size, 1)


def _variance(values: Doubles, unsure: float, before: float) -> float:
    """The spread of weights under which they are likeliest (MacKay's fixed point).

    `unsure` is the sum of their variances under `before`; what is left of their number is how many
    of them the data determines.
    """
    determined = max(len(values) - unsure / before, 0.0)
    if determined < 1e-6 * len(values):
        return _TINY
    return min(10.0, max(_TINY, float((values**2).sum()) / determined))
