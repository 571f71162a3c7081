"""What a migration may do while the version before it serves.

A released schema is used by two versions at once: by the old one until its last pod is gone, and
after a rollback again. So a migration only adds, and it never makes the running version wait for
more than a moment. `python -m eros_cli.migration_rules` holds each migration after `RELEASED`
against that; up to there no version has served.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from eros_cli.paths import MIGRATIONS

RELEASED: Final = "0050"
"""The last migration of the first schema. What comes after is held to the rules, for ever."""

LONGEST_LOCK_SECONDS: Final = 5.0

_NAME: Final = r'((?:"[^"]+"|[\w$]+)(?:\.(?:"[^"]+"|[\w$]+))?)'
_MADE: Final = re.compile(r"CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?" + _NAME, re.IGNORECASE)
_TARGET: Final = re.compile(
    r"(?:ALTER TABLE (?:IF EXISTS )?(?:ONLY )?|TRUNCATE (?:TABLE )?|UPDATE |DELETE\s+FROM "
    r"|CREATE (?:UNIQUE )?INDEX .*?\bON (?:ONLY )?)" + _NAME,
    re.IGNORECASE,
)
_BEGIN: Final = re.compile(r"SET LOCAL lock_timeout (?:=|TO) '(\d+)(ms|s)'", re.IGNORECASE)
_COLUMN: Final = r"\bADD (?!(?:CONSTRAINT|CHECK|FOREIGN|UNIQUE|PRIMARY|EXCLUDE)\b)"
_VOLATILE: Final = r"DEFAULT [^,]*(?:random|clock_timestamp|nextval|gen_)"

_REFUSED: Final[Sequence[tuple[str, str]]] = (
    (r"^DROP (TABLE|SCHEMA|VIEW|MATERIALIZED VIEW|TYPE|SEQUENCE|FUNCTION|ROLE)\b", "drops"),
    (
        r"^ALTER .*\bDROP (?!NOT NULL|DEFAULT|IDENTITY|CONSTRAINT|EXPRESSION)",
        "drops a column",
    ),
    (r"^ALTER .*\bRENAME\b", "renames"),
    (r"^ALTER .*\bSET SCHEMA\b", "moves to another schema"),
    (
        r"^ALTER TABLE .*\bALTER (COLUMN )?\S+ (SET DATA )?TYPE\b",
        "changes a type, rewriting the table",
    ),
    (r"^ALTER TABLE .*\bSET NOT NULL\b", "refuses what the running version writes"),
    (
        r"^ALTER TABLE .*\bSET (LOGGED|UNLOGGED|TABLESPACE|ACCESS METHOD)\b",
        "rewrites the table",
    ),
    (
        rf"^ALTER TABLE .*{_COLUMN}(?:(?!\bDEFAULT\b)[^,])*\bNOT NULL\b(?![^,]*\bDEFAULT\b)",
        "adds a column that the running version does not fill",
    ),
    (
        rf"^ALTER TABLE .*{_COLUMN}[^,]*\b({_VOLATILE}|GENERATED\b|\w*SERIAL\b)",
        "writes every row for a new column's value",
    ),
    (
        r"^ALTER TABLE .*\bADD (CONSTRAINT|CHECK|FOREIGN)\b(?!.*\b(NOT VALID|USING INDEX)\b)",
        "reads the whole table under a lock (add it NOT VALID, validate it in the next file)",
    ),
    (r"^ALTER TABLE .*\bADD (UNIQUE|PRIMARY KEY|EXCLUDE)\b", "builds an index under a lock"),
    (
        r"^(CREATE (UNIQUE )?|DROP )INDEX (?!CONCURRENTLY\b)",
        "holds writers up (CONCURRENTLY does not)",
    ),
    (r"^REVOKE\b(?!.* FROM PUBLIC$)", "takes a right from the running version"),
    (
        r"^(TRUNCATE|CLUSTER|LOCK|REINDEX (?!.*\bCONCURRENTLY\b)|VACUUM FULL)\b",
        "locks everybody out",
    ),
    (r"^(UPDATE|DELETE FROM) (?!.*\bWHERE\b)", "changes every row in one transaction"),
)


def faults(sql: str) -> list[str]:
    """What in a migration the running version would not bear; empty when it may run."""
    transactional = re.search(r"(?im)^\s*--\s*transactional\s*:\s*false\s*$", sql) is None
    statements = list(_statements(sql))
    found = list(_lock_faults(statements)) if transactional else []
    made: set[str] = set()
    for statement in statements:
        if new := _MADE.match(statement):
            made.add(_bare(new[1]))
        target = _TARGET.match(statement)
        if target is not None and _bare(target[1]) in made:
            continue  # nobody uses it yet
        found += [
            f"{why}: {_short(statement)}"
            for pattern, why in _REFUSED
            if re.search(pattern, statement, re.IGNORECASE)
        ]
        if transactional and re.search(r"\bCONCURRENTLY\b", statement, re.IGNORECASE):
            found.append(f"CONCURRENTLY needs a file with `-- transactional: false`: {statement}")
    if not transactional and len(statements) != 1:
        found.append("without a transaction a file has one statement: a second could fail alone")
    return found


def _lock_faults(statements: Sequence[str]) -> Iterator[str]:
    """Whatever waits for a lock makes everybody wait who comes after it: it has to give up.

    Not so CONCURRENTLY, which waits without standing in the way.
    """
    first = statements[0] if statements else ""
    allowed = _BEGIN.fullmatch(first)
    if allowed is None:
        yield "does not begin with: SET LOCAL lock_timeout = '2s'"
    elif int(allowed[1]) / (1000 if allowed[2] == "ms" else 1) > LONGEST_LOCK_SECONDS:
        yield f"waits for locks for more than {LONGEST_LOCK_SECONDS:.0f} s: {first}"


def _statements(sql: str) -> Iterator[str]:
    """Without comments, function bodies and what is in quotes; on one line each."""
    pieces = re.sub(
        r"--[^\n]*|/\*.*?\*/|(\$\w*\$).*?\1|('(?:[^']|'')*')",
        lambda found: found[2] if found[2] and len(found[2]) < 20 else ("''" if found[1] else " "),
        sql,
        flags=re.DOTALL,
    )
    for piece in pieces.split(";"):
        if statement := " ".join(piece.split()):
            yield statement


def _bare(name: str) -> str:
    return name.replace('"', "").lower()


def _short(statement: str) -> str:
    return statement if len(statement) <= 100 else f"{statement[:97]}…"


def main(directory: Path = MIGRATIONS) -> int:
    """Prints what is wrong; 1 where something is."""
    found = [
        f"{path.name}: {fault}"
        for path in sorted(directory.glob("*.sql"))
        if path.name[:4] > RELEASED
        for fault in faults(path.read_text())
    ]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
