"""Data outside the repository: what needs it is skipped, with the reason, where it is absent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

from eros_cli.paths import CHECKOUT

_OKCUPID: Final = CHECKOUT.parent / "shared/data/okcupid_profiles.csv.zip"


def okcupid_file() -> Path:
    """The 59,946 profiles: `EROS_OKCUPID_FILE`, or beside the checkout."""
    path = Path(os.environ.get("EROS_OKCUPID_FILE", _OKCUPID))
    if not path.exists():
        pytest.skip(f"the OkCupid profiles are not at {path}")
    return path
