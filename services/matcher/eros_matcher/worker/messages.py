"""What a worker and its batch process tell each other, over a socket that only they have."""

from __future__ import annotations

import asyncio
import pickle
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from eros_matcher.programs.payload import LearnedModel
from eros_matcher.worker.jobs import JobKind, Lease, LeasedBatch, PreparedBatch, RowResult
from eros_matcher.worker.ports import Settlement

_LENGTH: Final = struct.Struct("<Q")
_READ_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Prepare:
    number: int
    batch: LeasedBatch


@dataclass(frozen=True, slots=True)
class Settle:
    number: int
    kind: JobKind
    results: Sequence[RowResult]
    failures: Sequence[tuple[Lease, str]]


@dataclass(frozen=True, slots=True)
class Cancel:
    """Nobody waits for the answer any more; there is none then."""

    number: int


@dataclass(frozen=True, slots=True)
class Ping:
    """Are you there?"""


@dataclass(frozen=True, slots=True)
class Pong:
    """Said as soon as a `Ping` is read."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Everything is open: the first that is said."""


@dataclass(frozen=True, slots=True)
class Answer:
    number: int
    value: PreparedBatch | Settlement


@dataclass(frozen=True, slots=True)
class Failed:
    number: int
    text: str
    unavailable: bool
    """The database was not there."""


@dataclass(frozen=True, slots=True)
class Learned:
    """A model was stored, `at` this wall instant; its bodies are left out."""

    version: int
    model: LearnedModel
    at: datetime


Request = Prepare | Settle | Cancel | Ping
Reply = Ready | Answer | Failed | Learned | Pong


class Line:
    """One end of the socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> Line:
        return cls(*await asyncio.open_unix_connection(sock=end, limit=_READ_BYTES))

    def send(self, message: Request | Reply) -> None:
        """Never waits: there is one batch at a time."""
        data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
        self._writer.writelines((_LENGTH.pack(len(data)), data))

    async def receive(self) -> Request | Reply | None:
        """The next message; None when the other side is gone."""
        try:
            (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
            data = await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        # The other end is our own parent or child, of the same code.
        return cast("Request | Reply", pickle.loads(data))  # noqa: S301

    def close(self) -> None:
        self._writer.close()
