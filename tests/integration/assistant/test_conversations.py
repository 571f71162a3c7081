"""What is kept of conversations: for their owner, in order, until the account goes."""

from __future__ import annotations

import asyncio

import asyncpg
import grpc
import pytest
import redis.asyncio

from eros.assistant.v1 import assistant_pb2 as pb
from eros_common.errors import ErrorCode, from_rpc_error
from eros_common.ids import new_user_id
from tests.integration.assistant.service import Service


async def test_a_conversation_is_kept_and_read_again(assistant: Service) -> None:
    first = await assistant.chat("hola")
    second = await assistant.chat("¿Quiénes son mis matches de hoy?", first.conversation_id)
    assert second.conversation_id == first.conversation_id
    read = await assistant.read(first.conversation_id)
    assert [message.role for message in read.messages] == ["user", "assistant"] * 2
    assert [message.number for message in read.messages] == [1, 2, 3, 4]
    assert read.messages[3].text == second.response
    assert read.messages[3].intent == "matches_today"
    assert list(read.messages[3].suggested_actions) == list(second.suggested_actions)
    assert read.source == "database"
    again = await assistant.read(first.conversation_id)
    assert again.source == "cache"
    assert list(again.messages) == list(read.messages)


async def test_a_new_message_is_in_the_next_reading(assistant: Service) -> None:
    first = await assistant.chat("hello")
    await assistant.read(first.conversation_id)
    assert (await assistant.read(first.conversation_id)).source == "cache"
    await assistant.chat("thanks", first.conversation_id)
    read = await assistant.read(first.conversation_id)
    assert (read.source, len(read.messages)) == ("database", 4)


async def test_pages_lead_back_to_the_beginning(assistant: Service) -> None:
    conversation = (await assistant.chat("message 0")).conversation_id
    for number in range(1, 4):
        await assistant.chat(f"message {number}", conversation)
    newest = await assistant.read(conversation, limit=3)
    assert [one.number for one in newest.messages] == [6, 7, 8]
    older = await assistant.read(conversation, limit=3, before=newest.next_before)
    assert [one.number for one in older.messages] == [3, 4, 5]
    oldest = await assistant.read(conversation, limit=3, before=older.next_before)
    assert [one.number for one in oldest.messages] == [1, 2]
    assert not oldest.HasField("next_before")


async def test_it_is_its_owners_only(assistant: Service) -> None:
    conversation = (await assistant.chat("hello")).conversation_id
    await assistant.read(conversation)
    other = new_user_id()
    for call in (
        assistant.read(conversation, user=other),
        assistant.chat("let me in", conversation, user=other),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert from_rpc_error(refused.value).code is ErrorCode.NOT_FOUND
    assert len((await assistant.read(conversation)).messages) == 2


async def test_requests_at_once_are_all_kept_each_before_its_answer(assistant: Service) -> None:
    conversation = (await assistant.chat("hello")).conversation_id
    answers = await asyncio.gather(
        *(assistant.chat(f"thanks number {number}", conversation) for number in range(8))
    )
    assert all(answer.success for answer in answers)
    read = await assistant.read(conversation)
    assert [one.number for one in read.messages] == list(range(1, 19))
    said = [one.text for one in read.messages if one.role == "user"]
    assert sorted(said[1:]) == [f"thanks number {number}" for number in range(8)]


async def test_what_is_blank_or_too_long_is_refused(assistant: Service) -> None:
    for message in ("   \n", "x" * 4001):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await assistant.chat(message)
        error = from_rpc_error(refused.value)
        assert error.code is ErrorCode.INVALID_ARGUMENT
        assert error.fields[0].field == "message"
    with pytest.raises(grpc.aio.AioRpcError):
        await assistant.read("no-uuid")


async def test_everything_goes_with_the_account(
    assistant: Service, postgres_url: str, valkey_url: str
) -> None:
    conversation = (await assistant.chat("hello")).conversation_id
    await assistant.read(conversation)
    async with redis.asyncio.Redis.from_url(valkey_url) as cache:
        key = f"conversation:{assistant.user}:{conversation}"
        prepared = f"assistant:prepared:{assistant.user}"
        await cache.set(prepared, "what the night left")
        assert 0 < await cache.ttl(key) <= 7 * 24 * 3600
        connection = await asyncpg.connect(postgres_url, server_settings={"role": "eros_accounts"})
        try:
            exported = await connection.fetchval("SELECT assistant.export($1)", assistant.user)
            assert '"hello"' in exported
            gone = await connection.fetchval("SELECT assistant.forget($1)", [assistant.user])
        finally:
            await connection.close()
        assert gone == 1
        async with asyncio.timeout(10):
            while await cache.exists(key, prepared):
                await asyncio.sleep(0.02)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await assistant.read(conversation)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_nothing_begins_while_the_account_goes(assistant: Service, postgres_url: str) -> None:
    """The message came with a token that still passes, after the deletion had taken the account."""
    connection = await asyncpg.connect(postgres_url)
    looking = await asyncpg.connect(postgres_url)
    waits = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND wait_event_type = 'Lock' AND application_name = 'eros-assistant'"""
    kept = "SELECT count(*) FROM assistant.conversations WHERE user_id = $1"
    try:
        async with connection.transaction():
            await connection.execute("DELETE FROM accounts.users WHERE id = $1", assistant.user)
            await connection.execute("SELECT assistant.forget($1)", [assistant.user])
            begun = asyncio.create_task(assistant.chat("hello"))
            async with asyncio.timeout(20):
                while not await looking.fetchval(waits):
                    assert not begun.done(), "it does not ask for the account"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await begun
        assert from_rpc_error(refused.value).message == "there is no such account"
        assert await looking.fetchval(kept, assistant.user) == 0
    finally:
        await connection.close()
        await looking.close()


async def test_activity_hears_of_it_at_once(assistant: Service) -> None:
    await assistant.ask("what is consent?")
    activity = assistant.activity
    async with asyncio.timeout(20), activity.heard:
        await activity.heard.wait_for(lambda: assistant.user in activity.touched)


async def test_a_dead_cache_fails_nothing(starter: object) -> None:
    async with starter(cache_redis="redis://127.0.0.1:1") as lonely:  # type: ignore[operator]
        conversation = (await lonely.chat("hello")).conversation_id
        read = await lonely.read(conversation)
        assert (read.source, len(read.messages)) == ("database", 2)
        answer = await lonely.stub.Ask(pb.AskRequest(question="who pays?"), metadata=lonely.auth())
        assert answer.known
