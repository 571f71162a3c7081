"""What is told to the person in one line when preparation cannot go on."""

from __future__ import annotations


class PreparationError(Exception):
    """Says what is missing and what to do; shown without a traceback."""
