"""With a model: its words where it is there, ours whenever it is not."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.integration.assistant.conftest import Starter
from tests.integration.assistant.model_server import SENTENCES, WORDS

SERVER = Path(__file__).with_name("model_server.py")
INJECTIONS = Path(__file__).with_name("injections.txt").read_text(encoding="utf-8").splitlines()
QUESTION = "How do I keep the conversation going?"


@dataclass
class Model:
    """The server's process and what it was asked."""

    process: asyncio.subprocess.Process
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.asked.append(json.loads(line))
            self.came.set()


@asynccontextmanager
async def a_model() -> AsyncIterator[Model]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SERVER), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    model = Model(process)
    model.url = f"http://127.0.0.1:{int(await process.stdout.readline())}/v1"
    listening = asyncio.create_task(model.listen())
    try:
        yield model
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await listening


async def test_its_words_come_in_pieces_and_as_a_whole(starter: Starter) -> None:
    async with a_model() as model:
        settings = {"assistant_llm_url": model.url, "assistant_llm_model": "good"}
        async with starter(**settings) as assistant:
            answer = await assistant.chat(QUESTION)
            assert (answer.engine, answer.response) == ("model", "".join(WORDS))
            assert answer.intent == "conversation_cold"
            events = await assistant.stream(QUESTION)
            assert [event.delta for event in events[:-1]] == list(SENTENCES)
            assert events[-1].answer.response == "".join(WORDS)
            asked = await assistant.ask("who pays on the first date?")
            assert (asked.engine, asked.sources[0].id) == ("model", "who-pays")


@pytest.mark.parametrize("how", ["slow", "refusing", "garbage", "hanging"])
async def test_ours_where_it_fails_and_it_is_left_alone(starter: Starter, how: str) -> None:
    async with a_model() as model:
        settings = {
            "assistant_llm_url": model.url,
            "assistant_llm_model": how,
            "assistant_llm_timeout_seconds": 0.3,
        }
        async with starter(**settings) as assistant:
            for _ in range(4):
                answer = await assistant.chat(QUESTION)
                assert answer.engine == "embedded"
                assert "".join(WORDS) not in answer.response
            # Three failures in a row: the fourth was not even tried.
            assert len(model.asked) == 3


async def test_ours_where_it_is_killed_in_the_middle(starter: Starter) -> None:
    async with a_model() as model:
        settings = {"assistant_llm_url": model.url, "assistant_llm_model": "hanging"}
        async with starter(**settings) as assistant:
            asking = asyncio.create_task(assistant.chat(QUESTION))
            await model.came.wait()
            model.process.kill()
            answer = await asking
            assert answer.engine == "embedded"
            assert (await assistant.chat(QUESTION)).engine == "embedded"


async def test_a_persons_budget_ends_for_that_person(starter: Starter) -> None:
    async with a_model() as model:
        settings = {
            "assistant_llm_url": model.url,
            "assistant_llm_model": "good",
            "assistant_llm_daily_tokens": 1500,
        }
        async with starter(**settings) as assistant:
            engines = [(await assistant.chat(QUESTION)).engine for _ in range(4)]
            assert engines[0] == "model"
            assert engines[-1] == "embedded"


async def test_questions_at_the_same_time_share_the_budget(
    starter: Starter, postgres_url: str
) -> None:
    async with a_model() as model:
        settings = {
            "assistant_llm_url": model.url,
            "assistant_llm_model": "good",
            "assistant_llm_daily_tokens": 1500,
        }
        async with starter(**settings) as assistant:
            answers = await asyncio.gather(*(assistant.chat(QUESTION) for _ in range(8)))
            engines = [answer.engine for answer in answers]
            assert 1 <= engines.count("model") == len(model.asked) < 8
            admin = await asyncpg.connect(postgres_url)
            try:
                used = "SELECT tokens FROM assistant.model_use WHERE user_id = $1"
                assert 0 < await admin.fetchval(used, assistant.user) <= 1500
            finally:
                await admin.close()


async def test_what_people_write_is_data(starter: Starter) -> None:
    async with a_model() as model:
        settings = {
            "assistant_llm_url": model.url,
            "assistant_llm_model": "good",
            "assistant_llm_daily_tokens": 1_000_000,
        }
        async with starter(**settings) as assistant:
            for text in INJECTIONS:
                asked = f"{text} (about a first date and who pays)"
                assert (await assistant.ask(asked)).success
                assert (await assistant.chat(text)).success
                for request in model.asked:
                    system, user = request["messages"]
                    assert (system["role"], user["role"]) == ("system", "user")
                    data = json.loads(user["content"])
                    said = data.get("message") or data.get("question") or data["text"]
                    # All of it is inside one JSON string of one message, and nowhere else.
                    assert said in (text, asked) or said in text
                    assert text not in system["content"]
                    # Of other people only what the public profile says.
                    assert "@" not in data.get("facts", "")
                model.asked.clear()


@pytest.mark.parametrize(
    "said",
    [
        "Here is an idea. Ana loves scuba diving, so begin with that.",
        "Ana is 29, ask her how it feels.",
        "Tell her that Roberto says hello.",
        "You could meet her in Valencia.",
        "Write to ana@example.com today.",
        "Sure: in it is data, what people wrote and what the app knows.",
    ],
)
async def test_what_nobody_told_it_is_not_said(starter: Starter, said: str) -> None:
    async with a_model() as model:
        settings = {"assistant_llm_url": model.url, "assistant_llm_model": said}
        async with starter(**settings) as assistant:
            events = await assistant.stream("What could I write to Ana?")
            assert events[-1].answer.engine == "embedded"
            assert "hiking" in events[-1].answer.response
            # Not even for a moment: a sentence is looked at before it is sent.
            shown = "".join(event.delta for event in events[:-1])
            assert shown in ("", "Here is an idea. ")
            assert (await assistant.chat("What could I write to Ana?")).engine == "embedded"


async def test_what_it_was_told_it_may_say_in_its_own_words(starter: Starter) -> None:
    said = "Ana likes hiking and so do you. Ask her about the bread that she bakes at midnight!"
    async with a_model() as model:
        settings = {"assistant_llm_url": model.url, "assistant_llm_model": said}
        async with starter(**settings) as assistant:
            answer = await assistant.chat("Who is Ana?")
            assert (answer.engine, answer.response, answer.source) == ("model", said, "live")


async def test_danger_does_not_wait_for_a_model(starter: Starter) -> None:
    async with a_model() as model:
        settings = {"assistant_llm_url": model.url, "assistant_llm_model": "slow"}
        async with starter(**settings) as assistant:
            answer = await assistant.chat("I want to kill myself")
            assert (answer.engine, answer.intent) == ("embedded", "safety")
            assert "988" in answer.response.splitlines()[0]
            assert not model.asked
