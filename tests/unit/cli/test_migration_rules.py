"""A migration that the running version would not bear is refused, and one that it bears is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from eros_cli import migration_rules
from eros_cli.migration_rules import faults

FIRST = "SET LOCAL lock_timeout = '2s';\n"

BORNE = [
    "ALTER TABLE scheduler.jobs ADD COLUMN note text;",
    "ALTER TABLE scheduler.jobs ADD COLUMN tries int NOT NULL DEFAULT 0, ADD COLUMN note text;",
    "ALTER TABLE scheduler.jobs ADD COLUMN tries int DEFAULT 0 NOT NULL;",
    "ALTER TABLE accounts.users ADD CONSTRAINT short CHECK (length(email) < 300) NOT VALID;",
    "ALTER TABLE accounts.users ALTER COLUMN email DROP NOT NULL;",
    "CREATE TABLE matcher.notes (id uuid); CREATE INDEX notes_id ON matcher.notes (id);",
    "CREATE OR REPLACE FUNCTION f() RETURNS void LANGUAGE sql AS $$ DROP TABLE x; TRUNCATE y $$;",
    "-- DROP TABLE accounts.users;\nGRANT SELECT ON accounts.users TO eros_accounts;",
    "COMMENT ON TABLE accounts.users IS 'DROP TABLE; it''s; RENAME';",
    "REVOKE EXECUTE ON FUNCTION f() FROM PUBLIC;",
    "UPDATE accounts.users SET roles = '{}' WHERE roles IS NULL;",
]

REFUSED = [
    ("DROP TABLE accounts.users;", "drops"),
    ("DROP FUNCTION scheduler.hold(uuid[], smallint, bigint[]);", "drops"),
    ("ALTER TABLE accounts.users DROP COLUMN email;", "drops a column"),
    ("ALTER TABLE accounts.users DROP email;", "drops a column"),
    ("ALTER TABLE accounts.users RENAME COLUMN email TO mail;", "renames"),
    ("ALTER TABLE accounts.users RENAME TO people;", "renames"),
    ("ALTER FUNCTION scheduler.hold RENAME TO held;", "renames"),
    ("ALTER TABLE scheduler.jobs ALTER COLUMN kind TYPE integer;", "changes a type"),
    ("alter table scheduler.jobs alter kind set data type integer;", "changes a type"),
    ("ALTER TABLE scheduler.jobs ALTER COLUMN owner SET NOT NULL;", "refuses what the running"),
    ("ALTER TABLE scheduler.jobs ADD COLUMN n integer NOT NULL;", "does not fill"),
    ("ALTER TABLE scheduler.jobs ADD a int DEFAULT 1, ADD b int NOT NULL;", "does not fill"),
    ("ALTER TABLE scheduler.jobs ADD r uuid DEFAULT gen_random_uuid();", "writes every row"),
    ("ALTER TABLE scheduler.jobs ADD CONSTRAINT c CHECK (attempts >= 0);", "NOT VALID"),
    ("ALTER TABLE scheduler.jobs ADD UNIQUE (token);", "builds an index under a lock"),
    ("CREATE INDEX j ON scheduler.jobs (owner);", "CONCURRENTLY does not"),
    ("CREATE UNIQUE INDEX j ON scheduler.jobs (owner);", "CONCURRENTLY does not"),
    ("CREATE INDEX CONCURRENTLY j ON scheduler.jobs (owner);", "transactional: false"),
    ("DROP INDEX scheduler.jobs_solo;", "CONCURRENTLY does not"),
    ("TRUNCATE scheduler.jobs;", "locks everybody out"),
    ("LOCK TABLE scheduler.jobs;", "locks everybody out"),
    ("UPDATE scheduler.jobs SET attempts = 0;", "every row in one transaction"),
    ("REVOKE SELECT ON accounts.users FROM eros_accounts;", "takes a right"),
]  # fmt: skip


@pytest.mark.parametrize("statement", BORNE)
def test_what_only_adds_may_run(statement: str) -> None:
    assert faults(FIRST + statement) == []


@pytest.mark.parametrize(("statement", "why"), REFUSED)
def test_what_breaks_or_blocks_is_refused(statement: str, why: str) -> None:
    (fault,) = faults(FIRST + statement)
    assert why in fault


@pytest.mark.parametrize(
    ("begin", "why"),
    [
        ("", "does not begin with"),
        ("SET lock_timeout = '2s';", "does not begin with"),
        ("SET LOCAL lock_timeout = 0;", "does not begin with"),
        ("SET LOCAL lock_timeout = '60s';", "more than 5 s"),
    ],
)
def test_waiting_for_a_lock_has_an_end(begin: str, why: str) -> None:
    (fault,) = faults(f"{begin} ALTER TABLE scheduler.jobs ADD COLUMN note text;")
    assert why in fault


def test_an_index_on_what_is_there_is_a_file_of_its_own() -> None:
    index = "-- transactional: false\nCREATE INDEX CONCURRENTLY j ON scheduler.jobs (owner);"
    assert faults(index) == []
    (fault,) = faults(f"{index} ALTER TABLE scheduler.jobs ADD COLUMN note text;")
    assert "one statement" in fault


def test_files_after_the_first_schema_are_held_to_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("0001.old.sql", "9999.new.sql"):
        (tmp_path / name).write_text("DROP TABLE accounts.users;")
    assert migration_rules.main(tmp_path) == 1
    said = capsys.readouterr().out
    assert "9999.new.sql: drops" in said
    assert "0001.old.sql" not in said


def test_the_history_that_is_there_passes() -> None:
    assert migration_rules.main() == 0
