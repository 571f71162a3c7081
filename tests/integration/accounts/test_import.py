from __future__ import annotations

from collections.abc import Callable

import asyncpg
import pytest

from eros.accounts.v1 import accounts_pb2, profile_pb2
from eros_cli.population import demo, okcupid
from eros_common.errors import ErrorCode
from tests.integration.accounts.service import Accounts, fields, new_email, refusal
from tests.support.real_data import okcupid_file


async def run(
    accounts: Accounts, source: str, people: list[accounts_pb2.ImportedAccount]
) -> accounts_pb2.ImportAccountsResponse:
    request = accounts_pb2.ImportAccountsRequest(source=source, accounts=people)
    return await accounts.stub.ImportAccounts(request, metadata=accounts.service("operator"))


async def test_an_import_repeated_changes_nothing(
    accounts: Accounts, admin: asyncpg.Connection
) -> None:
    people = list(demo.people(100))
    first = await run(accounts, "a", people)
    assert first.created == 100
    again = await run(accounts, "a", people)
    assert again.created == 0
    assert again.user_ids == first.user_ids
    stored = await admin.fetch(
        "SELECT external_id, p.name, password_hash FROM accounts.users"
        " JOIN accounts.profiles p ON user_id = id WHERE source = 'a'"
    )
    assert {tuple(row) for row in stored} == {
        (person.external_id, person.profile.name, None) for person in people
    }


def _change(spoil: Callable[[accounts_pb2.ImportedAccount], None]) -> list[
    accounts_pb2.ImportedAccount
]:  # fmt: skip
    people = list(demo.people(5))
    spoil(people[3])
    return people


@pytest.mark.parametrize(
    ("spoil", "field"),
    [
        (lambda p: p.profile.ClearField("name"), "profile.name"),
        (lambda p: setattr(p.profile, "name", "🔥"), "profile.name"),
        (lambda p: setattr(p.profile, "age", 12), "profile.age"),
        (lambda p: p.profile.photos.append("photo.jpg"), "profile.photos[0]"),
        (lambda p: p.profile.location.ClearField("lat"), "profile.location.lat"),
        (lambda p: setattr(p, "external_id", ""), "externalId"),
        (lambda p: setattr(p, "external_id", "nul\x00"), "externalId"),
        (lambda p: setattr(p, "email", "no address"), "email"),
        (lambda p: p.ClearField("profile"), "profile"),
        (lambda p: setattr(p, "external_id", next(demo.people(1)).external_id), "externalId"),
    ],
)
async def test_one_bad_account_is_named_and_none_is_stored(
    accounts: Accounts,
    admin: asyncpg.Connection,
    spoil: Callable[[accounts_pb2.ImportedAccount], None],
    field: str,
) -> None:
    error = await refusal(run(accounts, "b", _change(spoil)))
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert fields(error) == [f"accounts[3].{field}"]
    assert not await admin.fetchval("SELECT count(*) FROM accounts.users WHERE source = 'b'")


async def test_two_of_one_email_are_refused(accounts: Accounts) -> None:
    people, email = list(demo.people(3)), new_email()
    people[0].email, people[2].email = email, email.upper()
    assert fields(await refusal(run(accounts, "c", people))) == ["accounts[2].email"]


async def test_an_email_of_a_member_is_refused(accounts: Accounts) -> None:
    member, people = await accounts.register(), list(demo.people(3))
    people[1].email = member.email
    error = await refusal(run(accounts, "d", people))
    assert error.code is ErrorCode.ALREADY_EXISTS
    assert fields(error) == ["accounts[1].email"]


@pytest.mark.parametrize("source", ["", "Upper", "with space", "x" * 41])
async def test_bad_sources(accounts: Accounts, source: str) -> None:
    assert fields(await refusal(run(accounts, source, list(demo.people(1))))) == ["source"]


async def test_more_than_fit_one_batch(accounts: Accounts) -> None:
    person = accounts_pb2.ImportedAccount(
        external_id="1", profile=profile_pb2.UpdateProfileRequest(name="Ann")
    )
    assert fields(await refusal(run(accounts, "e", [person] * 2001))) == ["accounts"]


async def test_imports_are_for_the_operator(accounts: Accounts) -> None:
    member = await accounts.register()
    request = accounts_pb2.ImportAccountsRequest(source="f", accounts=demo.people(1))
    for metadata, code in (
        ((), ErrorCode.UNAUTHENTICATED),
        (member.auth, ErrorCode.UNAUTHENTICATED),
        (accounts.service("matcher"), ErrorCode.PERMISSION_DENIED),
    ):
        call = accounts.stub.ImportAccounts(request, metadata=metadata)
        assert (await refusal(call)).code is code


async def test_ten_thousand_real_profiles_go_in(
    accounts: Accounts,
) -> None:
    everybody = okcupid.people(okcupid_file())
    people = [person for person, _ in zip(everybody, range(10_000), strict=False)]
    created = 0
    for start in range(0, len(people), 2000):
        created += (await run(accounts, "okcupid", people[start : start + 2000])).created
    assert created == 10_000
