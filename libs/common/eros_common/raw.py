"""Answers that are bytes already: what was cached goes out without being parsed and built again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message


@dataclass(frozen=True, slots=True)
class Raw:
    """A serialized answer of the method that returns it, sent as it is.

    Whoever wrote the bytes answers for them: nothing looks at them again.
    """

    data: bytes


def enclosed(answer: Message, field: str, data: bytes) -> Raw:
    """`answer` with the message field `field`, absent so far, being the serialized `data`."""
    number: int = answer.DESCRIPTOR.fields_by_name[field].number
    return Raw(answer.SerializeToString() + _varint(number << 3 | 2) + _varint(len(data)) + data)


def serializer(serialize: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """A response serializer that lets `Raw` through."""

    def write(answer: Any) -> bytes:
        return answer.data if isinstance(answer, Raw) else serialize(answer)

    return write


def _varint(number: int) -> bytes:
    """As protobuf writes it: seven bits a byte, the lowest first."""
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)
