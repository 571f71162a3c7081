"""What the service needs from outside; the adapters are ``store_*``, ``passwords`` and common's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from eros_accounts.domain.credentials import Email
from eros_accounts.domain.profile import Profile, ProfileChange
from eros_accounts.domain.sessions import (
    FreshToken,
    Holder,
    NewSession,
    RefreshDigest,
    Revoked,
    RevokeReason,
)
from eros_common.idempotency import Once
from eros_common.ids import SessionId, UserId


@dataclass(frozen=True, slots=True)
class NewAccount:
    """Somebody who registers."""

    user_id: UserId
    email: Email
    password_hash: str
    name: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a password is checked against; None where nobody can sign in by password."""

    user_id: UserId
    password_hash: str | None


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of another source: who they are there, and their new profile."""

    external_id: str
    email: Email | None
    change: ProfileChange


@dataclass(frozen=True, slots=True)
class Imported:
    """The ids of an import in the order of its people, and how many are new."""

    user_ids: tuple[UserId, ...]
    created: int


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether a password is right, and its hash by today's parameters where the stored one is
    by older ones."""

    right: bool
    renewed_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Registered:
    """An account by the call that made it; ``request_hash`` as in ``Once``."""

    user_id: UserId
    password_hash: str | None
    request_hash: bytes


class CachedView(StrEnum):
    """The two cached forms of a profile, by the prefix of their key. One's own is a whole answer,
    the bytes that the phone gets; what others see is a serialized message."""

    OWN = "profile"
    PUBLIC = "profile:public"


class Passwords(Protocol):
    """Slow hashing. Both raise ``ResourceExhausted`` when too many wait already."""

    async def hash(self, password: str) -> str: ...

    async def check(self, password: str, stored: str | None) -> Checked:
        """Takes as long for ``None`` (no such account, or no password) as for a wrong one."""
        ...


class SessionStore(Protocol):
    """Accounts and their sign-ins. Instants are wall time but ``night``."""

    async def register(
        self,
        account: NewAccount,
        session: NewSession,
        night: datetime,
        once: Once | None = None,
    ) -> bool:
        """Stores the account, its empty profile and its first session, and marks it due for
        analysis; with ``once``, by which call. False, and nothing stored, if the e-mail is
        taken or the call's key was used before."""
        ...

    async def registered(self, key_hash: bytes) -> Registered | None:
        """The account that a call with this key made."""
        ...

    async def credentials(self, email: Email) -> Credentials | None: ...

    async def renew_hash(self, user_id: UserId, old: str, new: str) -> None:
        """Replaces the password's hash unless it is another one by now."""
        ...

    async def open(self, user_id: UserId, session: NewSession) -> Holder | None:
        """Stores a sign-in; None if the account is gone."""
        ...

    async def rotate(self, spent: RefreshDigest, fresh: FreshToken, now: datetime) -> Holder | None:
        """Exchanges a live refresh token, once; None if it is unknown, expired, spent, or its
        session revoked."""
        ...

    async def revoke_family(self, spent: RefreshDigest, now: datetime) -> Revoked | None:
        """Revokes the session of a spent token; None if the token is not a spent one."""
        ...

    async def revoke(
        self, session_id: SessionId, reason: RevokeReason, now: datetime
    ) -> Revoked | None:
        """Revokes a session; the first time counts. None if there is no such session."""
        ...

    async def revoked_since(self, since: datetime, admins_since: datetime) -> list[Revoked]:
        """Those that ended after ``since``, and admins' after ``admins_since``."""
        ...

    async def sweep(self, now: datetime) -> int:
        """Deletes what has expired; how many rows."""
        ...

    async def grant_admin(self, email: Email) -> UserId | None:
        """None if nobody has this e-mail."""
        ...


class ProfileStore(Protocol):
    """Profiles."""

    async def find(self, user_id: UserId) -> Profile | None: ...

    async def is_hidden(self, user_id: UserId, other_id: UserId) -> bool:
        """Whether these two must not see each other."""
        ...

    async def find_many(self, user_ids: Sequence[UserId]) -> Iterator[Profile]:
        """Those that exist, in any order; made one by one as they are asked for, so that a
        thousand need not be made in one go."""
        ...

    async def save(
        self,
        user_id: UserId,
        change: ProfileChange,
        now: datetime,
        night: datetime,
        left: Callable[[], bool],
    ) -> Profile | None:
        """Changes the profile and marks it due for analysis in one transaction; the stored
        profile, or None if the account is gone. ``DeadlineExceeded``, and nothing stored, if
        whoever asked has ``left`` before the database could be asked: they may have saved
        something else since, and this would undo it."""
        ...

    async def create(
        self, source: str, people: Sequence[Person], now: datetime, night: datetime
    ) -> Imported:
        """Creates those of a source who are not there yet, and marks them due, in one
        transaction. ``AlreadyExists``, and nothing stored, where an e-mail is somebody else's."""
        ...


class LeavingStore(Protocol):
    """Accounts on their way out."""

    async def delete(self, user_id: UserId, now: datetime) -> list[Revoked] | None:
        """Deletes the account and all that any schema holds of the person, in one transaction, and
        notes that traces outside are to be removed. The sessions that ended; None if there is no
        such account."""
        ...

    async def export(self, user_id: UserId) -> dict[str, Any]:
        """All that any schema holds of the person, by schema, as JSON values."""
        ...

    async def unswept(self, before: datetime) -> Sequence[UserId]:
        """People whose traces outside were not removed since, some of them."""
        ...

    async def swept(self, user_id: UserId, now: datetime) -> None:
        """Their traces were removed just now."""
        ...

    async def forget(self, before: datetime, admins_before: datetime) -> None:
        """Forgets that people left, of those who did before, and deletes once more all that any
        schema holds of them: requests that were under way then may have written after that."""
        ...


class TraceStore(Protocol):
    """What is left of a person outside the database. Raise ``ErosError`` where a part is away."""

    async def remove(self, user_id: UserId) -> None:
        """Out of every cache and of activity, which stops all work on the person."""
        ...

    async def activity(self, authorization: str) -> dict[str, Any]:
        """What activity knows of the person whose token this is, as JSON values."""
        ...


class ProfileCache(Protocol):
    """A cache that may be away: then nothing is found, and what must be forgotten is owed until
    it is back."""

    async def get(self, view: CachedView, user_id: UserId) -> bytes | None: ...

    async def fill(self, view: CachedView, user_id: UserId, version: int, data: bytes) -> None:
        """Keeps it, unless a newer version has been heard of."""
        ...

    async def forget(self, user_id: UserId, version: int) -> None:
        """Drops both views and refuses older versions from now on. ``Unavailable`` if neither the
        cache nor the database can be told: an old profile may be seen for some time."""
        ...


class CacheDrops(Protocol):
    """Drops that are owed to the cache, kept in the database: whichever process reaches the cache
    makes up for them. Raise ``Unavailable``."""

    async def owe(self, user_id: UserId, version: int) -> None: ...


class Throttle(Protocol):
    """Spaces attempts to guess one account's password. Knows nothing of which accounts exist, and
    holds nobody back while its own store is away."""

    async def enter(self, email: str) -> None:
        """Before an attempt; raises ``RateLimited``."""
        ...

    async def failed(self, email: str) -> None: ...

    async def succeeded(self, email: str) -> None:
        """Forgets the failures."""
        ...


class RevocationList(Protocol):
    """Tells every service which sessions are refused."""

    async def revoke(self, session_id: SessionId, until: datetime) -> None:
        """Raises ``redis.exceptions.RedisError`` if that cannot be written."""
        ...
