"""A helper process that does not end is killed, told and counted."""

from __future__ import annotations

import os
import time

import pytest
from pydantic import SecretStr

from eros_matcher.work.helpers import HelperHangsError, run_helper

HERE = "tests.unit.matcher.test_helpers"
NO_DATABASE = SecretStr("postgresql://nobody@127.0.0.1:1/none")


async def test_one_that_hangs_is_killed(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(HelperHangsError, match="took longer than"):
        await run_helper(HERE, database_url=NO_DATABASE, most_seconds=0.5)
    (told,) = [record for record in caplog.records if record.name == "matcher.helpers"]
    assert told.msg == "hangs"
    with pytest.raises(ProcessLookupError):
        os.kill(told.__dict__["eros_fields"]["pid"], 0)


async def test_one_that_ends_says_how() -> None:
    status = await run_helper("this", database_url=NO_DATABASE, most_seconds=60)
    assert status == 0


if __name__ == "__main__":
    time.sleep(600)
