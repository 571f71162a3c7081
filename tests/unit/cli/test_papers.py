"""What the papers name is there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from eros_cli.paths import CHECKOUT

_LINK: Final = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")
_RECORD: Final = re.compile(r"\bADR 0*(\d{1,4})\b|docs/adr/(\d{4})")


def _tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "-C", str(CHECKOUT), "ls-files", "-z", *patterns],
        check=True,
        capture_output=True,
        text=True,
    )
    return [CHECKOUT / name for name in listed.stdout.split("\0") if name]


def _records() -> list[int]:
    return [int(path.name[:4]) for path in _tracked("docs/adr/*.md")]


def test_every_decision_has_a_number_of_its_own() -> None:
    numbers = _records()
    assert len(numbers) > 20
    assert len(numbers) == len(set(numbers))


def test_every_decision_that_is_cited_is_there() -> None:
    known = set(_records())
    cited = {
        (str(path.relative_to(CHECKOUT)), int(match[1] or match[2]))
        for path in _tracked("*.md", "*.py", "*.lua", "*.sql", "*.proto", "*.yaml", "*.template")
        for match in _RECORD.finditer(path.read_text())
    }
    assert cited
    assert not {(where, number) for where, number in cited if number not in known}


@pytest.mark.parametrize(
    "paper", _tracked("*.md"), ids=lambda path: str(path.relative_to(CHECKOUT))
)
def test_links_lead_somewhere(paper: Path) -> None:
    broken = [
        target
        for target in _LINK.findall(paper.read_text())
        if not (paper.parent / target).exists()
    ]
    assert not broken
