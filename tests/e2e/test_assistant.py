"""The assistant over HTTP, on the whole mesh."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from eros_cli.mesh.mesh import Mesh
from tests.support.people import WHOLE, Person, refused, sign_up, succeeded


@pytest.fixture
async def eva(gateway: httpx.AsyncClient) -> Person:
    return await sign_up(gateway, "Eva", **WHOLE)


async def follow(person: Person, action: dict[str, Any]) -> None:
    """Does what a suggested action says."""
    if action["type"] == "copy":
        assert action["text"]
        return
    path = action["path"].removeprefix("/api/v1")
    answer = await person.call(action["method"], path, action.get("body"))
    assert answer.json()["success"], (action, answer.text)


async def test_a_conversation_and_everything_it_suggests(eva: Person) -> None:
    conversation = None
    for message in (
        "Hi!",
        "What could I write to my match?",
        "How can I improve my profile?",
        "who are my matches today?",
        "¿Quién paga en la primera cita?",
        "how do I report someone",
        "what's the capital of Peru",
    ):
        body = {"message": message} | ({"conversationId": conversation} if conversation else {})
        answer = succeeded(await eva.call("POST", "/assistant/chat", body))
        assert answer.keys() >= {"conversationId", "response", "intent", "suggestedActions"}
        conversation = answer["conversationId"]
        for action in answer["suggestedActions"]:
            await follow(eva, action)
    read = await eva.get(f"/assistant/conversations/{conversation}")
    assert len(read["messages"]) == 14
    assert read["source"] in ("cache", "database")


async def test_killed_while_it_answers_it_is_there_again_with_all_it_acknowledged(
    eva: Person, mesh: Mesh
) -> None:
    first = succeeded(await eva.call("POST", "/assistant/chat", {"message": "Hi!"}))
    said = {"conversationId": first["conversationId"]}

    async def ask(number: int) -> tuple[str, httpx.Response]:
        text = f"How do I keep a conversation going? {number}"
        return text, await eva.call("POST", "/assistant/chat", {"message": text, **said})

    asking = [asyncio.create_task(ask(number)) for number in range(30)]
    await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
    await mesh.kill("assistant")
    answers = await asyncio.gather(*asking)
    assert {answer.status_code for _, answer in answers} <= {200, 503}
    await mesh.until_serving("assistant")
    async with asyncio.timeout(20):
        while (await ask(99))[1].status_code != 200:
            await asyncio.sleep(0.1)
    path = f"/assistant/conversations/{said['conversationId']}?limit=200"
    kept = [message["text"] for message in (await eva.get(path))["messages"]]
    for text, answer in answers:
        if answer.status_code == 200:
            assert text in kept
            assert answer.json()["response"] in kept


async def test_the_answer_as_events(eva: Person) -> None:
    headers = {"authorization": f"Bearer {eva.token}"}
    async with eva.http.stream(
        "POST", "/assistant/chat/stream", json={"message": "hello"}, headers=headers
    ) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line async for line in response.aiter_lines() if line.startswith("data:")]
    events = [json.loads(line.removeprefix("data:")) for line in lines]
    assert events[-1]["answer"]["intent"] == "small_talk"
    assert events[-1]["answer"]["response"]


async def test_single_answers_name_what_they_draw_on(eva: Person) -> None:
    asked = await eva.call("POST", "/assistant/ask", {"question": "Who pays on a first date?"})
    answer = succeeded(asked)
    assert answer["question"] == "Who pays on a first date?"
    assert answer["sources"][0]["id"] == "who-pays"
    given = await eva.call("POST", "/assistant/advice", {"topic": "consent"})
    advice = succeeded(given)
    assert advice["topic"] == "consent"
    assert advice["sources"][0]["id"] == "consent"


async def test_what_is_wrong_gets_a_clear_error(eva: Person, gateway: httpx.AsyncClient) -> None:
    refused(
        await eva.call("POST", "/assistant/chat", {"message": " "}),
        400,
        "INVALID_ARGUMENT",
        "message",
    )
    refused(
        await eva.call("POST", "/assistant/translate", {"text": "hi", "targetLanguage": "!!"}),
        400,
        "INVALID_ARGUMENT",
        "targetLanguage",
    )
    missing = "/assistant/conversations/00000000-0000-4000-8000-000000000000"
    refused(await eva.call("GET", missing), 404, "NOT_FOUND")
    answer = await gateway.post("/assistant/chat", json={"message": "hi"})
    refused(answer, 401, "UNAUTHENTICATED")
