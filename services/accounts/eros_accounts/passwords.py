"""Password hashing: argon2id in a bounded pool of threads, off the loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import VerifyMismatchError

from eros_accounts.domain.credentials import password_bytes
from eros_accounts.ports import Checked
from eros_common.errors import ResourceExhausted

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HashCost:
    """What one hash costs. The defaults are OWASP's for argon2id (password storage cheat sheet):
    about 25 ms of one core."""

    passes: int = 2
    memory_kib: int = 19456


class Argon2Passwords:
    """Hashes on ``threads`` threads, with at most ``queue`` more waiting."""

    def __init__(self, cost: HashCost, *, threads: int, queue: int) -> None:
        self._hasher = PasswordHasher(
            time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=1, type=Type.ID
        )
        # What a password of nobody is checked against, so that it takes as long.
        self._nobody = self._hasher.hash(b"")
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._room = threading.BoundedSemaphore(threads + queue)

    @classmethod
    @asynccontextmanager
    async def open(cls, cost: HashCost, *, threads: int, queue: int) -> AsyncIterator[Self]:
        """The pool, its threads ended at the end."""
        passwords = cls(cost, threads=threads, queue=queue)
        try:
            yield passwords
        finally:
            # What runs is done within one hash; what waits has nobody left to answer.
            passwords._threads.shutdown(wait=True, cancel_futures=True)

    async def hash(self, password: str) -> str:
        return await self._run(lambda: self._hasher.hash(password_bytes(password)))

    async def check(self, password: str, stored: str | None) -> Checked:
        return await self._run(lambda: self._check(password_bytes(password), stored))

    def _check(self, password: bytes, stored: str | None) -> Checked:
        try:
            self._hasher.verify(stored or self._nobody, password)
        except VerifyMismatchError:
            return Checked(right=False)
        if stored is None:
            return Checked(right=False)
        if self._hasher.check_needs_rehash(stored):
            return Checked(right=True, renewed_hash=self._hasher.hash(password))
        return Checked(right=True)

    async def _run(self, job: Callable[[], T]) -> T:
        if not self._room.acquire(blocking=False):
            raise ResourceExhausted("too many people sign in just now; try again in a moment")
        future = self._threads.submit(job)
        future.add_done_callback(self._done)
        # Cancelled while it waits, it is never hashed.
        return await asyncio.wrap_future(future)

    def _done(self, _: Future[T]) -> None:
        self._room.release()
