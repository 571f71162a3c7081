from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eros_accounts.domain.credentials import parse_email, password_bytes


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("ann@example.com", "ann@example.com"),
        (" Ann@Example.COM ", "ann@example.com"),
        ("a.b+c@mail.example.co.uk", "a.b+c@mail.example.co.uk"),
        ("o'neil@example.org", "o'neil@example.org"),
        ("ann@localhost", "ann@localhost"),
        ("a" * 64 + "@example.com", "a" * 64 + "@example.com"),
    ],
)
def test_an_address_has_one_stored_form(text: str, stored: str) -> None:
    assert parse_email(text) == stored


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ann",
        "ann@",
        "@example.com",
        "ann@@example.com",
        "ann@exa mple.com",
        "ann@-example.com",
        "ann@example-.com",
        "ann@example..com",
        "ann@.example.com",
        "an\x00n@example.com",
        "ann@example.com\n.evil",
        "ann@exämple.com",
        "a" * 65 + "@example.com",
        "ann@" + "a" * 64 + ".com",
        "ann@" + ".".join(["abcdefgh"] * 30) + ".com",
    ],
)
def test_what_is_no_address(text: str) -> None:
    assert parse_email(text) is None


@given(st.text())
def test_a_stored_form_is_its_own_stored_form(text: str) -> None:
    stored = parse_email(text)
    assert stored is None or parse_email(stored) == stored


@given(st.emails())
def test_case_does_not_tell_people_apart(text: str) -> None:
    assert parse_email(text.upper()) == parse_email(text.lower())


def test_the_same_password_from_another_keyboard() -> None:
    assert password_bytes("cafe\u0301 crème") == password_bytes("café crème")
    assert password_bytes("Secret") != password_bytes("secret")
