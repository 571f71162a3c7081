"""Values of one Valkey server, for many who ask at once.

redis-py takes longer over a command than all else of a read together. It makes the connection here,
as the URL says (TLS, user, database) and as one of its pool, which closes it in the end; what is
asked and answered on it passes it by. What is asked in one turn of the loop is sent together, and
answers come in the order of the questions.

A server that is no longer the primary goes on answering what its successor may have dropped: it is
left within a second, by a question that only a primary answers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

_Found = asyncio.Future[bytes | None]
_LINE_END: Final = b"\r\n"
_PRIMARY_SECONDS: Final = 1.0
_ARE_YOU_PRIMARY: Final = b"*2\r\n$3\r\nDEL\r\n$10\r\ncache:none\r\n"
"""There is no such key."""


class PipedGets:
    """``GET`` for many who ask at once."""

    def __init__(self, redis: Redis) -> None:
        self._pool: Any = redis.connection_pool
        self._asked: list[tuple[bytes, _Found]] = []
        self._connection: AbstractConnection | None = None
        self._replies: _Replies | None = None
        self._opening: asyncio.Task[None] | None = None

    def get(self, key: str) -> Awaitable[bytes | None]:
        """The value, or None. Raises ``redis.exceptions.RedisError`` and ``OSError``, by the
        timeout of the client if nothing is answered; the next one then connects anew."""
        loop = asyncio.get_running_loop()
        found: _Found = loop.create_future()
        self._asked.append((key.encode(), found))
        if len(self._asked) == 1:
            loop.call_soon(self._send)
        return found

    def _send(self) -> None:
        if self._replies is not None and not self._replies.ended:
            asked, self._asked = self._asked, []
            self._replies.ask(asked)
        elif self._opening is None:
            self._opening = asyncio.create_task(self._open())

    async def _open(self) -> None:
        try:
            if self._connection is not None:
                lost, self._connection = self._connection, None
                await lost.disconnect(nowait=True)
                await self._pool.release(lost)
            self._connection = await self._pool.get_connection()
            self._replies = _taken_over(self._connection)
        except Exception as error:  # noqa: BLE001 - it is raised where it was asked for
            asked, self._asked = self._asked, []
            for _, found in asked:
                _fail(found, error)
        else:
            self._send()
        finally:
            self._opening = None


def _taken_over(connection: AbstractConnection) -> _Replies:
    """What comes by a connection that was made goes there from now on."""
    writer = connection._writer  # redis-py has no other name for it
    if writer is None:
        raise RedisConnectionError("the connection was lost as soon as it was made")
    transport: Any = writer.transport
    replies = _Replies(transport, connection.socket_timeout or 1.0)
    transport.set_protocol(replies)
    return replies


class _Replies(asyncio.Protocol):
    """One connection. ``patience`` (seconds) is how long an answer may take."""

    def __init__(self, transport: Any, patience: float) -> None:
        self._transport = transport
        # Whoever closes the connection waits for this one to hear of it.
        self._before: asyncio.BaseProtocol = transport.get_protocol()
        self._patience = patience
        self._waiting: deque[tuple[float, _Found]] = deque()
        self._rest = b""
        self._watch: asyncio.TimerHandle | None = None
        self.primary_at = float("-inf")
        """When it was asked for the last time."""
        self.ended = False

    def ask(self, asked: Sequence[tuple[bytes, _Found]]) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        sent = []
        if now - self.primary_at >= _PRIMARY_SECONDS:
            self.primary_at = now
            nobody: _Found = loop.create_future()
            nobody.cancel()
            sent.append(_ARE_YOU_PRIMARY)
            self._waiting.append((now, nobody))
        for key, found in asked:
            sent.append(b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key))
            self._waiting.append((now, found))
        self._transport.write(b"".join(sent))
        if self._watch is None:
            self._look()

    def data_received(self, data: bytes) -> None:
        data, at = self._rest + data, 0
        while (end := data.find(_LINE_END, at)) >= 0:
            kind, after = data[at : at + 1], end + 2
            value: bytes | None = None
            fault: ResponseError | None = None
            if kind == b"$":
                length = int(data[at + 1 : end])
                if length >= 0:
                    begin, after = after, after + length + 2
                    if len(data) < after:
                        break
                    value = data[begin : begin + length]
            elif kind == b"-":
                said = data[at + 1 : end].decode(errors="replace")
                if said.startswith("READONLY"):
                    self._end(ReadOnlyError(said))
                    return
                fault = ResponseError(said)
            elif kind not in (b"_", b":"):
                self._end(InvalidResponse(f"an answer to GET that begins with {kind!r}"))
                return
            if not self._waiting:
                self._end(InvalidResponse("an answer that nobody asked for"))
                return
            at = after
            _, found = self._waiting.popleft()
            if fault is not None:
                _fail(found, fault)
            elif not found.done():
                found.set_result(value)
        self._rest = data[at:]

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(RedisConnectionError("the connection was closed"))
        self._before.connection_lost(exc)

    def _look(self) -> None:
        """Ends the connection if the oldest question is too old, else looks again in time."""
        self._watch = None
        if not self._waiting:
            return
        loop = asyncio.get_running_loop()
        left = self._waiting[0][0] + self._patience - loop.time()
        if left <= 0:
            self._end(RedisTimeoutError("no answer in time"))
        else:
            self._watch = loop.call_later(left, self._look)

    def _end(self, error: Exception) -> None:
        self.ended = True
        self._transport.abort()
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        while self._waiting:
            _fail(self._waiting.popleft()[1], error)


def _fail(found: _Found, error: Exception) -> None:
    # Whoever stopped waiting need not know.
    if not found.done():
        found.set_exception(error)
