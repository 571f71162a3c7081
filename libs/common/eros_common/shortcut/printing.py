"""Messages as the gateway's transcoder prints them, at a fraction of the cost of ``json_format``.

lowerCamelCase names; scalars and lists always, ``optional`` fields and messages where they are set.
"""

from __future__ import annotations

import json
import re
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
_SHORT: Final = 16
"""Of at most fifteen digits both make the same."""
_BARE: Final = "\ud800"
"""Around what is written without its quotes. No string has it: it is no character."""
_ESCAPED: Final = re.compile(
    "[<>\x7f-\x9f\xad\u0600-\u0603\u06dd\u070f\u17b4\u17b5\u200b-\u200f\u2028-\u202e\u2060-\u2064"
    "\u206a-\u206f\ufeff\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f]"
)
"""What the transcoder escapes besides what JSON demands: marks that one cannot see, and what could
end a script."""
_BEGINNINGS: Final = tuple(bytes([one]) for one in b"<>\x7f\xc2\xd8\xdb\xdc\xe1\xe2\xef\xf0\xf3")
"""With one of these each of them begins in UTF-8: to look for bytes takes a microsecond."""
_ENCODE: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")
).encode


def printer(descriptor: Descriptor) -> Printer:
    """What prints messages of a type. ``TypeError`` for a field that it cannot print: it knows
    numbers, strings, enums, and messages and lists of them."""
    values = _values(descriptor, {})

    def write(message: Message) -> bytes:
        """``ValueError`` for a number that is none."""
        text = _ENCODE(values(message))
        if _BARE in text:
            text = text.replace(f'"{_BARE}', "").replace(f'{_BARE}"', "")
        data = text.encode()
        if any(map(data.__contains__, _BEGINNINGS)):
            data = _ESCAPED.sub(_escape, text).encode()
        return data

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


def _number(value: float) -> float | str:
    # As the transcoder has it, digit by digit: the tag of an answer is that of its bytes.
    if value and value.is_integer() and abs(value) < _WHOLE:
        return int(value)
    text = repr(value)
    if value and len(text) <= _SHORT and "e" not in text:
        return value
    text = f"{value:.15g}"
    return f"{_BARE}{text if float(text) == value else f'{value:.17g}'}{_BARE}"


def _escape(found: re.Match[str]) -> str:
    number = ord(found[0])
    if number <= 0xFFFF:
        return f"\\u{number:04x}"
    high, low = divmod(number - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def _each(one: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda values: [one(value) for value in values]
