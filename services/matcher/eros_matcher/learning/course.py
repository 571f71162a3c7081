"""The whole of one learning: held-out fits, calibration, the final fit. Step by step, no I/O.

Every pair, both its decisions, is in one of FOLDS parts. A fit without a part says how good it is
on that part. With plenty of behaviour one such fit is enough, with little all parts are needed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from eros_matcher.learning.calibrate import Calibration, Held, calibrated
from eros_matcher.learning.design import Behaviour, Design, Doubles
from eros_matcher.learning.fit import Fit, Stage, Sums
from eros_matcher.learning.learned import Learned, begin, vectors

FOLDS: Final = 5
PLENTY: Final = 50_000
"""Observations from which on one held-out part is enough."""
SWEEPS: Final = 50
"""At most, from nothing,"""
LEAST_SWEEPS: Final = 12
"""At least, as learned dimensions need some to show;"""
WARM_SWEEPS: Final = 10
"""from last night's model;"""
CHECK_SWEEPS: Final = 50
"""and without the held-out part."""
_STILL: Final = 1e-6
"""A fit whose loss moves by less of itself in a sweep is done."""


@dataclass(slots=True)
class Position:
    """How far a course has come."""

    fit: int = 0
    """Number of the fit: the checked ones first, then the final one."""
    sweep: int = 0
    loss: float = float("inf")
    """Of the sweep before."""
    done: bool = False
    blocks: int = 0
    """Steps made so far."""


@dataclass(frozen=True, slots=True)
class State:
    """Where a course stands."""

    position: Position
    held: Doubles
    learned: Learned
    stage: Stage
    block: int
    sums: Sums
    loss: float
    calibration: Calibration


class Course:
    """Call `step` until it says True; then `learned` is the result. At most FOLDS + 1 fits.

    `start` is last night's model, with one row a person of the design; it is copied. Without any
    behaviour the result is the start. `prior` (ties) is what theta is without evidence.
    """

    def __init__(
        self,
        design: Design,
        behaviour: Behaviour,
        *,
        seed: int,
        latent: int,
        start: Learned | None = None,
        prior: Doubles | None = None,
    ) -> None:
        self._design = design
        self._behaviour = behaviour
        self._seed = seed
        self._latent = latent
        self._start = start
        self._prior = prior
        self.parts = parts_of(behaviour, seed)
        self.checks = 0 if not len(behaviour) else FOLDS if len(behaviour) < PLENTY else 1
        self.position = Position()
        self.held = np.full(len(behaviour), np.nan)
        """(m) logits of the observations that were held out so far; none once they were used."""
        self.calibration = Calibration()
        self.fit = self._open()

    @property
    def learned(self) -> Learned:
        return self.fit.learned

    def step(self) -> bool:
        """One block of work; True when all is done."""
        if self.position.done or not len(self._behaviour):
            return True
        self.position.blocks += 1
        if not self.fit.step():
            return False
        position = self.position
        position.sweep += 1
        still = abs(position.loss - self.fit.loss) < _STILL * self.fit.loss
        position.loss = self.fit.loss
        if position.sweep < self._most and not (still and position.sweep > LEAST_SWEEPS):
            return False
        if position.fit == self.checks:
            position.done = True
            self._correct()
            return True
        self._check()
        position.fit, position.sweep, position.loss = position.fit + 1, 0, float("inf")
        self.fit = self._open()
        return False

    def state(self) -> State:
        """All that is needed to go on; its arrays are those of the course, not copies."""
        fit = self.fit
        return State(
            self.position,
            self.held,
            fit.learned,
            fit.stage,
            fit.block,
            fit.sums,
            fit.loss,
            self.calibration,
        )

    def load(self, state: State) -> None:
        """Go on where another course over the same data was."""
        self.position, self.held = replace(state.position), state.held.copy()
        self.calibration = state.calibration
        learned = copy_of(state.learned)
        self.fit = Fit(self._design, self._part(), learned, warm=self._warm, prior=self._prior)
        sums = state.sums.copy()
        self.fit.resume(state.position.sweep, state.stage, state.block, sums, state.loss)
        if self.position.done:
            self._correct()

    @property
    def _most(self) -> int:
        if self._warm:
            return WARM_SWEEPS
        return SWEEPS if self.position.fit == self.checks else CHECK_SWEEPS

    @property
    def _warm(self) -> bool:
        """Whether this fit goes on from last night; a check must not: it would know the answers."""
        return self._start is not None and self.position.fit == self.checks

    def _part(self) -> Behaviour:
        fit = self.position.fit
        if fit == self.checks:
            return self._behaviour
        return self._behaviour.only(self.parts != fit)

    def _open(self) -> Fit:
        part = self._part()
        share = float(part.liked @ part.weight / part.weight.sum()) if len(part) else 0.5
        if self._warm and self._start is not None:
            learned = copy_of(self._start)
        else:
            learned = begin(self._design, self._latent, self._seed, share)
            if self._prior is not None:
                learned.theta = self._prior.copy()
        return Fit(self._design, part, learned, warm=self._warm, prior=self._prior)

    def _correct(self) -> None:
        self.learned.scale = self.calibration.scale
        self.learned.shift = self.calibration.shift
        self.learned.mutual = self.calibration.mutual

    def _check(self) -> None:
        """Ask the fit about what it has not seen; after the last one, calibrate."""
        held = np.flatnonzero(self.parts == self.position.fit)[:PLENTY]
        asked = self._behaviour.at(held)
        found = vectors(self._design, self.learned)
        self.held[held] = found.logits(asked.chooser, asked.chosen)
        if self.position.fit + 1 == self.checks:
            known = np.flatnonzero(np.isfinite(self.held))
            asked = self._behaviour.at(known)
            self.calibration = calibrated(
                Held(asked.chooser, asked.chosen, self.held[known], asked.liked, asked.weight)
            )
            self.held = np.full(0, np.nan)


def parts_of(behaviour: Behaviour, seed: int) -> npt.NDArray[np.int64]:
    """(m) 0 to FOLDS - 1, the same for both directions of a pair, whatever the order of rows."""
    low = np.minimum(behaviour.chooser, behaviour.chosen).astype(np.uint64)
    high = np.maximum(behaviour.chooser, behaviour.chosen).astype(np.uint64)
    mixed = low * np.uint64(0x9E3779B97F4A7C15) + high + np.uint64(seed)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return (mixed % np.uint64(FOLDS)).astype(np.int64)


def copy_of(learned: Learned) -> Learned:
    """One that can be changed; calibration starts anew."""
    return Learned(
        base=learned.base,
        selects=learned.selects.copy(),
        attracts=learned.attracts.copy(),
        theta=learned.theta.copy(),
        tower_taste=learned.tower_taste.copy(),
        tower_trait=learned.tower_trait.copy(),
        own=learned.own.copy(),
        others=learned.others.copy(),
        spread=learned.spread.copy(),
    )


def learn(
    design: Design, behaviour: Behaviour, *, seed: int, latent: int, start: Learned | None = None
) -> Learned:
    """All of it at once."""
    course = Course(design, behaviour, seed=seed, latent=latent, start=start)
    while not course.step():
        pass
    return course.learned
