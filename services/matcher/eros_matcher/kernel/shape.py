"""Numbers that the kernel and whoever calls it agree on."""

from typing import Final

LANES: Final = 16
"""Sums that run side by side in a product of two vectors."""
SIZE: Final = 4 * LANES
"""Numbers a taste or a trait; shorter ones are filled up with zeros."""
POWERS: Final = 520
"""Powers of two on either side of one, in the table that the exponential takes."""
BATCH: Final = 64
"""People that are scored exactly at once."""
ENOUGH: Final = 384
"""People that a row without a value to beat notes before it scores the most promising."""
WAITING: Final = ENOUGH + 1024
"""Room for them, and a tile more."""
