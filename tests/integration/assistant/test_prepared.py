"""What the night left is what is answered by day, as long as it is of today."""

from __future__ import annotations

import pytest
import redis.asyncio

from eros_advice.people import Other, Own
from eros_advice.prepared import Prepared, encode, prepare, prepared_key
from eros_advice.texts import Language
from tests.integration.assistant.service import ANA, PUBLIC, REASONS, Service

# Eva as she is in the played accounts.
EVA = Own(
    name="Eva",
    age=30,
    city="Madrid",
    bio="Hiking on Sundays.",
    interests=("hiking", "chess"),
    photos=1,
    gender="female",
    seeks=("male", "female"),
)
TONIGHT = Other(
    user_id=ANA,
    name="Ana",
    age=31,
    city="Madrid",
    # By night it said something else: so a line of the night can be told from one of the day.
    bio="I collect lighthouses of paper.",
    interests=tuple(PUBLIC[ANA].interests),
    distance_km=4.2,
    reasons=tuple(REASONS),
)
GONE = Other(
    user_id="0a000000-0000-4000-8000-00000000000f", name="Zoe", interests=("hiking",), photos=2
)


async def leave(valkey_url: str, assistant: Service, own: Own, *others: Other) -> Prepared:
    """What the worker's `prepare` writes."""
    made = prepare(own, others)
    async with redis.asyncio.Redis.from_url(valkey_url) as cache:
        await cache.set(prepared_key(assistant.user), encode(made))
    return made


async def test_first_lines_of_the_night_are_given_by_day(
    assistant: Service, valkey_url: str
) -> None:
    made = await leave(valkey_url, assistant, EVA, TONIGHT)
    for message, language in (
        ("What could I write to Ana?", Language.EN),
        ("¿Qué le podría escribir a Ana?", Language.ES),
    ):
        answer = await assistant.chat(message)
        assert (answer.intent, answer.engine) == ("opening_line", "prepared")
        lines = made.openings[language][ANA]
        assert any("lighthouses" in line for line in lines)
        assert all(line in answer.response for line in lines)
        copied = [one.text for one in answer.suggested_actions if one.type == "copy"]
        assert copied == list(lines)


async def test_the_review_of_the_night_is_given_by_day(assistant: Service, valkey_url: str) -> None:
    made = await leave(valkey_url, assistant, EVA, TONIGHT)
    answer = await assistant.chat("How can I improve my profile?")
    assert (answer.intent, answer.engine) == ("profile_help", "prepared")
    assert made.review[Language.EN][0].text in answer.response


@pytest.mark.parametrize(
    ("question", "entry"),
    [
        ("What should I write in a first message?", "first-message"),
        ("How do I keep a conversation going?", "keeping-a-conversation-alive"),
        ("How do I choose good photos?", "choosing-photos"),
    ],
)
async def test_likely_questions_get_the_answer_of_the_night(
    assistant: Service, valkey_url: str, question: str, entry: str
) -> None:
    before = await assistant.ask(question)
    assert (before.engine, before.sources[0].id) == ("embedded", entry)
    made = await leave(valkey_url, assistant, EVA, TONIGHT)
    note = made.notes[Language.EN][entry].text
    answer = await assistant.ask(question)
    assert answer.engine == "prepared"
    assert answer.answer == f"{before.answer}\n\n{note}"
    given = await assistant.advise(entry)
    assert given.engine == "prepared"
    assert given.advice.endswith(note)


async def test_in_a_conversation_too(assistant: Service, valkey_url: str) -> None:
    made = await leave(valkey_url, assistant, EVA, TONIGHT)
    answer = await assistant.chat("How do I keep the conversation going?")
    assert (answer.intent, answer.engine) == ("conversation_cold", "prepared")
    assert made.notes[Language.EN]["keeping-a-conversation-alive"].text in answer.response


async def test_nothing_of_another_profile_is_used(assistant: Service, valkey_url: str) -> None:
    await leave(valkey_url, assistant, Own(name="Eva", age=30, city="Madrid"), TONIGHT)
    for message in ("What could I write to Ana?", "How can I improve my profile?"):
        answer = await assistant.chat(message)
        assert answer.engine == "embedded"
        assert "lighthouses" not in answer.response
    assert (await assistant.ask("How do I choose good photos?")).engine == "embedded"


async def test_nothing_of_a_match_that_is_not_on_todays_list(
    assistant: Service, valkey_url: str
) -> None:
    made = await leave(valkey_url, assistant, EVA, GONE)
    assert made.notes[Language.EN]["first-message"].about == GONE.user_id
    asked = await assistant.ask("What should I write in a first message?")
    chat = await assistant.chat("What could I write to Zoe?")
    assert asked.engine == chat.engine == "embedded"
    assert "Zoe" not in asked.answer
    # What is of nobody else still holds.
    assert (await assistant.ask("How do I choose good photos?")).engine == "prepared"


async def test_what_cannot_be_read_is_as_if_it_were_not_there(
    assistant: Service, valkey_url: str
) -> None:
    async with redis.asyncio.Redis.from_url(valkey_url) as cache:
        await cache.set(prepared_key(assistant.user), b'{"v": 1, "profile": "x"}')
    answer = await assistant.chat("What could I write to Ana?")
    assert (answer.engine, answer.intent) == ("embedded", "opening_line")
