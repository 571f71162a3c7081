from __future__ import annotations

import asyncio
import json

import asyncpg
import grpc
import jwt
import pytest
from redis.asyncio import Redis

from eros.accounts.v1 import accounts_pb2
from eros_accounts.passwords import Argon2Passwords
from eros_accounts.ports import Checked
from eros_common.auth import CONSOLE_SECONDS
from eros_common.auth.keyfiles import parse_jwks
from eros_common.errors import ErrorCode
from tests.integration.accounts.service import (
    PASSWORD,
    Accounts,
    Member,
    Starter,
    bearer,
    fields,
    new_email,
    refusal,
)
from tests.support.proxy import Proxy
from tests.support.waiting import within_a_second


async def refused_within_a_second(accounts: Accounts, member: Member) -> None:
    """The session's access token is refused at most a second from now."""
    refusals: list[grpc.aio.AioRpcError] = []

    async def is_refused() -> bool:
        try:
            await accounts.profile(member)
        except grpc.aio.AioRpcError as error:
            refusals.append(error)
        return bool(refusals)

    await within_a_second(is_refused)
    (ended,) = refusals
    assert ended.code() is grpc.StatusCode.UNAUTHENTICATED
    assert ended.details() == "this session has ended"


async def test_who_registers_is_signed_in(accounts: Accounts) -> None:
    member = await accounts.register(name=" Zoë ")
    profile = (await accounts.profile(member)).profile
    assert profile.user_id == str(member.user_id)
    assert (profile.email, profile.name) == (member.email, "Zoë")
    claims = jwt.decode(member.token, options={"verify_signature": False})
    assert claims["sub"] == str(member.user_id)
    assert (claims["iss"], claims["aud"], claims["roles"]) == ("eros", "eros", [])
    assert claims["exp"] - claims["iat"] == 15 * 60


@pytest.mark.parametrize(
    ("email", "password", "name", "field"),
    [
        ("", PASSWORD, "Ann", "email"),
        ("no address", PASSWORD, "Ann", "email"),
        ("a@b@c", PASSWORD, "Ann", "email"),
        ("a" * 300 + "@example.com", PASSWORD, "Ann", "email"),
        ("ann\x00@example.com", PASSWORD, "Ann", "email"),
        ("ann@example.com", "short", "Ann", "password"),
        ("ann@example.com", "p" * 201, "Ann", "password"),
        ("ann@example.com", PASSWORD, "", "name"),
        ("ann@example.com", PASSWORD, "🔥🔥", "name"),
        ("ann@example.com", PASSWORD, "   ", "name"),
        ("ann@example.com", PASSWORD, "An\x00n", "name"),
        ("ann@example.com", PASSWORD, "n" * 81, "name"),
    ],
)
async def test_bad_registrations_store_nothing(
    accounts: Accounts,
    admin: asyncpg.Connection,
    email: str,
    password: str,
    name: str,
    field: str,
) -> None:
    before = await admin.fetchval("SELECT count(*) FROM accounts.users")
    request = accounts_pb2.RegisterRequest(email=email, password=password, name=name)
    error = await refusal(accounts.stub.Register(request))
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert fields(error) == [field]
    assert await admin.fetchval("SELECT count(*) FROM accounts.users") == before


async def test_an_email_is_registered_once_however_it_is_written(accounts: Accounts) -> None:
    member = await accounts.register()
    request = accounts_pb2.RegisterRequest(
        email=member.email.upper(), password=PASSWORD, name="Eve"
    )
    error = await refusal(accounts.stub.Register(request))
    assert error.code is ErrorCode.ALREADY_EXISTS
    assert fields(error) == ["email"]


async def test_login_by_the_same_email_in_other_letters(accounts: Accounts) -> None:
    member = await accounts.register()
    answer = await accounts.login(f" {member.email.upper()} ")
    assert answer.success
    assert answer.user_id == str(member.user_id)
    assert answer.refresh_token != member.refresh_token
    again = Member(member.user_id, member.email, answer.token, answer.refresh_token)
    assert again.session_id != member.session_id, "another sign-in"
    await accounts.profile(again)


async def test_every_wrong_login_gets_the_same_answer(accounts: Accounts) -> None:
    member, imported = await accounts.register(), new_email()
    request = accounts_pb2.ImportAccountsRequest(source="test")
    request.accounts.add(external_id="1", email=imported).profile.name = "Bea"
    await accounts.stub.ImportAccounts(request, metadata=accounts.service("operator"))
    errors = [
        await refusal(accounts.login(email, password))
        for email, password in (
            (member.email, "wrong password"),
            (member.email, PASSWORD.upper()),
            (new_email(), PASSWORD),
            ("no address", PASSWORD),
            ("nul\x00@example.com", PASSWORD),
            (imported, PASSWORD),
        )
    ]
    said = {(error.code, error.message, error.fields) for error in errors}
    assert said == {(ErrorCode.UNAUTHENTICATED, "the e-mail or the password is wrong", ())}


async def test_every_wrong_login_costs_one_hash(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[bool] = []
    check = Argon2Passwords._check

    def noting(self: Argon2Passwords, password: bytes, stored: str | None) -> Checked:
        checked.append(stored is None)
        return check(self, password, stored)

    monkeypatch.setattr(Argon2Passwords, "_check", noting)
    member = await accounts.register()
    await refusal(accounts.login(member.email, "wrong password"))
    await refusal(accounts.login(new_email()))
    await refusal(accounts.login("no address"))
    assert checked == [False, True, True]


async def test_a_login_renews_a_hash_of_an_older_cost(
    starter: Starter, admin: asyncpg.Connection
) -> None:
    async with starter.start() as cheap:
        member = await cheap.register()
    async with starter.start(hash_passes=2) as dearer:
        await refusal(dearer.login(member.email, "wrong password"))
        await dearer.login(member.email)
        hashed = await admin.fetchval(
            "SELECT password_hash FROM accounts.users WHERE email = $1", member.email
        )
        assert hashed.startswith("$argon2id$v=19$m=8,t=2,p=1$")
        await dearer.login(member.email)


async def test_more_logins_than_can_wait_are_refused_and_the_rest_goes_on(
    starter: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, entered = asyncio.get_running_loop(), asyncio.Event()
    go = asyncio.Event()
    check = Argon2Passwords._check

    def held(self: Argon2Passwords, password: bytes, stored: str | None) -> Checked:
        loop.call_soon_threadsafe(entered.set)
        asyncio.run_coroutine_threadsafe(go.wait(), loop).result(10)
        return check(self, password, stored)

    async with starter.start(hash_threads=1, hash_queue=1) as accounts:
        member = await accounts.register()
        monkeypatch.setattr(Argon2Passwords, "_check", held)
        first = asyncio.create_task(accounts.login(member.email))
        await entered.wait()
        logins = [asyncio.create_task(accounts.login(member.email)) for _ in range(5)]
        done, waiting = set(logins), set(logins)
        while len(waiting) > 1:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for login in done:
                assert (await refusal(login)).code is ErrorCode.RESOURCE_EXHAUSTED
        await accounts.profile(member)
        go.set()
        for login in (first, *waiting):
            assert (await login).success


async def test_refresh_goes_on_with_the_session(accounts: Accounts) -> None:
    member = await accounts.register()
    answer = await accounts.refresh(member.refresh_token)
    assert answer.success
    again = Member(member.user_id, member.email, answer.token, answer.refresh_token)
    assert again.session_id == member.session_id
    await accounts.profile(again)
    await accounts.refresh(answer.refresh_token)


async def test_a_token_used_again_ends_the_session_everywhere(accounts: Accounts) -> None:
    member = await accounts.register()
    answer = await accounts.refresh(member.refresh_token)
    error = await refusal(accounts.refresh(member.refresh_token))
    assert error.code is ErrorCode.UNAUTHENTICATED
    assert (await refusal(accounts.refresh(answer.refresh_token))).message == error.message
    await refused_within_a_second(accounts, member)
    # Another sign-in of the same person is another family.
    other = await accounts.login(member.email)
    await accounts.refresh(other.refresh_token)


@pytest.mark.parametrize("token", ["x", "ünknown", "a" * 200, "nul\x00"])
async def test_unknown_refresh_tokens(accounts: Accounts, token: str) -> None:
    assert (await refusal(accounts.refresh(token))).code is ErrorCode.UNAUTHENTICATED


@pytest.mark.parametrize("token", ["", "a" * 201])
async def test_what_is_no_refresh_token(accounts: Accounts, token: str) -> None:
    assert fields(await refusal(accounts.refresh(token))) == ["refreshToken"]


async def test_logout_ends_the_session_within_a_second(accounts: Accounts) -> None:
    member = await accounts.register()
    other = await accounts.login(member.email)
    assert (await accounts.logout(member)).success
    await refused_within_a_second(accounts, member)
    error = await refusal(accounts.refresh(member.refresh_token))
    assert error.code is ErrorCode.UNAUTHENTICATED
    still = Member(member.user_id, member.email, other.token, other.refresh_token)
    await accounts.profile(still)
    await accounts.refresh(other.refresh_token)


async def test_logout_while_valkey_is_away_is_no_success(
    starter: Starter, valkey_url: str, redis: Redis
) -> None:
    async with (
        Proxy.to(valkey_url) as way,
        starter.start(activity_redis=way.url) as accounts,
    ):
        member = await accounts.register()
        await way.cut()
        assert (await refusal(accounts.logout(member))).code is ErrorCode.UNAVAILABLE
        assert not await redis.exists("{revoked}:sids")
        error = await refusal(accounts.refresh(member.refresh_token))
        assert error.code is ErrorCode.UNAUTHENTICATED, "in PostgreSQL it has ended"
        way.mend()
        assert (await accounts.logout(member)).success
        await refused_within_a_second(accounts, member)


async def test_what_valkey_lost_is_told_again(
    starter: Starter, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eros_accounts.housekeeping.ANNOUNCE_SECONDS", 0.05)
    async with starter.start() as accounts, redis.pubsub() as channel:
        member = await accounts.register()
        await accounts.logout(member)
        # It is told once: whoever listens must do so before it is lost.
        await channel.subscribe("revoked")
        assert (await anext(channel.listen()))["type"] == "subscribe"
        await redis.delete("{revoked}:sids")
        async for message in channel.listen():
            if message["data"] == member.session_id.encode():
                break
        assert await redis.zscore("{revoked}:sids", member.session_id) is not None


async def test_keys_verify_tokens_and_rotate(accounts: Accounts, starter: Starter) -> None:
    member = await accounts.register()
    body = await accounts.stub.GetJwks(accounts_pb2.GetJwksRequest())
    assert body.content_type == "application/json"
    assert [entry["kid"] for entry in json.loads(body.data)["keys"]] == ["first"]
    key = parse_jwks(body.data)["first"]
    jwt.decode(member.token, key, algorithms=["EdDSA"], audience="eros", issuer="eros")
    starter.put_key("second")
    while "second" not in parse_jwks(body.data):
        body = await accounts.stub.GetJwks(accounts_pb2.GetJwksRequest())
    newer = await accounts.login(member.email)
    assert jwt.get_unverified_header(newer.token)["kid"] == "second"
    await accounts.profile(member)
    await accounts.profile(Member(member.user_id, "", newer.token, ""))


async def test_an_admin_is_one_from_the_next_token_on(accounts: Accounts) -> None:
    member = await accounts.register()
    operator = accounts.service("operator")
    request = accounts_pb2.GrantAdminRequest(email=member.email.upper())
    answer = await accounts.stub.GrantAdmin(request, metadata=operator)
    assert answer.user_id == str(member.user_id)
    assert answer.HasField("granted_at")
    refreshed = await accounts.refresh(member.refresh_token)
    claims = jwt.decode(refreshed.token, options={"verify_signature": False})
    assert claims["roles"] == ["admin"]
    unknown = accounts_pb2.GrantAdminRequest(email="nobody@example.com")
    error = await refusal(accounts.stub.GrantAdmin(unknown, metadata=operator))
    assert error.code is ErrorCode.NOT_FOUND


@pytest.mark.parametrize("metadata", [(), bearer("nonsense"), bearer("a.b.c")])
async def test_without_a_token_nobody_is_signed_in(
    accounts: Accounts, metadata: tuple[tuple[str, str], ...]
) -> None:
    stub = accounts.stub
    for call in (
        stub.GetProfile(accounts_pb2.GetProfileRequest(), metadata=metadata),
        stub.Logout(accounts_pb2.LogoutRequest(), metadata=metadata),
        stub.GrantAdmin(accounts_pb2.GrantAdminRequest(email="a@b.c"), metadata=metadata),
    ):
        assert (await refusal(call)).code is ErrorCode.UNAUTHENTICATED


async def test_people_do_not_call_what_is_for_services(accounts: Accounts) -> None:
    member = await accounts.register()
    request = accounts_pb2.GrantAdminRequest(email=member.email)
    error = await refusal(accounts.stub.GrantAdmin(request, metadata=member.auth))
    assert error.code is ErrorCode.UNAUTHENTICATED
    worker = accounts.service("worker")
    error = await refusal(accounts.stub.GrantAdmin(request, metadata=worker))
    assert error.code is ErrorCode.PERMISSION_DENIED


async def test_the_commonest_passwords_are_refused(accounts: Accounts) -> None:
    request = accounts_pb2.RegisterRequest(email=new_email(), password="Password123", name="Ann")
    error = await refusal(accounts.stub.Register(request))
    assert fields(error) == ["password"]


async def test_guessing_is_spaced_and_tells_nothing(accounts: Accounts) -> None:
    member = await accounts.register()
    answers = {}
    for email in (member.email, new_email()):
        codes = []
        for _ in range(12):
            error = await refusal(accounts.login(email, "wrong password"))
            codes.append((error.code, error.message, error.retry_after is not None))
        answers[email] = codes
    known, unknown = answers.values()
    assert known == unknown
    assert [code for code, _, _ in known[-2:]] == ["UNAUTHENTICATED", "RATE_LIMITED"]
    assert known[-1][2]
    # Not even the right one, or the limit would tell which that is.
    assert (await refusal(accounts.login(member.email))).code == "RATE_LIMITED"


async def test_an_admins_session_is_refused_for_as_long_as_the_console_takes_it(
    accounts: Accounts, redis: Redis
) -> None:
    member, other = await accounts.register(), await accounts.register()
    grant = accounts_pb2.GrantAdminRequest(email=member.email)
    await accounts.stub.GrantAdmin(grant, metadata=accounts.service("operator"))
    for ended in (member, other):
        request = accounts_pb2.EndSessionRequest(session_id=ended.session_id)
        await accounts.stub.EndSession(request, metadata=accounts.service("gateway"))
        error = await refusal(accounts.refresh(ended.refresh_token))
        assert error.code is ErrorCode.UNAUTHENTICATED
    until, until_other = [
        await redis.zscore("{revoked}:sids", each.session_id) for each in (member, other)
    ]
    assert until is not None
    assert until_other is not None
    # Both ended just now; the one counts by its cookie, the other by its token.
    assert CONSOLE_SECONDS - 900 - 60 < until - until_other <= CONSOLE_SECONDS - 900
    for metadata in (member.auth, accounts.service("matcher"), ()):
        request = accounts_pb2.EndSessionRequest(session_id=other.session_id)
        error = await refusal(accounts.stub.EndSession(request, metadata=metadata))
        assert error.code in {ErrorCode.UNAUTHENTICATED, ErrorCode.PERMISSION_DENIED}


async def test_a_repeated_registration_is_the_same_account(accounts: Accounts) -> None:
    email, key = new_email(), (("idempotency-key", "retry-0001"),)
    request = accounts_pb2.RegisterRequest(email=email, password=PASSWORD, name="Ann")
    first = await accounts.stub.Register(request, metadata=key)
    again = await accounts.stub.Register(request, metadata=key)
    assert (again.user_id, again.token != first.token) == (first.user_id, True)
    other = accounts_pb2.RegisterRequest(email=email, password="another password", name="Ann")
    assert (await refusal(accounts.stub.Register(other, metadata=key))).code == "ALREADY_EXISTS"
    renamed = accounts_pb2.RegisterRequest(email=email, password=PASSWORD, name="Bea")
    error = await refusal(accounts.stub.Register(renamed, metadata=key))
    assert fields(error) == ["Idempotency-Key"]
    free = accounts_pb2.RegisterRequest(email=new_email(), password=PASSWORD, name="Ann")
    assert fields(await refusal(accounts.stub.Register(free, metadata=key))) == ["Idempotency-Key"]
    assert (await refusal(accounts.login(free.email))).code == "UNAUTHENTICATED"
    assert (await refusal(accounts.stub.Register(request))).code == "ALREADY_EXISTS"
    short = (("idempotency-key", "short"),)
    assert fields(await refusal(accounts.stub.Register(request, metadata=short)))


async def test_of_two_calls_at_once_with_one_key_one_registers(accounts: Accounts) -> None:
    key = (("idempotency-key", "twice-at-once"),)
    emails = [new_email(), new_email()]
    calls = [
        accounts.stub.Register(
            accounts_pb2.RegisterRequest(email=email, password=PASSWORD, name="Ann"), metadata=key
        )
        for email in emails
    ]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(answer, accounts_pb2.RegisterResponse) for answer in answers) == 1
    signed_in = await asyncio.gather(*map(accounts.login, emails), return_exceptions=True)
    assert sum(isinstance(answer, accounts_pb2.LoginResponse) for answer in signed_in) == 1
