"""A servicer that answers what it was told to, and notes what it was asked.

The services a test's subject calls are played by it: over real gRPC, so serialization, metadata
and statuses are the real ones.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from eros_common.policy import Policy, service_descriptor
from eros_common.server import AddServicer, Registration
from eros_common.testing.server import TestServer, start_server
from eros_common.testing.tokens import TestTokens

Answer = Message | Exception | list[Message | Exception]


class Recorder:
    """``async with Recorder.of(add_AccountsServiceServicer_to_server) as accounts:`` then
    ``accounts.answer("GetProfile", response)``, an exception to refuse, a list for a stream.

    At the end of the block, answers that nobody asked for fail the test, and so do questions that
    had no answer.
    """

    def __init__(self) -> None:
        self._answers: dict[str, deque[Answer]] = defaultdict(deque)
        self._requests: dict[str, list[Any]] = defaultdict(list)
        self._asked = asyncio.Condition()
        self._unexpected: list[str] = []
        self.server: TestServer

    @classmethod
    @asynccontextmanager
    async def of(
        cls, add: AddServicer, *, tokens: TestTokens | None = None, name: str = "recorder"
    ) -> AsyncIterator[Recorder]:
        recorder = cls()
        async with start_server((add, recorder._played(add)), tokens=tokens, name=name) as server:
            recorder.server = server
            yield recorder
        recorder.check()

    def answer(self, method: str, *answers: Answer) -> None:
        """Queues the answers to the next calls of a method."""
        self._answers[method].extend(answers)

    def requests(self, method: str) -> list[Any]:
        """What a method was asked so far; for request streams a list each."""
        return self._requests[method]

    async def asked(self, method: str, times: int = 1) -> list[Any]:
        """Waits until a method was asked so often."""
        async with self._asked:
            await self._asked.wait_for(lambda: len(self._requests[method]) >= times)
        return self._requests[method]

    def check(self) -> None:
        """Raises ``AssertionError`` for left-over answers and unanswered questions."""
        left = {method: len(queue) for method, queue in self._answers.items() if queue}
        assert not left, f"answers nobody asked for: {left}"
        assert not self._unexpected, f"asked without an answer: {self._unexpected}"

    async def _take(self, method: str, request: Any) -> Answer:
        async with self._asked:
            self._requests[method].append(request)
            self._asked.notify_all()
        if not self._answers[method]:
            self._unexpected.append(method)
            raise AssertionError(f"{method} was asked and has no answer")
        return self._answers[method].popleft()

    def _played(self, add: AddServicer) -> object:
        """A servicer of whatever service ``add`` adds."""
        asked_names = _AnyMethod()
        (service,) = Registration(add, asked_names, policy=Policy.public()).names
        methods = {m.name: self._method(m) for m in service_descriptor(service).methods}
        return type("Recorded", (), methods)()

    def _method(self, method: MethodDescriptor) -> Any:
        name = method.name

        async def request_of(request: Any) -> Any:
            return [r async for r in request] if method.client_streaming else request

        async def unary(_: object, request: Any, __: object) -> Message:
            answer = await self._take(name, await request_of(request))
            if isinstance(answer, Exception):
                raise answer
            assert isinstance(answer, Message), f"{name} answers with one message"
            return answer

        async def stream(_: object, request: Any, __: object) -> AsyncIterator[Message]:
            answer = await self._take(name, await request_of(request))
            for part in answer if isinstance(answer, list) else [answer]:
                if isinstance(part, Exception):
                    raise part
                yield part

        return stream if method.server_streaming else unary


class _AnyMethod:
    """Has every method, to learn which ones an add function asks for."""

    def __getattr__(self, name: str) -> object:
        return name
