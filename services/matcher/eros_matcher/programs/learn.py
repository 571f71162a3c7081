"""Learning the model of matching: fits, calibration, congestion prices. One row, nobody's.

The file has everybody in the market and what they did up to a cutoff
(`eros_matcher.learning.gather`); the header has model (the one before, its body), seed, strength.
The result is the next model's body, and each one's own part and price.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from eros_matcher.compute.program import (
    BatchInput,
    CheckpointRejectedError,
    Progress,
    RowError,
)
from eros_matcher.features.model import (
    LATENT_DIMS,
    LEANING_FLOATS,
    BrokenModelError,
    Model,
    by_hand,
    encode,
    parse,
)
from eros_matcher.features.said import TIES_OF_COLUMNS
from eros_matcher.learning import state as states
from eros_matcher.learning.course import PLENTY, Course
from eros_matcher.learning.design import Behaviour, Design, cleaned, finite
from eros_matcher.learning.export import leanings_of, model_of, start_of, theta_of
from eros_matcher.learning.learned import vectors
from eros_matcher.learning.prices import Balance, Rules
from eros_matcher.market import columns
from eros_matcher.programs.payload import Payload

FACTORY: Final = "eros_matcher.programs.learn:open_learn"
LEAST: Final = 200
"""Pairs with something said, below which nothing is learned."""
_FIXED_BYTES: Final = 256 * 1024


def snapshot_bytes(people: int, observations: int) -> int:
    """At most: both parts of each person, and held-out logits where there are few."""
    return _FIXED_BYTES + people * 4 * (2 + 2 * LATENT_DIMS) + min(observations, PLENTY) * 16


def result_bytes(people: int) -> int:
    return _FIXED_BYTES + people * (16 + 4 * LEANING_FLOATS + 4)


class LearnProgram:
    """See `eros_matcher.compute.program.Program`."""

    def __init__(self, batch: BatchInput) -> None:
        payload = Payload(batch.payload, batch.rows)
        self._header: dict[str, Any] = payload.header
        payload.close()
        self._before = parse(self._header["model"].encode())
        self._file = batch.files[0]
        self._course: Course | None = None
        self._balance: Balance | None = None
        self._result = b""
        self._meta: dict[str, Any] = {}

    def load(self, row: int, state: bytes | None) -> None:
        try:
            arrays, self._meta = columns.read(self._file)
            self._ids = arrays["ids"]
            self._design, behaviour, self._rules, leanings = _opened(arrays)
            self._market = arrays["market"]
        except (columns.BrokenFileError, KeyError, ValueError) as error:
            raise RowError(row, f"what is to be learned from cannot be read: {error}") from error
        self._balance = None
        if len(behaviour) < LEAST:
            # Too little to tell taste from luck: the model stays, only prices are made anew.
            behaviour = behaviour.at(np.arange(0))
        start = start_of(self._design, self._before, leanings)
        self._course = Course(
            self._design,
            behaviour,
            seed=self._header["seed"],
            latent=LATENT_DIMS,
            start=start if self._before.was_learned or not len(behaviour) else None,
            prior=theta_of(by_hand()),
        )
        if state is not None:
            try:
                there = states.unpack(state, self._design.people, len(behaviour))
            except ValueError as error:
                raise CheckpointRejectedError(str(error)) from error
            self._course.load(there)

    def chunk(self, rows: Sequence[int], units: int) -> Progress:
        assert self._course is not None
        for done in range(units):
            if self._balance is None:
                if self._course.step():
                    self._balance = self._priced(self._course)
            elif self._balance.step():
                try:
                    self._result = self._made(self._course, self._balance)
                except BrokenModelError as error:
                    # Last night's stays: better than one that nobody can be matched with.
                    raise RowError(rows[0], f"what was learned is a model {error}") from error
                return Progress(done + 1, rows)
        return Progress(units)

    def snapshot(self, row: int) -> bytes:
        # Prices take seconds and are begun again; the last sweep before them is what is kept.
        assert self._course is not None
        return states.pack(self._course.state())

    def result(self, row: int) -> bytes:
        return self._result

    def drop(self, row: int) -> None:
        self._course = self._balance = None

    def close(self) -> None:
        self.drop(0)
        self._ids = np.empty((0, 16), dtype=np.uint8)
        self.__dict__.pop("_design", None)
        self.__dict__.pop("_rules", None)
        self._file = memoryview(b"")

    def _priced(self, course: Course) -> Balance:
        return Balance(
            vectors(self._design, course.learned),
            self._rules,
            self._market,
            mutual=course.learned.mutual,
            seed=self._header["seed"],
            strength=self._header["strength"],
        )

    def _made(self, course: Course, balance: Balance) -> bytes:
        prices = balance.prices
        usual = float(np.median(prices)) if len(prices) else 0.0
        model = model_of(course.learned, self._before, usual)
        loss = course.fit.loss if np.isfinite(course.fit.loss) else None
        return columns.dump(
            {
                "ids": self._ids,
                "leanings": leanings_of(self._design, course.learned),
                "prices": prices,
            },
            {
                "model": _whole(model),
                "loss": loss,
                "cutoff": self._meta["cutoff"],
                "auc": course.calibration.auc,
                "imbalance": balance.imbalance,
                "markets": balance.markets,
                "blocks": course.position.blocks + balance.blocks,
            },
        )


def open_learn(batch: BatchInput) -> LearnProgram:
    """The factory."""
    return LearnProgram(batch)


def _whole(model: Model) -> str:
    """As it is stored. Raises BrokenModelError for one that could not be served."""
    body = encode(model)
    parse(body)
    return body.decode()


def _opened(arrays: dict[str, Any]) -> tuple[Design, Behaviour, Rules, Any]:
    bias, taste, trait, leanings = (
        cleaned(arrays[name]) for name in ("bias", "taste", "trait", "leanings")
    )
    design = Design(bias, taste, trait, TIES_OF_COLUMNS)
    liked, weight = finite(arrays["liked"])[0], finite(arrays["weight"])[0]
    chooser, chosen = arrays["chooser"], arrays["chosen"]
    if len(chooser) and max(int(chooser.max()), int(chosen.max())) >= design.people:
        raise ValueError("an observation of nobody")
    behaviour = Behaviour(chooser, chosen, liked, weight)
    rules = Rules(
        **{
            name: arrays[name]
            for name in ("gender", "seeks", "born", "born_from", "born_to", "place", "reach")
        }
    )
    return design, behaviour, rules, leanings
