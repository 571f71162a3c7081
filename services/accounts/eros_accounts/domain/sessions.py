"""Sign-ins and their refresh tokens.

A session is one sign-in. Its refresh tokens form a family: each is exchanged once for the next, so
one that comes back was copied, and then nobody may go on with any of them.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NewType

from eros_common.ids import SessionId, UserId, new_session_id

RefreshToken = NewType("RefreshToken", str)
"""The secret itself; only its owner keeps it."""
RefreshDigest = NewType("RefreshDigest", bytes)
"""Its SHA-256, 32 bytes: what is stored."""

_RANDOM_BYTES: Final = 32


class RevokeReason(StrEnum):
    """Why a session ended before its time."""

    LOGOUT = "logout"
    REUSE = "reuse"


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long tokens hold, and an admin's sign-in to the console (wall time)."""

    access: timedelta
    refresh: timedelta
    console: timedelta

    def refused(self, *, is_admin: bool) -> timedelta:
        """For how long after its end a session has to be refused: until its last access token has
        expired, and an admin's sign-in to the console, which outlives that."""
        return max(self.access, self.console) if is_admin else self.access


@dataclass(frozen=True, slots=True)
class Throttling:
    """How many logins to one account may fail within ``window_seconds``; from then on one attempt
    is let through every ``pause_seconds``."""

    failures: int
    window_seconds: int
    pause_seconds: int


@dataclass(frozen=True, slots=True)
class FreshToken:
    """A refresh token about to be given out."""

    secret: RefreshToken
    digest: RefreshDigest
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class NewSession:
    """A sign-in about to be stored, with the first token of its family."""

    session_id: SessionId
    created_at: datetime
    token: FreshToken


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose session it is, as an access token says it."""

    user_id: UserId
    session_id: SessionId
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Revoked:
    """A session that ended, when (wall time), and whether it was an admin's."""

    session_id: SessionId
    revoked_at: datetime
    is_admin: bool = False


def digest(secret: str) -> RefreshDigest:
    """What is stored of a refresh token."""
    return RefreshDigest(hashlib.sha256(secret.encode()).digest())


def fresh_token(now: datetime, lifetimes: Lifetimes) -> FreshToken:
    """A new random refresh token."""
    secret = RefreshToken(secrets.token_urlsafe(_RANDOM_BYTES))
    return FreshToken(secret, digest(secret), now + lifetimes.refresh)


def new_session(now: datetime, lifetimes: Lifetimes) -> NewSession:
    """A new sign-in with its first token."""
    return NewSession(new_session_id(), now, fresh_token(now, lifetimes))
