"""Nothing that a person wrote gets into logs, traces or metrics, whatever becomes of it."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import grpc
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from eros_common.logging import JsonFormatter
from tests.integration.assistant.conftest import Starter
from tests.integration.assistant.service import Service
from tests.integration.assistant.test_model import a_model

MARK = "zqxmarker7"
SAID = (
    f"What could I write to {MARK}?",
    f'He wrote "{MARK}, see you". What does it mean?',
    f"She asked me for 500 euros for {MARK}, is it a scam?",
    f"I want to kill myself, {MARK}",
    f'How do you say "{MARK} likes dogs" in Spanish?',
    f"call {MARK} at +34 612 345 678",
    f"{MARK} 🏳️‍🌈 ^{MARK}$ [[{MARK}",
)


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """All that would be written, as the services write it, at the finest level."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter("assistant"))
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    root.addHandler(handler)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


@dataclass(frozen=True, slots=True)
class Telemetry:
    """All that would be exported, kept in memory."""

    spans: InMemorySpanExporter
    metrics: InMemoryMetricReader

    def told(self) -> str:
        """Every name, attribute, event, link and status."""
        spans = [span.to_json() for span in self.spans.get_finished_spans()]
        data = self.metrics.get_metrics_data()
        return "\n".join([*spans, "" if data is None else data.to_json()])


@pytest.fixture
def telemetry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Telemetry]:
    """Tracing and measuring as with an endpoint: before a service begins, which then looks once."""
    found = Telemetry(InMemorySpanExporter(), InMemoryMetricReader())
    traces, measures = TracerProvider(), MeterProvider([found.metrics])
    traces.add_span_processor(SimpleSpanProcessor(found.spans))
    monkeypatch.setattr("opentelemetry.trace._TRACER_PROVIDER", traces)
    monkeypatch.setattr("opentelemetry.metrics._internal._METER_PROVIDER", measures)
    yield found
    traces.shutdown()
    measures.shutdown()


async def say_everything(assistant: Service) -> None:
    conversation = None
    for text in SAID:
        answer = await assistant.chat(text, conversation)
        conversation = answer.conversation_id
        await assistant.ask(text)
        await assistant.advise(MARK, text)
        await assistant.stream(text)
    assert conversation is not None
    assert MARK in str(await assistant.read(conversation))
    for call in (
        assistant.translate(f"I like {MARK}", "ja"),
        assistant.translate(f"I like {MARK}", f"x-{MARK}!"),
        assistant.chat(MARK * 1000),
        assistant.chat(f"{MARK} \0"),
        assistant.chat(MARK, MARK),
        assistant.read(MARK),
    ):
        with pytest.raises(grpc.aio.AioRpcError):
            await call


async def test_of_what_the_embedded_assistant_was_told(
    assistant: Service, written: io.StringIO
) -> None:
    await say_everything(assistant)
    logging.getLogger("assistant").info("heard")
    assert "heard" in written.getvalue()
    assert MARK not in written.getvalue()


@pytest.mark.parametrize("how", ["good", "refusing", "garbage"])
async def test_of_what_a_model_was_told(starter: Starter, written: io.StringIO, how: str) -> None:
    async with a_model() as model:
        settings = {
            "assistant_llm_url": model.url,
            "assistant_llm_model": how,
            "assistant_llm_daily_tokens": 1_000_000,
        }
        async with starter(**settings) as assistant:
            for text in SAID:
                await assistant.chat(text)
            async with asyncio.timeout(20):
                while not model.asked:
                    await model.came.wait()
    assert MARK in str(model.asked)
    # The client's own lines are among what was looked at.
    assert "openai._base_client" in written.getvalue()
    assert MARK not in written.getvalue()
    if how != "good":
        assert "assistant.model.unavailable" in written.getvalue()


async def test_of_traces_and_metrics(telemetry: Telemetry, starter: Starter) -> None:
    async with a_model() as model:
        settings = {
            "assistant_llm_url": model.url,
            "assistant_llm_model": f"{MARK} is 29.",
            "assistant_llm_daily_tokens": 1_000_000,
        }
        async with starter(**settings) as assistant:
            for text in SAID:
                with suppress(grpc.aio.AioRpcError):
                    await assistant.chat(text)
                    await assistant.ask(text)
                    await assistant.advise(MARK, text)
                    await assistant.translate(text, f"x-{MARK}!")
            told = telemetry.told()
    assert MARK in str(model.asked)
    for name in ("AssistantService/Chat", "AssistantService/Translate", "GetDailyMatches"):
        assert name in told, "it was traced"
    assert "eros.assistant.answers" in told
    assert "ungrounded_number" in told
    assert MARK not in told
