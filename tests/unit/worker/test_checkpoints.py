"""A stored checkpoint is resumed only when it is whole and of the same versions."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eros_matcher.worker.checkpoints import Stamp, Verdict, encode, resume, resume_all
from tests.unit.worker.batches import user
from tests.unit.worker.matrix_program import matrix_spec

TEXT = st.text(max_size=30)
STAMPS = st.builds(Stamp, TEXT, TEXT, TEXT, TEXT)
STAMP = Stamp("programs.match:open", "model-7", "market-9", "profile-3")


@given(STAMPS, st.binary(max_size=200))
def test_the_same_versions_resume_the_same_state(stamp: Stamp, state: bytes) -> None:
    assert resume(encode(stamp, state), stamp) == (state, Verdict.RESUMED)


def test_nothing_stored_is_a_fresh_start() -> None:
    assert resume(None, STAMP) == (None, None)


@given(st.binary(max_size=60), st.data())
def test_any_damage_is_noticed(state: bytes, data: st.DataObject) -> None:
    stored = bytearray(encode(STAMP, state))
    at = data.draw(st.integers(0, len(stored) - 1))
    stored[at] ^= data.draw(st.integers(1, 255))
    resumed, verdict = resume(bytes(stored), STAMP)
    assert resumed is None
    assert verdict in {Verdict.TORN, Verdict.FOREIGN}


@given(st.binary(max_size=60), st.integers(0, 60))
def test_a_part_of_a_checkpoint_is_torn(state: bytes, missing: int) -> None:
    stored = encode(STAMP, state)
    part = stored[: len(stored) - 1 - missing] if missing < len(stored) else b""
    assert resume(part, STAMP) == (None, Verdict.TORN)


@pytest.mark.parametrize(
    ("field", "verdict"),
    [
        ("factory", Verdict.FOREIGN),
        ("model_version", Verdict.STALE),
        ("market_version", Verdict.STALE),
        ("row_version", Verdict.STALE),
    ],
)
def test_another_version_is_discarded(field: str, verdict: Verdict) -> None:
    stored = encode(replace(STAMP, **{field: "other"}), b"state")
    assert resume(stored, STAMP) == (None, verdict)


def test_a_batch_resumes_row_by_row_and_counts() -> None:
    spec = matrix_spec(rows=4, columns=10)
    good = encode(Stamp.of(spec, 0), b"state")
    too_long = encode(Stamp.of(spec, 2), b"x" * (spec.snapshot_bytes + 1))
    stored = {user(0): good, user(1): good, user(2): too_long}
    states, verdicts = resume_all(stored, [user(row) for row in range(4)], spec)
    assert states == {user(0): b"state"}
    assert verdicts == {Verdict.RESUMED: 1, Verdict.STALE: 1, Verdict.FOREIGN: 1}
