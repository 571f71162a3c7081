"""protovalidate on every request message; violations name the REST fields."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import protovalidate
from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from eros_common.errors import FieldFault, InvalidArgument


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands for a request message whose bytes are no such message; `faults` are the texts in it
    that are not UTF-8."""

    faults: tuple[FieldFault, ...] = ()


def reader(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """The deserializer, which leaves the refusal of what it cannot read to ``check``: gRPC itself
    answers UNKNOWN, and tells the class and the message of the exception."""
    if deserialize is None:
        return None

    def read(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError:
            return Unreadable(_faulty_texts(deserialize, data))

    return read


def _faulty_texts(deserialize: Callable[[bytes], Any], data: bytes) -> tuple[FieldFault, ...]:
    """Read as a message that knows no fields, so that nothing is refused."""
    # The class whose method it is.
    kind = getattr(deserialize, "__self__", None)
    descriptor: Descriptor | None = getattr(kind, "DESCRIPTOR", None)
    if descriptor is None:
        return ()
    try:
        found: Any = UnknownFieldSet(Empty.FromString(data))
    except DecodeError:
        return ()
    faults: list[FieldFault] = []
    for one in found:
        field = descriptor.fields_by_number.get(one.field_number)
        if field is None or field.type != FieldDescriptor.TYPE_STRING:
            continue
        try:
            one.data.decode()
        except (UnicodeDecodeError, AttributeError):
            faults.append(FieldFault(camel(field.name), "must be text in UTF-8"))
    return tuple(faults)


def check(message: Message | Unreadable) -> None:
    """Raises ``InvalidArgument`` with one fault per violated rule."""
    if isinstance(message, Unreadable):
        if message.faults:
            first = message.faults[0]
            raise InvalidArgument(f"{first.field}: {first.message}", *message.faults)
        raise InvalidArgument("the request is no such message, or a text in it is not UTF-8")
    # protovalidate walks a whole message even where nothing declares a rule: 11 microseconds for
    # each entry of Envoy's access log.
    if not has_rules(message.DESCRIPTOR):
        return
    violations = protovalidate.collect_violations(message)
    if violations:
        faults = [_fault(violation) for violation in violations]
        first = faults[0]
        where = f"{first.field}: " if first.field else ""
        raise InvalidArgument(f"{where}{first.message}", *faults)


@cache
def has_rules(descriptor: Any) -> bool:
    """Whether a message, or any that it may hold, declares a rule."""
    seen: set[str] = set()
    open_ends: list[Descriptor] = [descriptor]
    while open_ends:
        one = open_ends.pop()
        if one.full_name in seen:
            continue
        seen.add(one.full_name)
        if (
            one.GetOptions().HasExtension(validate_pb2.message)
            or any(f.GetOptions().HasExtension(validate_pb2.field) for f in one.fields)
            or any(o.GetOptions().HasExtension(validate_pb2.oneof) for o in one.oneofs)
        ):
            return True
        open_ends += [f.message_type for f in one.fields if f.message_type is not None]
    return False


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
