"""Pieces of a text, tags of languages, and what is said where nothing translates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eros_assistant.translation.protecting import pieces
from eros_assistant.translation.tags import language_of
from eros_assistant.translation.translating import Translator
from eros_assistant.understanding.language import Languages
from eros_common.errors import InvalidArgument, Unavailable
from eros_common.ids import new_user_id


@given(st.text())
def test_pieces_make_up_the_text_again(text: str) -> None:
    assert "".join(piece.text for piece in pieces(text)) == text


@pytest.mark.parametrize(
    ("tag", "language"), [("es", "es"), ("es-MX", "es"), ("EN_us", "en"), ("pt-BR", "pt")]
)
def test_tags_are_bcp_47(tag: str, language: str) -> None:
    assert language_of(tag) == language


@pytest.mark.parametrize("tag", ["", "!!", "spanish please", "zz", "123"])
def test_what_is_no_language_is_refused(tag: str) -> None:
    with pytest.raises(InvalidArgument):
        language_of(tag)


async def test_without_an_engine_it_says_how_to_get_one() -> None:
    with pytest.raises(Unavailable, match="eros setup"):
        await Translator([]).translate(Languages.load(), "I like the sea", "es", new_user_id())
