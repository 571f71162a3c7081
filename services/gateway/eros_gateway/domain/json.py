"""What configuration is made of."""

from __future__ import annotations

from typing import Any, TypeAlias

Json: TypeAlias = Any
"""A JSON value. Its shape is Envoy's to check, and the tests': ``envoy --mode validate``."""
Object: TypeAlias = dict[str, Json]


def extension(name: str, **fields: Json) -> Object:
    """An ``Any`` of one of Envoy's messages, named without ``envoy.`` in front."""
    return {"@type": f"type.googleapis.com/envoy.{name}", **fields}


def seconds(value: float) -> str:
    """A ``google.protobuf.Duration``."""
    return f"{value:.3f}s"
