from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eros_accounts.domain.text import (
    has_letter,
    is_visible,
    line_fault,
    lines_fault,
    tidy,
    tidy_lines,
)


@pytest.mark.parametrize("name", ["Ann", "Ana María", "李", "Зоя", "O'Neil", "B", "ירון", "🦊 Fox"])
def test_a_letter_of_any_script_counts(name: str) -> None:
    assert has_letter(name)
    assert line_fault(name, 80) is None


@pytest.mark.parametrize("name", ["🔥", "🏳️‍🌈🔥", "", "123", "…", "\u200b\u200d", "👍🏽"])
def test_what_has_no_letter(name: str) -> None:
    assert not has_letter(name)


@pytest.mark.parametrize("text", ["🔥", "1", "…", "a", "ё"])
def test_what_can_be_seen(text: str) -> None:
    assert is_visible(text)


@pytest.mark.parametrize("text", ["", " ", "\u200b", "\u00a0\u2003", "\u0301", "\n"])
def test_what_cannot_be_seen(text: str) -> None:
    assert not is_visible(text)


@pytest.mark.parametrize(
    "text", ["a\x00b", "a\nb", "a\tb", "a\x7f", "a\u2028b", "a\u202eb", "\u2066a", "a\x85"]
)
def test_a_line_has_no_control_characters(text: str) -> None:
    assert line_fault(text, 80) == "must not contain control characters"


def test_lines_may_have_line_feeds_and_tabs() -> None:
    assert lines_fault("one\n\ttwo", 80) is None
    assert lines_fault("one\x00", 80) is not None
    assert tidy_lines(" one\r\ntwo\rthree \n") == "one\ntwo\nthree"


def test_equal_words_are_equal_strings() -> None:
    assert tidy(" Zoe\u0308 ") == tidy("Zoë") == "Zoë"


@given(st.text())
def test_what_is_accepted_can_be_stored_and_stays_as_it_is(text: str) -> None:
    kept = tidy(text)
    if line_fault(kept, 80) is None:
        kept.encode()
        assert "\x00" not in kept
        assert len(kept) <= 80
        assert tidy(kept) == kept


@given(st.text(alphabet=st.characters(categories=["So", "Sk", "Mn", "Nd", "Po"])))
def test_no_letter_is_made_of_symbols(text: str) -> None:
    assert not has_letter(text) or any(
        unicodedata.category(char).startswith("L") for char in unicodedata.normalize("NFC", text)
    )
