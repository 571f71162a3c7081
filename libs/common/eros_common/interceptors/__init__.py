"""What every request goes through before and after its method."""

from __future__ import annotations

from eros_common.interceptors.pipeline import Pipeline

__all__ = ["Pipeline"]
