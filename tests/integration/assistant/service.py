"""The whole assistant in the test's process; accounts, activity and matcher are played."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from eros.accounts.v1 import accounts_pb2, accounts_pb2_grpc, profile_pb2
from eros.activity.v1 import activity_pb2, activity_pb2_grpc
from eros.assistant.v1 import assistant_pb2 as pb
from eros.assistant.v1.assistant_pb2_grpc import AssistantServiceStub
from eros.matcher.v1 import matcher_pb2, matcher_pb2_grpc
from eros_assistant.__main__ import compose
from eros_assistant.config import AssistantSettings
from eros_common import config
from eros_common.auth import current_user
from eros_common.auth.keyfiles import jwks, private_pem
from eros_common.channel import open_channel
from eros_common.errors import NotFound
from eros_common.ids import UserId, new_user_id
from eros_common.lifecycle import running
from eros_common.testing import TestTokens, start_server

ANA = "0a000000-0000-4000-8000-000000000001"
MARCO = "0a000000-0000-4000-8000-000000000002"
PUBLIC = {
    ANA: profile_pb2.PublicProfile(
        user_id=ANA,
        name="Ana",
        age=31,
        city="Madrid",
        bio="I bake bread at midnight. My record is four loaves.",
        interests=["hiking", "cooking", "jazz"],
    ),
    MARCO: profile_pb2.PublicProfile(
        user_id=MARCO, name="Marco", age=34, city="Toledo", interests=["chess"]
    ),
}
REASONS = ["You both like hiking.", "You live about 4 km apart."]


class PlayedAccounts(accounts_pb2_grpc.AccountsServiceServicer):
    """One profile for whoever asks; two people besides."""

    def __init__(self) -> None:
        self.own = profile_pb2.Profile(
            name="Eva",
            age=30,
            bio="Hiking on Sundays.",
            interests=["hiking", "chess"],
            photos=["https://img.example/eva.jpg"],
            gender="female",
            preferences=profile_pb2.Preferences(genders=["male", "female"]),
            location=profile_pb2.Location(city="Madrid"),
        )

    async def GetProfile(self, request: Any, context: Any) -> accounts_pb2.GetProfileResponse:
        self.own.user_id = str(current_user().user_id)
        return accounts_pb2.GetProfileResponse(success=True, profile=self.own)

    async def GetPublicProfile(
        self, request: Any, context: Any
    ) -> accounts_pb2.GetPublicProfileResponse:
        if request.user_id not in PUBLIC:
            raise NotFound("nobody")
        return accounts_pb2.GetPublicProfileResponse(success=True, profile=PUBLIC[request.user_id])


class PlayedMatcher(matcher_pb2_grpc.MatcherServiceServicer):
    """Ana and Marco for everybody."""

    async def GetDailyMatches(
        self, request: Any, context: Any
    ) -> matcher_pb2.GetDailyMatchesResponse:
        current_user()
        return matcher_pb2.GetDailyMatchesResponse(
            success=True,
            matches=[
                matcher_pb2.Match(
                    match_id="0b000000-0000-4000-8000-000000000001",
                    user_id=ANA,
                    name="Ana",
                    age=31,
                    distance_km=4.2,
                    score=0.7,
                    reasons=REASONS,
                ),
                matcher_pb2.Match(
                    match_id="0b000000-0000-4000-8000-000000000002",
                    user_id=MARCO,
                    name="Marco",
                    age=34,
                    score=0.5,
                    reasons=["You both like chess."],
                ),
            ],
        )


class PlayedActivity(activity_pb2_grpc.ActivityServiceServicer):
    """Hears of touches."""

    def __init__(self) -> None:
        self.touched: list[UUID] = []
        self.heard = asyncio.Condition()

    async def Touch(self, request: Any, context: Any) -> activity_pb2.TouchResponse:
        async with self.heard:
            self.touched += [UUID(bytes=one.user_id) for one in request.interactions]
            self.heard.notify_all()
        return activity_pb2.TouchResponse()


@dataclass
class Service:
    """The assistant as somebody's phone sees it; `user` is that somebody."""

    stub: AssistantServiceStub
    tokens: TestTokens
    accounts: PlayedAccounts
    activity: PlayedActivity
    user: UserId

    def auth(self, user: UserId | None = None) -> Any:
        return self.tokens.user(user or self.user)

    async def chat(
        self, message: str, conversation: str | None = None, user: UserId | None = None
    ) -> pb.ChatResponse:
        request = pb.ChatRequest(message=message, conversation_id=conversation)
        return await self.stub.Chat(request, metadata=self.auth(user))

    async def stream(self, message: str) -> list[pb.StreamChatResponse]:
        request = pb.StreamChatRequest(message=message)
        return [one async for one in self.stub.StreamChat(request, metadata=self.auth())]

    async def read(
        self, conversation: str, user: UserId | None = None, **more: int
    ) -> pb.GetConversationResponse:
        request = pb.GetConversationRequest(conversation_id=conversation, **more)
        return await self.stub.GetConversation(request, metadata=self.auth(user))

    async def ask(self, question: str) -> pb.AskResponse:
        return await self.stub.Ask(pb.AskRequest(question=question), metadata=self.auth())

    async def advise(self, topic: str, context: str = "") -> pb.AdviseResponse:
        request = pb.AdviseRequest(topic=topic, context=context)
        return await self.stub.Advise(request, metadata=self.auth())

    async def translate(self, text: str, target: str) -> pb.TranslateResponse:
        request = pb.TranslateRequest(text=text, target_language=target)
        return await self.stub.Translate(request, metadata=self.auth())


async def new_account(postgres_url: str) -> UserId:
    """Somebody who is known to accounts."""
    user = new_user_id()
    connection = await asyncpg.connect(postgres_url)
    try:
        insert = "INSERT INTO accounts.users (id, created_at) VALUES ($1, now())"
        await connection.execute(insert, user)
    finally:
        await connection.close()
    return user


@asynccontextmanager
async def start(
    postgres_url: str, valkey_url: str, folder: Path, **settings: Any
) -> AsyncIterator[Service]:
    """The service with settings of the test's own."""
    tokens = TestTokens()
    accounts, activity = PlayedAccounts(), PlayedActivity()  # type: ignore[abstract]
    matcher = PlayedMatcher()  # type: ignore[abstract]
    async with AsyncExitStack() as stack:
        addresses = {}
        for name, add, played in (
            ("accounts", accounts_pb2_grpc.add_AccountsServiceServicer_to_server, accounts),
            ("matcher", matcher_pb2_grpc.add_MatcherServiceServicer_to_server, matcher),
            ("activity", activity_pb2_grpc.add_ActivityServiceServicer_to_server, activity),
        ):
            server = await stack.enter_async_context(
                start_server((add, played), tokens=tokens, name=name)
            )
            addresses[f"{name}_address"] = server.address
        key = folder / "assistant.pem"
        key.write_bytes(private_pem(tokens.service_keys["assistant"]))
        services = folder / "services.json"
        services.write_text(jwks(tokens.service_jwks()))
        read = config.read(
            AssistantSettings,
            listen="127.0.0.1:0",
            redis_url=valkey_url,
            service_key_file=key,
            service_jwks_file=services,
            cache_drop_seconds=0.05,
            **({"database_url": postgres_url} | addresses | settings),
        )
        service = await stack.enter_async_context(
            running("assistant", read, compose, auth=tokens.auth("assistant"))
        )
        channel = open_channel(f"127.0.0.1:{service.port}", retry=False)
        stack.push_async_callback(channel.close)
        user = await new_account(postgres_url)
        yield Service(AssistantServiceStub(channel), tokens, accounts, activity, user)
