"""The identifiers that cross service borders, and their wire forms.

A user id travels as 16 bytes in batches and events, and as the canonical 36-character text in
REST and tokens. Everything here raises ``ValueError`` with what was wrong; a servicer that reads
ids from a request uses ``eros_common.errors.InvalidArgument`` with the field's name.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Final, NewType
from uuid import UUID, uuid4

UserId = NewType("UserId", UUID)
"""A person."""
SessionId = NewType("SessionId", str)
"""One sign-in (the ``sid`` claim of its access tokens): 32 hexadecimal characters."""
JobToken = NewType("JobToken", int)
"""The fence of a job: raised by each claim and each checkpoint, never lowered."""
WorkerId = NewType("WorkerId", str)
"""One worker process for its life."""
BatchId = NewType("BatchId", str)
"""One leased batch; also the nonce of its messages."""

USER_ID_BYTES: Final = 16


def new_user_id() -> UserId:
    """A fresh random user id (UUID version 4)."""
    return UserId(uuid4())


def new_session_id() -> SessionId:
    """A fresh random session id."""
    return SessionId(secrets.token_hex(16))


def new_worker_id(prefix: str) -> WorkerId:
    """A worker id that is unique per process: ``<prefix>-<8 hex>``."""
    return WorkerId(f"{prefix}-{secrets.token_hex(4)}")


def parse_user_id(text: str) -> UserId:
    """The user id of its 36-character text."""
    try:
        parsed = UUID(text)
    except ValueError:
        raise ValueError("is no UUID") from None
    if str(parsed) != text.lower():
        # UUID() also takes braces, "urn:uuid:" and missing dashes; one spelling is enough.
        raise ValueError("is no UUID in its usual form")
    return UserId(parsed)


def user_id_from_bytes(data: bytes) -> UserId:
    """The user id of its 16-byte wire form."""
    if len(data) != USER_ID_BYTES:
        raise ValueError(f"a user id has {USER_ID_BYTES} bytes, not {len(data)}")
    return UserId(UUID(bytes=data))


def user_ids_from_bytes(items: Iterable[bytes]) -> list[UserId]:
    """Many at once; the error names the first position that is wrong."""
    found: list[UserId] = []
    for index, data in enumerate(items):
        try:
            found.append(user_id_from_bytes(data))
        except ValueError as error:
            raise ValueError(f"item {index}: {error}") from None
    return found
