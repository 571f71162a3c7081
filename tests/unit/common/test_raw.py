"""Serialized answers go out as they are, and are what the message would have been."""

from __future__ import annotations

from typing import Any

import pytest

from eros.accounts.v1 import accounts_pb2, profile_pb2
from eros_common.ids import new_user_id
from eros_common.raw import Raw, enclosed
from eros_common.testing import TestTokens, start_server
from tests.unit.common.echo import Echo, EchoServicer, EchoStub, add_echo_to_server


class _RawServicer(EchoServicer):
    async def Say(self, request: Any, _: Any) -> Any:
        text = Echo(short_text=request.short_text)
        return Raw(text.SerializeToString()) if request.short_text == "raw" else text


@pytest.mark.parametrize("text", ["raw", "built"])
async def test_a_method_may_answer_either_way(text: str) -> None:
    tokens = TestTokens()
    async with start_server((add_echo_to_server, _RawServicer()), tokens=tokens) as server:
        request, who = Echo(short_text=text), tokens.user(new_user_id())
        assert await EchoStub(server.channel).Say(request, metadata=who) == request


# Lengths of one byte, of two and of three as they are written.
@pytest.mark.parametrize("length", [0, 1, 100, 127, 128, 16_383, 16_384, 300_000])
def test_enclosed_is_what_the_message_would_have_been(length: int) -> None:
    profile = profile_pb2.Profile(bio="x" * length)
    whole = accounts_pb2.GetProfileResponse(success=True, profile=profile)
    head = accounts_pb2.GetProfileResponse(success=True)
    raw = enclosed(head, "profile", profile.SerializeToString())
    assert raw.data == whole.SerializeToString()
