"""What happens around one call of one method, whatever its shape."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

import grpc

from eros_common.errors import DeadlineExceeded, ErosError, ErrorCode, code_of
from eros_common.interceptors.failure import as_eros_error, send
from eros_common.interceptors.observe import MethodObserver
from eros_common.logging import request_id as current_request_id

REQUEST_ID_KEY: Final = "x-request-id"
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")

Context = grpc.aio.ServicerContext[Any, Any]
Admit = Callable[[str | None], Awaitable[None]]


class Guard:
    """Made once per method; ``call`` is entered once per call."""

    __slots__ = ("_admit", "_method", "_observer", "_timeout")

    def __init__(self, method: str, admit: Admit, timeout: float | None) -> None:
        self._method = method
        self._admit = admit
        self._timeout = timeout
        self._observer = MethodObserver(method)

    async def call(self, context: Context, work: Callable[[], Awaitable[Any]]) -> Any:
        """Admits the call and does the work within its time; every error becomes a status."""
        metadata = dict(context.invocation_metadata() or ())
        request_id = _request_id(metadata.get(REQUEST_ID_KEY))
        current_request_id.set(request_id)
        context.set_trailing_metadata(((REQUEST_ID_KEY, request_id),))
        observed = self._observer.begin(metadata)
        timer = asyncio.timeout(None)
        try:
            async with timer:
                limit = self._limit(context)
                if limit is not None:
                    timer.reschedule(asyncio.get_running_loop().time() + limit)
                authorization = metadata.get("authorization")
                await self._admit(authorization if isinstance(authorization, str) else None)
                result = await work()
        except asyncio.CancelledError:
            observed.end(ErrorCode.CANCELLED)
            raise
        except grpc.aio.AbortError:
            # The method ended the call itself; gRPC keeps the code it gave.
            observed.end(_code(context))
            raise
        except Exception as error:  # noqa: BLE001 - this is the outermost place of a call
            refusal: ErosError
            if isinstance(error, TimeoutError) and timer.expired():
                refusal = DeadlineExceeded("this took longer than allowed")
            else:
                refusal = as_eros_error(error, self._method)
            observed.end(refusal.code)
            await send(context, refusal, request_id)
        observed.end()
        return result

    def _limit(self, context: Context) -> float | None:
        """Seconds this call may take; None where the caller's own deadline is the nearer one
        (gRPC cancels the call then) or where there is no limit."""
        remaining = cast("float | None", context.time_remaining())  # None without a deadline
        if remaining is not None and remaining <= 0:
            raise DeadlineExceeded("the deadline had passed before the call began")
        if self._timeout is None or (remaining is not None and remaining <= self._timeout):
            return None
        return self._timeout


def _request_id(given: str | bytes | None) -> str:
    if isinstance(given, str) and _REQUEST_ID.fullmatch(given):
        return given
    return secrets.token_hex(16)


def _code(context: Context) -> str:
    code: object = context.code()
    return code_of(code) if isinstance(code, grpc.StatusCode) else ErrorCode.UNKNOWN
