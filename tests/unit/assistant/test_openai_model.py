"""Whose time and tokens a call of the model takes, and how it is counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self, cast

import pytest

from eros_assistant.model.breaker import Breaker
from eros_assistant.model.openai_model import LONGEST_ANSWER_TOKENS, OpenAiModel
from eros_assistant.ports import ModelUnavailable
from eros_common import telemetry
from eros_common.ids import UserId, new_user_id
from eros_common.testing import FakeClock

if TYPE_CHECKING:
    from openai import AsyncOpenAI

WORDS = ("One. ", "Two. ", "Three.")
SHORT_SECONDS = 0.05
PROMPT = 100
"""Tokens of what is asked here."""


@dataclass
class Played:
    """A client whose server says `words` at once; None: nothing for ever."""

    words: Sequence[str | None] = WORDS
    calls: int = 0
    closed: int = 0

    async def create(self, **_: Any) -> Played:
        self.calls += 1
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.closed += 1

    async def __aiter__(self) -> AsyncIterator[Any]:
        for number, word in enumerate(self.words, 1):
            if word is None:
                await asyncio.Event().wait()
            finish = "stop" if number == len(self.words) else None
            delta = SimpleNamespace(content=word)
            yield SimpleNamespace(choices=[SimpleNamespace(delta=delta, finish_reason=finish)])


@dataclass
class Use:
    """See `eros_assistant.ports.ModelUse`."""

    tokens: int = 0
    most: int = 0
    away: bool = False

    async def reserve(self, user: UserId, tokens: int, budget: int, now: datetime) -> bool:
        if self.tokens + tokens > budget:
            return False
        self.tokens += tokens
        self.most = max(self.most, self.tokens)
        # The others come in before anything is spent.
        await asyncio.sleep(0)
        return True

    async def settle(self, user: UserId, tokens: int, now: datetime) -> None:
        if self.away:
            raise ModelUnavailable("budget_unknown")
        self.tokens += tokens


@dataclass
class Rig:
    """A model of a played server."""

    played: Played = field(default_factory=Played)
    use: Use = field(default_factory=Use)
    clock: FakeClock = field(default_factory=FakeClock)
    budget: int = 10_000

    def __post_init__(self) -> None:
        self.breaker = Breaker(self.clock.monotonic, failures=1)
        client = SimpleNamespace(chat=SimpleNamespace(completions=self.played))
        self.model = OpenAiModel(
            cast("AsyncOpenAI", client),
            model="m",
            timeout_seconds=SHORT_SECONDS,
            budget_tokens=self.budget,
            use=self.use,
            breaker=self.breaker,
            clock=self.clock,
        )

    async def read(self, pieces: int = 1000) -> list[str]:
        """The first so many pieces; then whoever reads has enough."""
        found: list[str] = []
        async with aclosing(self.model.stream(new_user_id(), "s" * 150, "p" * 150)) as stream:
            async for piece in stream:
                found.append(piece)
                if len(found) == pieces:
                    break
        return found


async def test_a_slow_reader_gets_all_of_it() -> None:
    rig = Rig()
    found: list[str] = []
    async for piece in rig.model.stream(new_user_id(), "system", "prompt"):
        found.append(piece)
        await asyncio.sleep(2 * SHORT_SECONDS)
    assert found == list(WORDS)


@pytest.mark.parametrize("words", [(None,), ("One. ", None), ("One. ", "Two. ", None)])
async def test_a_slow_model_is_given_up(words: Sequence[str | None]) -> None:
    rig = Rig(Played(words))
    with pytest.raises(ModelUnavailable, match="slow"):
        await rig.read()
    assert rig.breaker.resting
    with pytest.raises(ModelUnavailable, match="resting"):
        await rig.read()
    assert (rig.played.calls, rig.played.closed) == (1, 1)
    # The one that was not made is not paid for.
    assert rig.use.tokens == PROMPT + len("".join(filter(None, words))) // 3


async def test_an_answer_that_is_not_read_to_its_end_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[object] = []

    def counter(name: str, **_: str) -> object:
        noted = calls if name == "eros.assistant.model.calls" else []
        return SimpleNamespace(add=lambda *amount: noted.append(amount))

    monkeypatch.setattr(telemetry, "meter", lambda: SimpleNamespace(create_counter=counter))
    rig = Rig()
    rig.breaker.failed()
    rig.clock.advance(31)
    assert await rig.read(pieces=1) == ["One. "]
    # The model answered: whoever comes next need not wait for another try.
    assert await rig.read(pieces=1) == ["One. "]
    assert rig.played.closed == 2
    assert rig.use.tokens == 2 * (PROMPT + len("One. ") // 3)
    assert await rig.read() == list(WORDS)
    assert calls == [(1, {"outcome": outcome}) for outcome in ("unread", "unread", "ok")]


async def test_calls_at_the_same_time_share_one_budget() -> None:
    rig = Rig(budget=2 * (PROMPT + LONGEST_ANSWER_TOKENS))
    found = await asyncio.gather(*(rig.read() for _ in range(5)), return_exceptions=True)
    assert found.count(list(WORDS)) == 2
    assert [str(one) for one in found if isinstance(one, ModelUnavailable)] == ["budget"] * 3
    assert rig.use.most <= rig.budget
    # What the two did not use is given back.
    assert rig.use.tokens == 2 * (PROMPT + len("".join(WORDS)) // 3)


async def test_what_cannot_be_given_back_costs_no_answer() -> None:
    rig = Rig(use=Use(away=True))
    assert await rig.read() == list(WORDS)
