from __future__ import annotations

from importlib import resources

import pytest

from eros_accounts.domain.common_passwords import CommonPasswords

DIGESTS = (resources.files("eros_accounts") / "common_passwords.txt").read_text()
COMMON = CommonPasswords(DIGESTS)


@pytest.mark.parametrize(
    "password",
    [
        *("password", "PASSWORD", "qwertyuiop", "1234567890", "iloveyou"),
        # Made to satisfy a rule.
        *("Password123", "password2026!", "!!football!!", "passwordpassword", "Dragon2024"),
        *("aaaaaaaaaaaa", "0000000000", "ｐａｓｓｗｏｒｄ１２"),
    ],
)
def test_what_everybody_tries_first_is_known(password: str) -> None:
    assert password in COMMON


@pytest.mark.parametrize(
    "password", ["correct horse battery", "five quiet lanterns", "xK9 tulip-oven", "пятьтихихламп"]
)
def test_others_are_not(password: str) -> None:
    assert password not in COMMON


def test_there_are_ten_thousand() -> None:
    assert len(COMMON) == 10_000
    with pytest.raises(ValueError, match="digests"):
        CommonPasswords(DIGESTS[:-3])
