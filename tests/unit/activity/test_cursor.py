"""Cursors survive being sent, and only those."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eros_activity.domain.cursor import BEGINNING, Cursor, CursorTooOld, StreamId, epoch_of, reaches

ids = st.builds(StreamId, st.integers(0, 2**43), st.integers(0, 2**20 - 1))
cursors = st.builds(
    Cursor, st.integers(0, 2**32 - 1), st.lists(ids, min_size=1, max_size=65).map(tuple)
)


@given(cursors)
def test_what_is_encoded_comes_back(cursor: Cursor) -> None:
    text = cursor.encode()
    assert Cursor.decode(text, len(cursor.ids)) == cursor
    assert len(text) <= 1024  # what the contract takes


def test_default_shards_make_a_short_cursor() -> None:
    assert len(Cursor(1, (BEGINNING,) * 5).encode()) <= 64


def test_a_number_too_large_for_its_bits_resumes_early_not_late() -> None:
    cursor = Cursor(0, (StreamId(5, 2**21),))
    [resumed] = Cursor.decode(cursor.encode(), 1).ids
    assert StreamId(5, 0) < resumed < StreamId(5, 2**21)


@pytest.mark.parametrize("text", ["", "x", "!!!!", "ÄÖÜ", "A" * 60, "AQ==", "A" * 1000])
def test_anything_else_is_too_old(text: str) -> None:
    with pytest.raises(CursorTooOld):
        Cursor.decode(text, 5)


def test_a_cursor_of_another_number_of_streams_is_too_old() -> None:
    with pytest.raises(CursorTooOld):
        Cursor.decode(Cursor(1, (BEGINNING,) * 5).encode(), 9)


def test_order() -> None:
    assert StreamId.parse(b"12-3") == StreamId(12, 3)
    assert StreamId(2, 0) > StreamId(1, 9)
    start = Cursor(0, (BEGINNING, BEGINNING))
    later = start.advanced(1, StreamId(1, 0))
    assert later.ids == (BEGINNING, StreamId(1, 0))
    assert reaches(later.ids, start.ids)
    assert not reaches(start.ids, later.ids)


def test_epochs() -> None:
    assert epoch_of([b"a", b"b"]) != epoch_of([b"b", b"a"])
    assert epoch_of([b"a", b""]) != epoch_of([b"a"])
