"""Where things are in the checkout this CLI runs from."""

from __future__ import annotations

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent.parent
MIGRATIONS = CHECKOUT / "migrations"
DESCRIPTOR_SET = CHECKOUT / "gen" / "eros.binpb"
