"""Levels of processors that the kernel is compiled for, and which one this machine has."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from pathlib import Path
from typing import Final

LEVELS: Final = {
    "x86-64-v4": "x86-64-v4",
    "x86-64-v3": "x86-64-v3",
    "x86-64": "x86-64",
    "aarch64": "generic",
}
"""By name: what LLVM calls the processor."""

_V3: Final = frozenset({"avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"})
_V4: Final = _V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
_SOURCES: Final = ("source.py", "shape.py", "emit.py", "ahead.py")


@cache
def host_level() -> str:
    """The highest level of this machine. Raises RuntimeError for an unknown architecture."""
    machine = platform.machine()
    if machine in {"aarch64", "arm64"}:
        return "aarch64"
    if machine != "x86_64":
        raise RuntimeError(f"the matching kernel is not made for {machine}")
    flags = _cpu_flags()
    if flags >= _V4:
        return "x86-64-v4"
    return "x86-64-v3" if flags >= _V3 else "x86-64"


def host_levels() -> tuple[str, ...]:
    """All levels of this machine's architecture."""
    family = "aarch64" if host_level() == "aarch64" else "x86-64"
    return tuple(level for level in LEVELS if level.startswith(family))


@cache
def object_name(level: str) -> str:
    """Changes with the source: an object of another one is never loaded."""
    state = hashlib.blake2b(digest_size=8)
    for name in _SOURCES:
        state.update(Path(__file__).with_name(name).read_bytes())
    return f"{level}.{state.hexdigest()}.o"


def _cpu_flags() -> frozenset[str]:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            return frozenset(line.partition(":")[2].split())
    return frozenset()
