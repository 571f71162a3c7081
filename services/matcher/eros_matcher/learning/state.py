"""A learning under way, and what came of one, as bytes. Raises ValueError for what is neither.

The bytes are those of `eros_matcher.market.columns`: named arrays and a little JSON.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from eros_matcher.learning.calibrate import Calibration
from eros_matcher.learning.course import Position, State
from eros_matcher.learning.fit import Stage, Sums
from eros_matcher.learning.learned import Learned, Spread
from eros_matcher.market import columns

_WEIGHTS = ("selects", "attracts", "theta", "tower_taste", "tower_trait", "own", "others")
_SUMS = ("gradient", "hessian", "squares_own", "squares_others")


def pack(state: State) -> bytes:
    """The state of a course."""
    learned, sums = state.learned, state.sums
    arrays = {name: getattr(learned, name) for name in _WEIGHTS}
    asked = np.flatnonzero(np.isfinite(state.held))
    arrays |= {name: getattr(sums, name) for name in _SUMS}
    arrays |= {"held": state.held[asked], "asked": asked}
    meta = {
        "position": asdict(state.position) | {"loss": _finite(state.position.loss)},
        "stage": int(state.stage),
        "block": state.block,
        "loss": _finite(state.loss),
        "held": len(state.held),
        "sums_loss": sums.loss,
        "base": learned.base,
        "spread": asdict(learned.spread),
        "calibration": asdict(state.calibration),
    }
    return columns.dump(arrays, meta)


def unpack(data: bytes, people: int, observations: int) -> State:
    """The way back, for a course over so many people and observations."""
    arrays, meta = read(data)
    try:
        selects, attracts, theta, taste, trait, own, others = (
            arrays[name].copy() for name in _WEIGHTS
        )
        learned = Learned(float(meta["base"]), selects, attracts, theta, taste, trait, own, others)
        learned.spread = Spread(**meta["spread"])
        sums = Sums(**{name: arrays[name].copy() for name in _SUMS}, loss=meta["sums_loss"])
        position = Position(**meta["position"])
        position.loss = _number(meta["position"]["loss"])
        held = np.full(int(meta["held"]), np.nan)
        held[arrays["asked"]] = arrays["held"]
        state = State(
            position,
            held,
            learned,
            Stage(meta["stage"]),
            int(meta["block"]),
            sums,
            _number(meta["loss"]),
            Calibration(**meta["calibration"]),
        )
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"no state of a learning: {error!r}") from error
    if len(learned.own) != people or len(learned.others) != people:
        raise ValueError(f"of {len(learned.own)} people instead of {people}")
    if len(state.held) not in {0, observations}:
        raise ValueError(f"of {len(state.held)} observations instead of {observations}")
    return state


def read(data: bytes | memoryview) -> tuple[Mapping[str, npt.NDArray[Any]], Mapping[str, Any]]:
    """Arrays and what was written beside them."""
    try:
        return columns.read(memoryview(data))
    except columns.BrokenFileError as error:
        raise ValueError(str(error)) from error


def _finite(value: float) -> float | None:
    # JSON has no infinity.
    return value if math.isfinite(value) else None


def _number(value: float | None) -> float:
    return math.inf if value is None else float(value)
