"""Only messages that declare rules are walked for violations."""

from __future__ import annotations

import pytest
from envoy_als import als_pb2
from google.protobuf.descriptor import Descriptor
from google.protobuf.struct_pb2 import Struct

from eros.accounts.v1 import accounts_pb2
from eros.activity.v1 import activity_pb2
from eros_common.errors import InvalidArgument
from eros_common.interceptors.validation import check, has_rules


@pytest.mark.parametrize(
    ("descriptor", "ruled"),
    [
        (activity_pb2.HeartbeatRequest.DESCRIPTOR, True),
        (activity_pb2.TouchRequest.DESCRIPTOR, True),
        (accounts_pb2.ImportAccountsRequest.DESCRIPTOR, True),
        (activity_pb2.GetStatusRequest.DESCRIPTOR, False),
        (Struct.DESCRIPTOR, False),  # holds itself
        (als_pb2.StreamAccessLogsMessage.DESCRIPTOR, False),
    ],
    ids=lambda value: value.full_name if isinstance(value, Descriptor) else "",
)
def test_which_declare_rules(descriptor: Descriptor, ruled: bool) -> None:
    assert has_rules(descriptor) is ruled


def test_a_rule_within_a_repeated_message_is_found() -> None:
    short = activity_pb2.TouchRequest(interactions=[activity_pb2.Interaction(user_id=b"short")])
    with pytest.raises(InvalidArgument) as error:
        check(short)
    assert error.value.fields[0].field == "interactions[0].userId"
