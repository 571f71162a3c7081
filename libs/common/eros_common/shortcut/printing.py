"""Messages as the gateway's transcoder prints them, at a fraction of the cost of ``json_format``.

lowerCamelCase names; scalars and lists always, ``optional`` fields and messages where they are set.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

Printer = Callable[[Any], bytes]
_Field = tuple[str, str, bool, Callable[[Any], Any] | None]
"""JSON name, name, whether it may be unset, what makes JSON of its value (None: it is JSON)."""

_PLAIN: Final = frozenset(
    {
        *(FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BOOL),
        *(FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_SINT32, FieldDescriptor.TYPE_SFIXED32),
        *(FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_FIXED32),
    }
)
_WHOLE: Final = 1e15
"""From here on protobuf prints an exponent."""
_ENCODE: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")
).encode


def printer(descriptor: Descriptor) -> Printer:
    """What prints messages of a type. ``TypeError`` for a field that it cannot print: it knows
    numbers, strings, enums, and messages and lists of them."""
    values = _values(descriptor, {})

    def write(message: Message) -> bytes:
        """``ValueError`` for a number that is none."""
        return _ENCODE(values(message)).encode()

    return write


def _values(
    descriptor: Descriptor, known: dict[str, Callable[[Any], Any]]
) -> Callable[[Any], dict[str, Any]]:
    if descriptor.full_name in known:
        return known[descriptor.full_name]
    fields: list[_Field] = []

    def values(message: Message) -> dict[str, Any]:
        made = {}
        for json_name, name, may_be_unset, convert in fields:
            if may_be_unset and not message.HasField(name):
                continue
            value = getattr(message, name)
            made[json_name] = value if convert is None else convert(value)
        return made

    # Before its fields: a message may hold others of its own type.
    known[descriptor.full_name] = values
    if descriptor.file.package.startswith("google.protobuf"):
        raise TypeError(f"{descriptor.full_name} has a JSON form of its own")
    for field in descriptor.fields:
        one = _one(field, known)
        several = list if one is None else _each(one)
        convert = several if field.is_repeated else one
        fields.append((field.json_name, field.name, field.has_presence, convert))
    return values


def _one(
    field: FieldDescriptor, known: dict[str, Callable[[Any], Any]]
) -> Callable[[Any], Any] | None:
    if field.type in _PLAIN:
        return None
    if field.type == FieldDescriptor.TYPE_DOUBLE:
        return _number
    if field.enum_type is not None:
        by_number = field.enum_type.values_by_number
        return lambda number: by_number[number].name if number in by_number else number
    if field.message_type is not None and not field.message_type.GetOptions().map_entry:
        return _values(field.message_type, known)
    raise TypeError(f"{field.full_name} is of a kind that is not printed here")


def _number(value: float) -> float:
    # 4, not 4.0, as the transcoder has it: the tag of an answer is that of its bytes.
    return int(value) if value.is_integer() and abs(value) < _WHOLE else value


def _each(one: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda values: [one(value) for value in values]
