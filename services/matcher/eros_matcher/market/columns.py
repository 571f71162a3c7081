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
    places: dict[str, tuple[str, tuple[int, ...], int]] = {}
    offset = 0
    for name, array in arrays.items():
        places[name] = (array.dtype.str, array.shape, offset)
        offset = _aligned(offset + array.nbytes)
    header = json.dumps({"meta": meta, "arrays": places}).encode()
    with path.open("wb") as file:
        file.write(_MAGIC + _LENGTH.pack(len(header)) + header)
        start = _aligned(file.tell())
        for name, array in arrays.items():
            file.seek(start + places[name][2])
            file.write(np.ascontiguousarray(array).data)
        file.truncate(start + offset)
        file.flush()
        os.fsync(file.fileno())


def dump(arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> bytes:
    """The same as `write`, in memory."""
    header, bodies = _laid_out(arrays, meta)
    start = _aligned(len(header))
    whole = bytearray(start + sum(_aligned(len(body)) for body in bodies))
    whole[: len(header)] = header
    for body in bodies:
        whole[start : start + len(body)] = body
        start += _aligned(len(body))
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


def _laid_out(arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> tuple[bytes, list[bytes]]:
    places: dict[str, tuple[str, tuple[int, ...], int]] = {}
    bodies: list[bytes] = []
    offset = 0
    for name, array in arrays.items():
        places[name] = (array.dtype.str, array.shape, offset)
        bodies.append(np.ascontiguousarray(array).tobytes())
        offset += _aligned(array.nbytes)
    text = json.dumps({"meta": meta, "arrays": places}).encode()
    return _MAGIC + _LENGTH.pack(len(text)) + text, bodies


def _aligned(offset: int) -> int:
    return -(-offset // _ALIGNMENT) * _ALIGNMENT
