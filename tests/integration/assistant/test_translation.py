"""Translation by a real Apertium, where this machine has one."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import grpc
import pytest

from eros_assistant.translation.apertium import Apertium, Installation
from eros_cli import apertium
from eros_common.errors import from_rpc_error
from eros_common.ids import new_user_id
from tests.integration.assistant.conftest import Starter

FOLDER = apertium.folder(os.environ)
needs_apertium = pytest.mark.skipif(
    Installation.find(FOLDER) is None, reason="no Apertium here; ./eros setup brings it"
)


@asynccontextmanager
async def engine() -> AsyncIterator[Apertium]:
    found = Apertium(Installation.find(FOLDER))
    try:
        yield found
    finally:
        await found.close()


@needs_apertium
@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("See you tomorrow, Ana! 😊", ["Ana", "😊"]),
        ("Look at https://example.com/a?b=1 please.\n\nThanks :)", ["https://example.com/a?b=1"]),
        ("Write to ana@example.com or @ana_93 🏳️‍🌈", ["ana@example.com", "@ana_93", "🏳️‍🌈"]),
        ("I met Marco in Madrid.", ["Marco", "Madrid"]),
        ("brackets [like] {these} <b> ^and$ \\ /", ["{", "<b>", "^"]),
    ],
)
async def test_what_is_no_language_survives(text: str, kept: list[str]) -> None:
    async with engine() as found:
        translated = await found.translate(text, "en", "es", user=new_user_id())
    assert translated is not None
    assert all(one in translated.text for one in kept), translated.text
    assert translated.text.count("\n") == text.count("\n")
    assert translated.text != text


@needs_apertium
async def test_killed_while_in_use_it_is_started_again() -> None:
    async with engine() as found:
        user = new_user_id()

        async def ask() -> str:
            answer = await found.translate("I like dogs", "en", "es", user=user)
            assert answer is not None
            return answer.text

        expected = await ask()
        asking = [asyncio.create_task(ask()) for _ in range(20)]
        await asyncio.sleep(0)
        for process in found.processes():
            # A stage may have ended with the one before it.
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        answers = await asyncio.gather(*asking, return_exceptions=True)
        assert answers.count(expected) >= 18
        assert await ask() == expected


@needs_apertium
async def test_nobody_gets_what_somebody_else_asked_for() -> None:
    async with engine() as found:
        user = new_user_id()

        async def ask(text: str) -> str:
            answer = await found.translate(text, "en", "es", user=user)
            assert answer is not None
            return answer.text

        expected = await ask("I like dogs")
        await ask("I live\0 in a secret street")
        assert await ask("I like dogs") == expected
        for turns in range(1, 8):
            asking = asyncio.create_task(ask("I live in a secret street"))
            for _ in range(turns):
                await asyncio.sleep(0)
            waiting = asyncio.create_task(ask("I like dogs"))
            await asyncio.sleep(0)
            asking.cancel()
            assert await waiting == expected
            assert await ask("I like dogs") == expected


@needs_apertium
async def test_the_route_says_which_engine_and_how_good(starter: Starter) -> None:
    async with starter(assistant_apertium_dir=FOLDER) as assistant:
        answer = await assistant.translate("¿Quieres tomar un café?", "en-GB")
        assert (answer.source_language, answer.engine, answer.quality) == ("es", "apertium", "good")
        assert answer.target_language == "en-GB"
        assert "coffee" in answer.translated
        same = await assistant.translate("I like the sea", "en")
        assert (same.translated, same.engine, same.quality) == ("I like the sea", "none", "exact")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await assistant.translate("I like the sea", "ja")
        error = from_rpc_error(refused.value)
        assert error.http_status == 400
        assert "en-es" in error.fields[0].message
        chat = await assistant.chat('How do you say "I like dogs" in Spanish?')
        assert "perros" in chat.response
