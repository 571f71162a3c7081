"""A database that takes no writes: a standby after a failover, or a full disk."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import grpc
import pytest

from eros_accounts import housekeeping
from eros_common import postgres
from eros_common.errors import ErrorCode
from tests.integration.accounts.service import Starter, refusal
from tests.support.stores import read_only


async def test_what_is_read_is_answered_and_what_is_written_is_to_be_tried_again(
    starter: Starter, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "ERASE_SECONDS", 0.02)
    async with starter.start() as accounts:
        member = await accounts.register()
        async with read_only(postgres_url):
            assert (await refusal(accounts.login(member.email))).code is ErrorCode.UNAVAILABLE
            # Long enough for fifty tries of what is done beside the requests.
            async with asyncio.timeout(10):
                for _ in range(20):
                    assert (await accounts.profile(member)).profile.name == "Ann"
                    await asyncio.sleep(0.05)
        # What was opened meanwhile is used once each.
        for _ in range(postgres.READY):
            with suppress(grpc.aio.AioRpcError):
                await accounts.login(member.email)
        assert (await accounts.login(member.email)).success
