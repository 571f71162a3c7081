"""``Idempotency-Key``: what a client names its wish with, so that a retry is the same wish.

Whoever does something by such a call keeps the key's digest and the request's with what was
answered; ``Once.check`` refuses a key that comes back with another request.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import grpc

from eros_common.errors import FieldFault, InvalidArgument

HEADER: Final = "idempotency-key"
KEPT: Final = timedelta(hours=24)
"""For so long a repeat is recognized."""
_KEY: Final = re.compile(r"[A-Za-z0-9._-]{8,64}")


@dataclass(frozen=True, slots=True)
class Once:
    """A wish by the digests of its key and of what is asked for, 32 bytes each."""

    key: bytes
    request: bytes

    def check(self, request: bytes) -> None:
        """``InvalidArgument`` if the key was used for another request."""
        if request != self.request:
            raise InvalidArgument(
                "this Idempotency-Key was used for another request",
                FieldFault("Idempotency-Key", "belongs to another request"),
            )


def once_of(context: grpc.aio.ServicerContext[Any, Any], *request: str) -> Once | None:
    """The wish of a call, by its key and the parts of its request; None without a key.
    ``InvalidArgument`` for a key that is none."""
    for name, value in context.invocation_metadata() or ():
        if name == HEADER:
            key = value if isinstance(value, str) else ""
            if _KEY.fullmatch(key) is None:
                raise InvalidArgument(
                    "the Idempotency-Key must be 8 to 64 letters, digits, dots, dashes",
                    FieldFault("Idempotency-Key", "must be 8 to 64 of A-Z a-z 0-9 . _ -"),
                )
            return Once(_digest(key), _digest("\0".join(request)))
    return None


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
