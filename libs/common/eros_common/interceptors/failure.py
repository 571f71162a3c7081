"""Exceptions to statuses: the one place where an error leaves the process."""

from __future__ import annotations

from typing import Any, NoReturn

import grpc

from eros_common import logging
from eros_common.errors import STATUS_DETAILS_KEY, ErosError, ErrorCode, to_status

log = logging.get("rpc")


def as_eros_error(error: Exception, method: str) -> ErosError:
    """The refusal to send. What is no ``ErosError`` is logged and told to nobody outside."""
    if isinstance(error, ErosError):
        return error
    if isinstance(error, NotImplementedError):
        # What the generated base class raises for a method that nobody wrote.
        return ErosError("this is not implemented", code=ErrorCode.UNIMPLEMENTED)
    log.error("unexpected", cause=error, method=method)
    return ErosError("something went wrong on our side")


async def send(
    context: grpc.aio.ServicerContext[Any, Any], error: ErosError, request_id: str
) -> NoReturn:
    """Ends the call with the error; raises ``grpc.aio.AbortError``."""
    status = to_status(error, request_id)
    await context.abort(
        error.grpc_status,
        status.message,
        (
            ("x-request-id", request_id),
            (STATUS_DETAILS_KEY, status.SerializeToString()),
        ),
    )
