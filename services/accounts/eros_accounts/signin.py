"""Registering, signing in, going on with a session, ending it."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from redis.exceptions import RedisError

from eros_accounts.domain.credentials import parse_email
from eros_accounts.domain.faults import Faults
from eros_accounts.domain.profile_rules import check_name
from eros_accounts.domain.sessions import (
    Holder,
    Lifetimes,
    RefreshToken,
    Revoked,
    RevokeReason,
    digest,
    fresh_token,
    new_session,
)
from eros_accounts.keyring import KeyRing
from eros_accounts.ports import NewAccount, Passwords, RevocationList, SessionStore, Throttle
from eros_common import logging
from eros_common.clocks import Clock
from eros_common.errors import (
    AlreadyExists,
    FieldFault,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from eros_common.idempotency import Once
from eros_common.ids import SessionId, UserId, new_user_id
from eros_common.shielded import Shield

# The same words for an unknown e-mail, an account without a password, and a wrong one.
_WRONG: Final = "the e-mail or the password is wrong"
_NOT_LIVE: Final = "this refresh token is not valid; sign in again"

log = logging.get("accounts.signin")


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What somebody gets who signed in."""

    user_id: UserId
    access_token: str
    refresh_token: RefreshToken


class SignIn:
    """The use cases around a session."""

    def __init__(
        self,
        store: SessionStore,
        passwords: Passwords,
        keys: KeyRing,
        revocations: RevocationList,
        lifetimes: Lifetimes,
        clock: Clock,
        shield: Shield,
        throttle: Throttle,
        common: Container[str],
    ) -> None:
        """``common``: passwords that are refused because everybody tries them first."""
        self._store = store
        self._passwords = passwords
        self._keys = keys
        self._revocations = revocations
        self._lifetimes = lifetimes
        self._clock = clock
        self._shield = shield
        self._throttle = throttle
        self._common = common

    async def register(
        self, email: str, password: str, name: str, once: Once | None = None
    ) -> SignedIn:
        """Raises ``InvalidArgument``, ``AlreadyExists`` if the e-mail is taken, and
        ``ResourceExhausted`` when too many passwords wait to be hashed. A repeat of ``once`` signs
        in to the account that the first call made."""
        faults = Faults()
        address = parse_email(email)
        if address is None:
            faults.add("email", "is no e-mail address")
        clean_name = check_name(name, faults)
        if password in self._common:
            faults.add("password", "is one of those that are guessed first; choose another")
        faults.refuse_if_any()
        assert address is not None
        # Hashed before anybody looks whether the address is taken: both take as long.
        hashed = await self._passwords.hash(password)
        now = self._clock.wall()
        account = NewAccount(new_user_id(), address, hashed, clean_name)
        session = new_session(now, self._lifetimes)
        if not await self._store.register(account, session, self._clock.night(), once):
            return await self._registered_before(password, once)
        holder = Holder(account.user_id, session.session_id)
        return self._signed_in(holder, session.token.secret, now)

    async def login(self, email: str, password: str) -> SignedIn:
        """Raises ``Unauthenticated``, in the same words and after the same time whatever is
        wrong, and ``ResourceExhausted`` when too many passwords wait to be checked."""
        await self._throttle.enter(email)
        address = parse_email(email)
        known = None if address is None else await self._store.credentials(address)
        stored = None if known is None else known.password_hash
        checked = await self._passwords.check(password, stored)
        if known is None or stored is None or not checked.right:
            await self._throttle.failed(email)
            raise Unauthenticated(_WRONG)
        await self._throttle.succeeded(email)
        if checked.renewed_hash is not None:
            await self._store.renew_hash(known.user_id, stored, checked.renewed_hash)
        now = self._clock.wall()
        session = new_session(now, self._lifetimes)
        holder = await self._store.open(known.user_id, session)
        if holder is None:
            raise Unauthenticated(_WRONG)
        return self._signed_in(holder, session.token.secret, now)

    async def refresh(self, secret: str) -> SignedIn:
        """Exchanges a refresh token. ``Unauthenticated`` if it is not live; a spent one ends its
        whole session."""
        now = self._clock.wall()
        spent = digest(secret)
        fresh = fresh_token(now, self._lifetimes)
        holder = await self._store.rotate(spent, fresh, now)
        if holder is not None:
            return self._signed_in(holder, fresh.secret, now)
        reused = await self._store.revoke_family(spent, now)
        if reused is not None:
            log.warning("refresh_token_reused", session=reused.session_id)
            await self.announce_or_owe(reused)
        raise Unauthenticated(_NOT_LIVE)

    async def logout(self, session_id: SessionId) -> None:
        """Ends a session, here and in every service. ``Unavailable`` if that cannot be told to
        the others just now: then trying again is right."""
        await self._shield.run(self._logout(session_id))

    async def grant_admin(self, email: str) -> tuple[UserId, datetime]:
        """Raises ``NotFound``. The next token of the person carries the role."""
        address = parse_email(email)
        user_id = None if address is None else await self._store.grant_admin(address)
        if user_id is None:
            raise NotFound("nobody has this e-mail", FieldFault("email", "is unknown"))
        return user_id, self._clock.wall()

    async def announce_or_owe(self, revoked: Revoked) -> None:
        """Tells the others of an ended session, now or by ``announce_again``."""
        try:
            await self._announce(revoked)
        except (RedisError, OSError) as error:
            # It is in PostgreSQL: announce_again tells it.
            log.warning("announce_failed", session=revoked.session_id, error=str(error))

    async def announce_again(self) -> None:
        """Tells the others once more of every ended session whose tokens may still be around.
        PostgreSQL is the truth; what Valkey lost is mended by this."""
        now = self._clock.wall()
        ended = await self._store.revoked_since(
            now - self._lifetimes.refused(is_admin=False),
            now - self._lifetimes.refused(is_admin=True),
        )
        for revoked in ended:
            await self._announce(revoked)

    async def sweep(self) -> int:
        """Deletes sessions and tokens that have expired; how many."""
        return await self._store.sweep(self._clock.wall())

    async def _registered_before(self, password: str, once: Once | None) -> SignedIn:
        """The address is taken, perhaps by the very call that is repeated here; or the key is,
        and then by another call unless it is that one."""
        before = None if once is None else await self._store.registered(once.key)
        if once is not None and before is not None:
            once.check(before.request_hash)
            if (await self._passwords.check(password, before.password_hash)).right:
                now = self._clock.wall()
                session = new_session(now, self._lifetimes)
                if (holder := await self._store.open(before.user_id, session)) is not None:
                    return self._signed_in(holder, session.token.secret, now)
        raise AlreadyExists("there is an account with this e-mail", FieldFault("email", "is taken"))

    async def _logout(self, session_id: SessionId) -> None:
        now = self._clock.wall()
        revoked = await self._store.revoke(session_id, RevokeReason.LOGOUT, now)
        try:
            await self._announce(revoked or Revoked(session_id, now))
        except (RedisError, OSError) as error:
            raise Unavailable("the session could not be ended everywhere just now") from error

    async def _announce(self, revoked: Revoked) -> None:
        # The last token of the session was signed before it was revoked.
        until = revoked.revoked_at + self._lifetimes.refused(is_admin=revoked.is_admin)
        if until > self._clock.wall():
            await self._revocations.revoke(revoked.session_id, until)

    def _signed_in(self, holder: Holder, secret: RefreshToken, now: datetime) -> SignedIn:
        token = self._keys.access_token(holder, now, self._lifetimes)
        return SignedIn(holder.user_id, token, secret)
