"""What the assistant refuses, and that it says which part is away."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any
from uuid import uuid4

import grpc
import pytest

from eros_common.errors import ErosError, from_rpc_error
from tests.integration.assistant.conftest import Starter
from tests.integration.assistant.service import Service
from tests.support.proxy import Proxy


async def refusal(call: Awaitable[Any]) -> ErosError:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return from_rpc_error(refused.value)


@pytest.mark.parametrize("text", ["a\0b", "a\x1bb", "\x7f", " \n "])
async def test_what_nobody_can_have_written_is_refused_by_its_field(
    assistant: Service, text: str
) -> None:
    for field, call in (
        ("message", assistant.chat(text)),
        ("message", assistant.stream(text)),
        ("question", assistant.ask(text)),
        ("topic", assistant.advise(text)),
        ("text", assistant.translate(text, "es")),
    ):
        error = await refusal(call)
        assert (error.http_status, [fault.field for fault in error.fields]) == (400, [field])
    if text.strip():
        error = await refusal(assistant.advise("first date", text))
        assert (error.http_status, error.fields[0].field) == (400, "context")


async def test_tabs_and_line_breaks_are_text(assistant: Service) -> None:
    assert (await assistant.ask("What is\ta good\r\nfirst date?")).answer


async def test_without_the_database_it_says_so_and_what_needs_none_is_answered(
    starter: Starter, postgres_url: str
) -> None:
    async with Proxy.to(postgres_url) as way, starter(database_url=way.url) as assistant:
        kept = await assistant.chat("Hello")
        await way.cut()
        for call in (
            assistant.chat("Hello"),
            assistant.chat("Hello", kept.conversation_id),
            assistant.stream("Hello"),
            assistant.read(str(uuid4())),
        ):
            error = await refusal(call)
            assert (error.code, error.http_status) == ("UNAVAILABLE", 503)
        assert (await assistant.ask("What is a good first date?")).known
        way.mend()
        assert (await assistant.chat("Hello", kept.conversation_id)).conversation_id
        messages = (await assistant.read(kept.conversation_id)).messages
    assert [message.number for message in messages] == [1, 2, 3, 4]
