"""The composition root: `python -m eros_assistant`."""

from __future__ import annotations

import asyncio
import ctypes
import gc
from typing import Final

from eros.accounts.v1.accounts_pb2_grpc import AccountsServiceStub
from eros.activity.v1.activity_pb2_grpc import ActivityServiceStub
from eros.assistant.v1.assistant_pb2_grpc import add_AssistantServiceServicer_to_server
from eros.matcher.v1.matcher_pb2_grpc import MatcherServiceStub
from eros_assistant import store_cache
from eros_assistant.assistant import Assistant, Embedded, load_embedded
from eros_assistant.config import AssistantSettings
from eros_assistant.grounding import GrpcPeople
from eros_assistant.model.breaker import Breaker
from eros_assistant.model.openai_model import OpenAiModel, open_client
from eros_assistant.ports import LanguageModel
from eros_assistant.replies.translating import ChatTranslation
from eros_assistant.servicer import AssistantServicer
from eros_assistant.store_cache import ValkeyConversations
from eros_assistant.store_conversations import PostgresCacheDrops, PostgresConversations
from eros_assistant.store_use import PostgresModelUse
from eros_assistant.talking import Talking
from eros_assistant.touching import GrpcTouching
from eros_assistant.translation.apertium import Apertium, Installation
from eros_assistant.translation.model_engine import ModelTranslator
from eros_assistant.translation.translating import Translator
from eros_common import logging, postgres
from eros_common.cache_reads import CacheReads
from eros_common.errors import Unavailable
from eros_common.lifecycle import App, main
from eros_common.postgres_drops import OwedDrops
from eros_common.redis import open_redis
from eros_common.shielded import Shield

log = logging.get("assistant")

_SWEEP_SECONDS: Final = 3600.0


class _Loaded:
    """What is there once the service has warmed up."""

    def __init__(self) -> None:
        self._embedded: Embedded | None = None

    def __call__(self) -> Embedded:
        if self._embedded is None:
            # The port is open before health says so.
            raise Unavailable("the assistant is still starting", retry_after=2)
        return self._embedded

    def put(self, embedded: Embedded) -> None:
        self._embedded = embedded


async def compose(app: App[AssistantSettings]) -> None:
    """Wires the service."""
    settings, clock = app.settings, app.clock
    pool = await app.enter(
        postgres.open_pool(
            settings.database_url,
            role="eros_assistant",
            app=app.name,
            size=settings.database_pool_size,
            leaves_nothing=True,
        )
    )
    redis = await app.enter(
        open_redis(
            settings.cache_redis_url,
            app=app.name,
            timeout_seconds=store_cache.TIMEOUT_SECONDS,
            retries=0,
        )
    )
    reads = CacheReads(redis, clock)
    app.background("assistant.cache_reads", reads.run)
    cache = ValkeyConversations(redis, reads)
    use = PostgresModelUse(pool)
    model = _model(app, use)
    apertium = Apertium(Installation.find(settings.assistant_apertium_dir))
    app.stack.push_async_callback(apertium.close)
    translator = Translator([apertium, ModelTranslator(model)])
    in_chat = ChatTranslation(translator)
    people = GrpcPeople(
        AccountsServiceStub(app.channel(settings.accounts_address, "accounts")),
        MatcherServiceStub(app.channel(settings.matcher_address, "matcher")),
    )
    touching = GrpcTouching(ActivityServiceStub(app.channel(settings.activity_address, "activity")))
    loaded = _Loaded()
    assistant = Assistant(loaded, people, cache, in_chat, model)
    shield = Shield()
    # After the server has stopped, before what the work needs is closed.
    app.stack.push_async_callback(shield.settle)
    talking = Talking(
        assistant, PostgresConversations(pool), cache, PostgresCacheDrops(pool), clock, shield
    )

    async def warm() -> None:
        # Off the loop: health is asked meanwhile.
        embedded = await asyncio.to_thread(load_embedded, settings.assistant_head_dir)
        in_chat.use(embedded.understanding.languages)
        loaded.put(embedded)
        await apertium.warm()
        _settle()
        app.stack.callback(gc.unfreeze)
        log.info("ready", model=model is not None, translates=translator.supported())

    async def sweep() -> None:
        while True:
            await clock.sleep(_SWEEP_SECONDS)
            try:
                await use.sweep(clock.wall())
            except Unavailable as error:
                log.warning("sweep_waits", error=error.message)

    app.on_warm(warm)
    app.background("assistant.touching", touching.run)
    owed = OwedDrops(
        pool, "assistant.cache_drops", cache.drop_owed, clock, settings.cache_drop_seconds
    )
    app.background("assistant.cache_drops", owed.run)
    app.background("assistant.model_use", sweep)
    app.serve(
        add_AssistantServiceServicer_to_server,
        AssistantServicer(
            assistant,
            talking,
            translator,
            lambda: loaded().understanding.languages,
            touching,
        ),
    )


def _settle() -> None:
    """What was loaded stays: the collector need not look at it again and again, which would stop
    every request for 30 ms. What loading took for a moment goes back: glibc would keep 30 MB."""
    gc.collect()
    gc.freeze()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _model(app: App[AssistantSettings], use: PostgresModelUse) -> LanguageModel | None:
    settings = app.settings
    if not settings.assistant_llm_url:
        return None
    client = open_client(
        settings.assistant_llm_url,
        settings.assistant_llm_key.get_secret_value(),
        settings.assistant_llm_timeout_seconds,
    )
    app.stack.push_async_callback(client.close)
    return OpenAiModel(
        client,
        model=settings.assistant_llm_model,
        timeout_seconds=settings.assistant_llm_timeout_seconds,
        budget_tokens=settings.assistant_llm_daily_tokens,
        use=use,
        breaker=Breaker(app.clock.monotonic, rest_seconds=settings.assistant_llm_rest_seconds),
        clock=app.clock,
    )


if __name__ == "__main__":
    main("assistant", AssistantSettings, compose)
