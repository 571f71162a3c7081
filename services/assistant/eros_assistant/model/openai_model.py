"""A model behind any OpenAI-compatible server, by the `openai` client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from eros_assistant.model.breaker import Breaker
from eros_assistant.ports import ModelUnavailable, ModelUse
from eros_common import logging, telemetry
from eros_common.clocks import Clock
from eros_common.ids import UserId

if TYPE_CHECKING:
    from openai import AsyncOpenAI

log = logging.get("assistant.model")

_CHARACTERS_A_TOKEN: Final = 3
"""A careful estimate for servers that do not say what they used."""
LONGEST_ANSWER_TOKENS: Final = 400


class OpenAiModel:
    """See `eros_assistant.ports.LanguageModel`.

    `timeout_seconds` is the longest for the whole answer; the first piece must be there after half
    of it. `budget_tokens` is what a person may use a day (UTC).
    """

    def __init__(
        self,
        client: AsyncOpenAI,
        *,
        model: str,
        timeout_seconds: float,
        budget_tokens: int,
        use: ModelUse,
        breaker: Breaker,
        clock: Clock,
    ) -> None:
        self._client = client
        self._model = model
        self._timeout = timeout_seconds
        self._budget = budget_tokens
        self._use = use
        self._breaker = breaker
        self._clock = clock
        meter = telemetry.meter()
        self._tokens = meter.create_counter(
            "eros.assistant.model.tokens", unit="{token}", description="Tokens spent, estimated."
        )
        self._calls = meter.create_counter(
            "eros.assistant.model.calls", unit="{call}", description="Calls by outcome."
        )

    async def stream(self, user: UserId, system: str, prompt: str) -> AsyncGenerator[str, None]:
        expected = (len(system) + len(prompt)) // _CHARACTERS_A_TOKEN
        if await self._used(user) + expected > self._budget:
            raise ModelUnavailable("budget")
        if not self._breaker.may_call():
            raise ModelUnavailable("resting")
        # Booked before it is spent, so that requests at the same time share one budget.
        await self._book(user, expected)
        written = 0
        try:
            async with asyncio.timeout(self._timeout) as limit:
                whole = limit.when()
                assert whole is not None
                limit.reschedule(whole - self._timeout / 2)
                async for piece in self._pieces(system, prompt):
                    if not written:
                        limit.reschedule(whole)
                    written += len(piece)
                    yield piece
        except TimeoutError:
            self._lost("slow")
            raise ModelUnavailable("slow") from None
        except ModelUnavailable as unavailable:
            self._lost(unavailable.reason)
            raise
        finally:
            await self._book(user, written // _CHARACTERS_A_TOKEN)
        self._breaker.succeeded()
        self._calls.add(1, {"outcome": "ok"})

    async def _pieces(self, system: str, prompt: str) -> AsyncIterator[str]:
        import openai

        messages: Any = [
            {"role": "system", "content": system},
            {"role": "user", "content": prompt},
        ]
        try:
            answer = await self._client.chat.completions.create(
                model=self._model,
                messages=messages,
                stream=True,
                temperature=0.6,
                max_tokens=LONGEST_ANSWER_TOKENS,
            )
            finished = False
            async with answer:
                async for chunk in answer:
                    for choice in chunk.choices[:1]:
                        if choice.delta.content:
                            yield choice.delta.content
                        finished = finished or choice.finish_reason is not None
            if not finished:
                # The connection ended before the answer did: half of one is none.
                raise ModelUnavailable("cut")
        except openai.APIStatusError as error:
            raise ModelUnavailable(f"refused_{error.status_code}") from None
        except openai.OpenAIError:
            raise ModelUnavailable("down") from None
        except (ValueError, AttributeError, TypeError):
            # A server that speaks something else.
            raise ModelUnavailable("unreadable") from None

    def _lost(self, reason: str) -> None:
        self._breaker.failed()
        self._calls.add(1, {"outcome": reason})
        # The error's own text may repeat what the person wrote: only the kind is logged.
        log.warning("unavailable", reason=reason)

    async def _used(self, user: UserId) -> int:
        return await self._use.used(user, self._clock.wall())

    async def _book(self, user: UserId, tokens: int) -> None:
        if tokens:
            self._tokens.add(tokens)
            await self._use.add(user, tokens, self._clock.wall())


def open_client(url: str, key: str, timeout_seconds: float) -> AsyncOpenAI:
    """A client that never tries again by itself. Importing it takes a fifth of a second."""
    from openai import AsyncOpenAI

    return AsyncOpenAI(base_url=url, api_key=key or "none", timeout=timeout_seconds, max_retries=0)
