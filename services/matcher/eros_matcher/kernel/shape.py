"""Numbers that the kernel and whoever calls it agree on."""

from typing import Final

LANES: Final = 16
"""Sums that run side by side in a product of two vectors."""
STEP: Final = 4 * LANES
"""Numbers of a vector that are summed at once: vectors are filled up to a multiple of it."""
POWERS: Final = 520
"""Powers of two on either side of one, in the table that the exponential takes."""
BATCH: Final = 64
"""People that are scored exactly at once."""
