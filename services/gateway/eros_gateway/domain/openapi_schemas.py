"""Messages as JSON Schemas (draft 2020-12, as OpenAPI 3.1 has it), as the gateway reads and prints
them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from eros.options.v1 import options_pb2
from eros_gateway.domain.contract import ContractFault
from eros_gateway.domain.json import Json, Object

Comments: TypeAlias = Mapping[str, str]
"""What the protos say, by full name."""

_SCALARS: Final[dict[int, Object]] = {
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_INT32: {"type": "integer", "format": "int32"},
}
_KNOWN: Final[dict[str, Object]] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.ListValue": {"type": "array", "items": {}},
    "google.protobuf.Struct": {"type": "object"},
}


class Schemas:
    """Collects the schemas that are referred to, by the messages' short names."""

    def __init__(self, comments: Comments) -> None:
        self._comments = comments
        self._seen: dict[str, Descriptor] = {}
        self.components: dict[str, Object] = {}

    def body(self, message: Descriptor, without: frozenset[str]) -> Object:
        """What a client sends, but the fields that are in the path."""
        return self._inline(message, answer=False, without=without)

    def answer(self, message: Descriptor) -> Object:
        """A reference to what a service answers."""
        return self._reference(message, answer=True)

    def field(self, field: FieldDescriptor, *, answer: bool) -> Object:
        """One field, with its rules, comment and example."""
        schema = self._type(field, answer=answer)
        declared = field.GetOptions()
        if not answer and declared.HasExtension(validate_pb2.field):
            _apply_rules(schema, declared.Extensions[validate_pb2.field])
        if comment := self._comments.get(field.full_name):
            schema["description"] = comment
        if declared.HasExtension(options_pb2.doc):
            doc = declared.Extensions[options_pb2.doc]
            schema |= _json(doc.schema, field) if doc.schema else {}
            if doc.example:
                schema["examples"] = [_json(doc.example, field)]
        return schema

    def example(self, message: Descriptor, without: frozenset[str] = frozenset()) -> Json | None:
        """An object of the fields' examples; None where there are none."""
        found: Object = {}
        for field in message.fields:
            if field.name in without:
                continue
            value = self._example_of(field)
            if value is not None:
                found[field.json_name] = value
        return found or None

    def _example_of(self, field: FieldDescriptor) -> Json | None:
        declared = field.GetOptions()
        if declared.HasExtension(options_pb2.doc) and declared.Extensions[options_pb2.doc].example:
            return _json(declared.Extensions[options_pb2.doc].example, field)
        if field.message_type is None or field.message_type.full_name in _KNOWN or _is_map(field):
            return None
        inner = self.example(field.message_type)
        return [inner] if field.is_repeated and inner is not None else inner

    def _type(self, field: FieldDescriptor, *, answer: bool) -> Object:
        if _is_map(field):
            assert field.message_type is not None
            value = field.message_type.fields_by_name["value"]
            return {"type": "object", "additionalProperties": self._one(value, answer=answer)}
        one = self._one(field, answer=answer)
        return {"type": "array", "items": one} if field.is_repeated else one

    def _one(self, field: FieldDescriptor, *, answer: bool) -> Object:
        if field.enum_type is not None:
            return {"type": "string", "enum": [value.name for value in field.enum_type.values]}
        if field.message_type is not None:
            known = _KNOWN.get(field.message_type.full_name)
            if known is not None:
                return dict(known)
            return self._reference(field.message_type, answer=answer)
        try:
            return dict(_SCALARS[field.type])
        except KeyError:
            raise ContractFault(f"{field.full_name}: REST has no such type") from None

    def _reference(self, message: Descriptor, *, answer: bool) -> Object:
        name = message.name if answer else f"{message.name}Input"
        if self._seen.setdefault(name, message).full_name != message.full_name:
            raise ContractFault(f"two messages of REST are called {message.name}")
        if name not in self.components:
            self.components[name] = {}  # so that a message may hold itself
            self.components[name] = self._inline(message, answer=answer)
        return {"$ref": f"#/components/schemas/{name}"}

    def _inline(
        self, message: Descriptor, *, answer: bool, without: frozenset[str] = frozenset()
    ) -> Object:
        fields = [field for field in message.fields if field.name not in without]
        schema: Object = {
            "type": "object",
            "properties": {
                f.json_name: self.field(f, answer=True)
                if answer
                else _or_null(f, self.field(f, answer=False))
                for f in fields
            },
        }
        # What an answer holds whatever its value; what a client must send to satisfy the rules.
        needed = _is_always_printed if answer else _is_needed
        if required := [field.json_name for field in fields if needed(field)]:
            schema["required"] = required
        if comment := self._comments.get(message.full_name):
            schema["description"] = comment
        return schema


def _or_null(field: FieldDescriptor, schema: Object) -> Object:
    """What a body may hold for a field: null is as good as nothing where nothing may be."""
    if _is_needed(field):
        return schema
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    nullable = {**schema, "type": [schema["type"], "null"]}
    if "enum" in schema:
        nullable["enum"] = [*schema["enum"], None]
    return nullable


def _is_map(field: FieldDescriptor) -> bool:
    kind = field.message_type
    return kind is not None and kind.GetOptions().map_entry


def _is_always_printed(field: FieldDescriptor) -> bool:
    return field.is_repeated or (field.message_type is None and not field.has_presence)


def _is_needed(field: FieldDescriptor) -> bool:
    """Whether the rules refuse a message without it: they hold for "" and 0 as for all else."""
    declared = field.GetOptions()
    if not declared.HasExtension(validate_pb2.field):
        return False
    rules = declared.Extensions[validate_pb2.field]
    if rules.required:
        return True
    if field.has_presence or rules.ignore:
        return False
    text, many = rules.string, rules.repeated
    return bool(
        text.min_len
        or getattr(text, "in")
        or text.pattern
        or text.email
        or text.uuid
        or many.min_items
    )


def _apply_rules(schema: Object, rules: validate_pb2.FieldRules) -> None:
    kind = rules.WhichOneof("type")
    apply = _RULES.get(kind or "")
    if apply is not None:
        apply(schema, rules)


def _apply_string(schema: Object, rules: validate_pb2.FieldRules) -> None:
    text: Any = rules.string
    if text.HasField("min_len"):
        schema["minLength"] = text.min_len
    if text.HasField("max_len"):
        schema["maxLength"] = text.max_len
    if text.HasField("pattern"):
        schema["pattern"] = text.pattern
    if allowed := list(getattr(text, "in")):
        schema["enum"] = allowed
    if text.uuid:
        schema["format"] = "uuid"
    if text.email:
        schema["format"] = "email"


def _apply_number(schema: Object, rules: validate_pb2.FieldRules) -> None:
    number: Any = getattr(rules, rules.WhichOneof("type") or "int32")
    if number.HasField("gte"):
        schema["minimum"] = number.gte
    if number.HasField("lte"):
        schema["maximum"] = number.lte
    if rules.ignore:
        # 0 is no limit.
        low = schema.pop("minimum", None)
        high = schema.pop("maximum", None)
        schema["anyOf"] = [{"const": 0}, {"minimum": low, "maximum": high}]


def _apply_repeated(schema: Object, rules: validate_pb2.FieldRules) -> None:
    many = rules.repeated
    if many.HasField("min_items"):
        schema["minItems"] = many.min_items
    if many.HasField("max_items"):
        schema["maxItems"] = many.max_items
    if many.unique:
        schema["uniqueItems"] = True
    if many.HasField("items"):
        _apply_rules(schema["items"], many.items)


_RULES: Final[dict[str, Callable[[Object, validate_pb2.FieldRules], None]]] = {
    "string": _apply_string,
    "int32": _apply_number,
    "double": _apply_number,
    "repeated": _apply_repeated,
}


def _json(text: str, field: FieldDescriptor) -> Json:
    try:
        return json.loads(text)
    except ValueError:
        raise ContractFault(f"{field.full_name}: its doc is no JSON: {text}") from None
