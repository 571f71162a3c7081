"""A model behind any OpenAI-compatible server, by the `openai` client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
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
_OK: Final = "ok"
_UNREAD: Final = "unread"
"""How a call ended whose answer was not read to its end: what it said was refused, or whoever
asked hung up."""


class OpenAiModel:
    """See `eros_assistant.ports.LanguageModel`.

    `timeout_seconds` is the longest that the model may be waited for in all; the first piece must
    be there after half of it. `budget_tokens` is what a person may use a day (UTC).
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
        if self._breaker.resting:
            raise ModelUnavailable("resting")
        spent = (len(system) + len(prompt)) // _CHARACTERS_A_TOKEN
        reserved = spent + LONGEST_ANSWER_TOKENS
        now = self._clock.wall()
        # Before it is spent, and with the longest answer: calls at the same time share one budget.
        if not await self._use.reserve(user, reserved, self._budget, now):
            raise ModelUnavailable("budget")
        if not self._breaker.may_call():
            await self._settle(user, -reserved, now)
            raise ModelUnavailable("resting")
        written, outcome = 0, _UNREAD
        try:
            async with aclosing(self._in_time(self._pieces(system, prompt))) as pieces:
                async for piece in pieces:
                    written += len(piece)
                    yield piece
            outcome = _OK
        except ModelUnavailable as unavailable:
            outcome = unavailable.reason
            raise
        finally:
            self._ended(outcome, written)
            spent += written // _CHARACTERS_A_TOKEN
            self._tokens.add(spent)
            await self._settle(user, spent - reserved, now)

    async def _in_time(self, pieces: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
        """Raises ModelUnavailable where the model is waited for too long. Whoever reads may take
        any time: their time is not the model's."""
        loop = asyncio.get_running_loop()
        waited, longest = 0.0, self._timeout / 2
        async with aclosing(pieces):
            while True:
                begun = loop.time()
                try:
                    async with asyncio.timeout(longest - waited):
                        piece = await anext(pieces, None)
                except TimeoutError:
                    raise ModelUnavailable("slow") from None
                if piece is None:
                    return
                waited, longest = waited + loop.time() - begun, self._timeout
                yield piece

    async def _pieces(self, system: str, prompt: str) -> AsyncGenerator[str, None]:
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

    def _ended(self, outcome: str, written: int) -> None:
        self._calls.add(1, {"outcome": outcome})
        if outcome == _OK or (outcome == _UNREAD and written):
            # What it said may have been of no use, but it is there.
            self._breaker.succeeded()
        elif outcome != _UNREAD:
            self._breaker.failed()
            # The error's own text may repeat what the person wrote: only the kind is logged.
            log.warning("unavailable", reason=outcome)

    async def _settle(self, user: UserId, tokens: int, now: datetime) -> None:
        """What was used beyond what was reserved; less than nothing is given back."""
        try:
            await self._use.settle(user, tokens, now)
        except ModelUnavailable as unavailable:
            # The answer is there all the same.
            log.warning("unsettled", reason=unavailable.reason)


def open_client(url: str, key: str, timeout_seconds: float) -> AsyncOpenAI:
    """A client that never tries again by itself. Importing it takes a fifth of a second."""
    from openai import AsyncOpenAI

    return AsyncOpenAI(base_url=url, api_key=key or "none", timeout=timeout_seconds, max_retries=0)
