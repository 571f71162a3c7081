"""Messages are printed as the gateway's transcoder prints them."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from eros.accounts.v1 import accounts_pb2
from eros.matcher.v1 import matcher_pb2
from eros_common.policy import policy_of
from eros_common.shortcut.printing import printer

FILES = (accounts_pb2.DESCRIPTOR, matcher_pb2.DESCRIPTOR)
TEXTS = ("", "Ana", 'a "quoted" \\ line\n', "Zoë 🦔\u2028\x01")
NUMBERS = (0.0, -0.5, 40.42, 1e-7, 123456789.123, 1e21)


def _types() -> list[Descriptor]:
    return [
        method.output_type
        for file in FILES
        for service in file.services_by_name.values()
        for method in service.methods
        if (policy := policy_of(method)) is not None and policy.cached
    ]


@pytest.mark.parametrize("descriptor", _types(), ids=lambda d: d.name)
def test_every_cached_answer_is_printed_as_protobuf_prints_it(descriptor: Descriptor) -> None:
    write = printer(descriptor)
    for seed in range(50):
        message = _filled(descriptor, Random(seed))
        expected = json_format.MessageToDict(message, always_print_fields_with_no_presence=True)
        assert json.loads(write(message)) == expected


def test_what_cannot_be_printed_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match=r"google\.protobuf\.Timestamp"):
        printer(matcher_pb2.MutualMatch.DESCRIPTOR)


def test_a_whole_number_has_no_point() -> None:
    match = matcher_pb2.Match(score=1.0, distance_km=4.0)
    text = printer(matcher_pb2.Match.DESCRIPTOR)(match)
    assert b'"distanceKm":4,"score":1,' in text


def test_a_number_that_is_none_is_no_answer() -> None:
    with pytest.raises(ValueError, match="JSON"):
        printer(matcher_pb2.Match.DESCRIPTOR)(matcher_pb2.Match(score=float("nan")))


def _filled(descriptor: Descriptor | None, random: Random) -> Any:
    """A message with some of its fields set."""
    assert descriptor is not None
    message: Any = message_factory.GetMessageClass(descriptor)()
    for field in descriptor.fields:
        if random.random() < 0.3:
            continue
        if field.is_repeated:
            values = [_value(field, random) for _ in range(random.randrange(3))]
            getattr(message, field.name).extend(values)
        elif field.message_type is not None:
            getattr(message, field.name).CopyFrom(_value(field, random))
        else:
            setattr(message, field.name, _value(field, random))
    return message


def _value(field: FieldDescriptor, random: Random) -> Any:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_MESSAGE:
            return _filled(field.message_type, random)
        case FieldDescriptor.CPPTYPE_STRING:
            return random.choice(TEXTS)
        case FieldDescriptor.CPPTYPE_BOOL:
            return random.random() < 0.5
        case FieldDescriptor.CPPTYPE_DOUBLE:
            return random.choice(NUMBERS)
        case _:
            return random.randrange(-5, 100)
