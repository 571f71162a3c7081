"""The Valkey function library: loaded when missing, called in pipelines."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import wraps
from importlib import resources
from typing import Any, Final, ParamSpec, TypeAlias, TypeVar, cast

from redis.exceptions import (
    ClusterError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from eros_activity.ports import StoreAway
from eros_common import logging
from eros_common.redis import Valkey

log = logging.get("activity.functions")

P = ParamSpec("P")
R = TypeVar("R")
Argument: TypeAlias = bytes | str | int | float

#: One text in this order: what comes later uses what comes earlier.
_PARTS: Final = ("places", "touch", "sweep", "read", "control", "register")
_MISSING: Final = "Function not found"
#: The server is there and takes nothing, or a cluster is about to take it elsewhere: as good as
#: away.
_AWAY: Final = (
    RedisConnectionError,
    RedisTimeoutError,
    ReadOnlyError,
    OutOfMemoryError,
    ClusterError,
    TryAgainError,
    OSError,
)
#: The same, of what the client has no names for: no longer the primary while somebody waited in it,
#: too few replicas, its disk takes nothing, somebody's script does not end, this process's clock is
#: off (sweep.lua). A pipeline's error says first which command it was.
_NOT_NOW: Final = re.compile(
    r"(?:^|of pipeline caused error: \W*)(?:UNBLOCKED|NOREPLICAS|MISCONF|BUSY|CLOCK) "
)


@dataclass(frozen=True, slots=True)
class Call:
    """One function with its keys (all of one hash slot) and arguments."""

    function: str
    keys: Sequence[str]
    arguments: Sequence[Argument] = ()


class Functions:
    """Calls functions of this version of the library.

    The version is a digest of the text and part of every name, so replicas of two releases work
    beside each other while one replaces the other.
    """

    def __init__(self, redis: Valkey) -> None:
        self.redis = redis
        folder = resources.files("eros_activity") / "functions"
        text = "\n".join((folder / f"{part}.lua").read_text("utf-8") for part in _PARTS)
        self._name = f"eros_activity_{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        self._text = text.replace("@LIBRARY@", self._name)

    async def call(self, calls: Sequence[Call]) -> list[Any]:
        """All calls in one round trip (to each node of a cluster), in order where they share a
        key; each is atomic, together they are not.

        Raises ``StoreAway``, and ``redis.exceptions.ResponseError`` for what a function refuses.
        """
        try:
            answers = await self._send(calls)
            if any(_is_missing(answer) for answer in answers):
                await self._load()
                again = [i for i, answer in enumerate(answers) if _is_missing(answer)]
                for i, answer in zip(
                    again, await self._send([calls[i] for i in again]), strict=True
                ):
                    answers[i] = answer
        except (RedisError, OSError) as error:
            raise _told(error) from error
        for answer in answers:
            if isinstance(answer, RedisError):
                raise _told(answer) from answer
        return answers

    async def _send(self, calls: Sequence[Call]) -> list[Any]:
        async with self.redis.pipeline(transaction=False) as pipe:
            for call in calls:
                name = f"{self._name}_{call.function}"
                pipe.execute_command("FCALL", name, len(call.keys), *call.keys, *call.arguments)
            return list(await pipe.execute(raise_on_error=False))

    async def _load(self) -> None:
        await cast("Awaitable[Any]", self.redis.function_load(self._text, replace=True))
        log.info("loaded", library=self._name)


def away_as_store_away(
    command: Callable[P, Awaitable[R]],
) -> Callable[P, Coroutine[Any, Any, R]]:
    """For methods that use Valkey's own commands: raises ``StoreAway`` as ``Functions`` does."""

    @wraps(command)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await command(*args, **kwargs)
        except (RedisError, OSError) as error:
            raise _told(error) from error

    return guarded


def _told(error: Exception) -> Exception:
    """``StoreAway`` for what will pass; anything else as it is."""
    passes = isinstance(error, _AWAY) or (
        isinstance(error, ResponseError) and _NOT_NOW.search(str(error)) is not None
    )
    return StoreAway(str(error)) if passes else error


def _is_missing(answer: object) -> bool:
    return isinstance(answer, ResponseError) and str(answer) == _MISSING
