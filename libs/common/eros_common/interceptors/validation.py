"""protovalidate on every request message; violations name the REST fields."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import protovalidate
from google.protobuf.message import Message

from eros_common.errors import FieldFault, InvalidArgument


def check(message: Message) -> None:
    """Raises ``InvalidArgument`` with one fault per violated rule."""
    violations = protovalidate.collect_violations(message)
    if violations:
        faults = [_fault(violation) for violation in violations]
        first = faults[0]
        where = f"{first.field}: " if first.field else ""
        raise InvalidArgument(f"{where}{first.message}", *faults)


def _fault(violation: protovalidate.Violation) -> FieldFault:
    proto = violation.proto
    path = ""
    for element in proto.field.elements if proto.field else ():
        name = camel(element.field_name)
        path += f".{name}" if path else name
        if element.subscript is not None:
            path += f"[{element.subscript.value}]"
    return FieldFault(path, proto.message or "is not valid")


def camel(name: str) -> str:
    """The JSON name of a proto field: ``age_min`` -> ``ageMin``."""
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


class Checked:
    """A request stream whose every message is checked as it is read."""

    __slots__ = ("_messages",)

    def __init__(self, messages: AsyncIterator[Any]) -> None:
        self._messages = messages

    def __aiter__(self) -> Checked:
        return self

    async def __anext__(self) -> Any:
        message = await anext(self._messages)
        check(message)
        return message
