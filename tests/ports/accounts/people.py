"""People for the tests of the stores."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from eros_accounts.domain.credentials import Email
from eros_accounts.domain.profile import ProfileChange
from eros_accounts.domain.sessions import FreshToken, Lifetimes, NewSession, new_session
from eros_accounts.ports import NewAccount, Person
from eros_accounts.store_sessions import PostgresSessions
from eros_common.ids import SessionId, UserId, new_user_id

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
NIGHT = datetime(2030, 7, 1, 2, tzinfo=UTC)
LIFETIMES = Lifetimes(
    access=timedelta(minutes=15), refresh=timedelta(days=30), console=timedelta(hours=8)
)
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who registered, and their first session."""

    user_id: UserId
    email: Email
    session: NewSession

    @property
    def session_id(self) -> SessionId:
        return self.session.session_id

    @property
    def token(self) -> FreshToken:
        return self.session.token


def new_email() -> Email:
    return Email(f"person{next(_numbers)}@example.com")


async def register(sessions: PostgresSessions, *, name: str = "Ann") -> Member:
    member = Member(new_user_id(), new_email(), new_session(NOW, LIFETIMES))
    account = NewAccount(member.user_id, member.email, "$argon2id$hash", name)
    assert await sessions.register(account, member.session, NIGHT)
    return member


def person(external_id: str, email: Email | None = None, *, name: str = "Bea") -> Person:
    return Person(external_id, email, ProfileChange(name=name))
