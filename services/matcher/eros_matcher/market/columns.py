"""A file of named arrays that is mapped, not read.

8 bytes  magic
u32      length of the header
header   JSON {"meta": …, "arrays": {name: [dtype, shape, offset]}}
arrays   each at a multiple of 64 bytes, little endian, C order
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_MAGIC: Final = b"EROSCOL1"
_LENGTH: Final = struct.Struct("<I")
_ALIGNMENT: Final = 64


class BrokenFileError(Exception):
    """Not such a file, or cut short."""


def write(path: Path, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> None:
    """Write the file and make it durable; the caller renames it into place."""
    header, places, size = _planned(arrays, meta)
    with path.open("wb") as file:
        file.write(header)
        for name, array in arrays.items():
            file.seek(places[name])
            file.write(np.ascontiguousarray(array).data)
        file.truncate(size)
        file.flush()
        os.fsync(file.fileno())


def size_of(arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> int:
    """Bytes that `write` writes."""
    return _planned(arrays, meta)[2]


def dump(arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> bytes:
    """The same as `write`, in memory."""
    header, places, size = _planned(arrays, meta)
    whole = bytearray(size)
    whole[: len(header)] = header
    for name, array in arrays.items():
        whole[places[name] : places[name] + array.nbytes] = np.ascontiguousarray(array).tobytes()
    return bytes(whole)


def read(data: memoryview) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays as views of `data`, and what was written beside them. Raises BrokenFileError."""
    try:
        if bytes(data[: len(_MAGIC)]) != _MAGIC:
            raise BrokenFileError("no market file")
        (size,) = _LENGTH.unpack_from(data, len(_MAGIC))
        first = len(_MAGIC) + _LENGTH.size
        header = json.loads(bytes(data[first : first + size]))
        start = _aligned(first + size)
        arrays = {
            name: np.frombuffer(
                data, dtype=np.dtype(dtype), count=int(np.prod(shape)), offset=start + offset
            ).reshape(shape)
            for name, (dtype, shape, offset) in header["arrays"].items()
        }
    except (struct.error, ValueError, KeyError) as error:
        raise BrokenFileError(f"cut short or altered: {error}") from error
    return arrays, header["meta"]


def digest(arrays: Mapping[str, Array]) -> str:
    """32 hexadecimal digits for the content: equal for equal content on every host."""
    state = hashlib.blake2b(digest_size=16)
    for name, array in arrays.items():
        state.update(f"{name} {array.dtype.str} {array.shape}".encode())
        state.update(np.ascontiguousarray(array).data)
    return state.hexdigest()


def _planned(
    arrays: Mapping[str, Array], meta: Mapping[str, Any]
) -> tuple[bytes, dict[str, int], int]:
    """What the file begins with, where in it each array goes, and how long it is."""
    told: dict[str, tuple[str, tuple[int, ...], int]] = {}
    offset = 0
    for name, array in arrays.items():
        told[name] = (array.dtype.str, array.shape, offset)
        offset += _aligned(array.nbytes)
    text = json.dumps({"meta": meta, "arrays": told}).encode()
    header = _MAGIC + _LENGTH.pack(len(text)) + text
    start = _aligned(len(header))
    return header, {name: start + told[name][2] for name in told}, start + offset


def _aligned(offset: int) -> int:
    return -(-offset // _ALIGNMENT) * _ALIGNMENT
