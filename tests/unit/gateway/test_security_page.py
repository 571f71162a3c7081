"""docs/security.md names tests; each is there."""

from __future__ import annotations

import re
from pathlib import Path

from tests.e2e.test_attacks import ATTACKS

_ROOT = Path(__file__).parents[3]
_PAGE = (_ROOT / "docs/security.md").read_text(encoding="utf-8")
_NAMED = re.compile(r"`(?:[\w/]*/)?(test_\w+\.py)(?:::(\w+))?`")
_ATTEMPTS = re.compile(r"test_attacks\.py` \(([^)]*)\)")


def test_every_test_that_the_page_names_is_there() -> None:
    named = _NAMED.findall(_PAGE)
    assert len(named) > 20
    for file, function in named:
        found = list((_ROOT / "tests").rglob(file))
        assert found, file
        assert any(f"def {function}" in one.read_text(encoding="utf-8") for one in found), function


def test_every_attempt_that_the_page_names_is_there() -> None:
    source = (_ROOT / "tests/e2e/test_attacks.py").read_text(encoding="utf-8").lower()
    named = [name for row in _ATTEMPTS.findall(_PAGE) for name in re.findall(r"\*([^*]+)\*", row)]
    assert len(named) >= 6
    for name in named:
        begin = name.removesuffix(" …")
        there = any(attempt.startswith(begin) for attempt in ATTACKS)
        # Or a group of them.
        assert there or begin in source, name
