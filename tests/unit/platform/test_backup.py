"""What PostgreSQL's programs are given by a backup."""

from __future__ import annotations

from pathlib import Path

import pytest

from eros_cli.mesh.faults import MeshError
from eros_cli.operations import backup

# In pg_dump's place: notes what it is given, and who may read the file it is to fill.
_PROGRAM = """#!/bin/sh
printf '%s\\n' "$PGPASSWORD" "$2" > "{folder}/given"
stat -c %a "$5" > "{folder}/mode" 2>&1 || true
: >> "$5"
"""


@pytest.fixture
def pg_dump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where it notes that."""
    program = tmp_path / "pg_dump"
    program.write_text(_PROGRAM.format(folder=tmp_path))
    program.chmod(0o700)
    monkeypatch.setattr(backup, "_program", lambda *_, **__: str(program))
    return tmp_path


async def test_a_password_is_given_as_it_is(pg_dump: Path) -> None:
    await backup.back_up("postgresql://ann:p%40ss%2Fw%25rd@db:5432/eros", pg_dump / "file")
    given = (pg_dump / "given").read_text().splitlines()
    assert given == ["p@ss/w%rd", "postgresql://ann@db:5432/eros"]


async def test_nobody_else_may_read_a_backup_that_is_under_way(pg_dump: Path) -> None:
    await backup.back_up("postgresql://ann@db/eros", pg_dump / "file")
    assert (pg_dump / "mode").read_text() == "600\n"


async def test_a_folder_that_is_not_there_is_told(pg_dump: Path) -> None:
    with pytest.raises(MeshError, match="cannot be written: No such file"):
        await backup.back_up("postgresql://ann@db/eros", pg_dump / "none" / "file")


@pytest.mark.parametrize("query", ["sslmode=verify-full&sslrootcert=/ca.crt", "sslmode=require"])
async def test_where_tls_is_asked_for_the_program_of_the_machine_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    program = tmp_path / "pg_dump"
    program.write_text(_PROGRAM.format(folder=tmp_path))
    program.chmod(0o700)
    url = f"postgresql://ann:secret@db/eros?{query}"
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MeshError, match="install PostgreSQL's client programs"):
        await backup.back_up(url, tmp_path / "file")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    await backup.back_up(url, tmp_path / "file")
    assert (tmp_path / "given").read_text().splitlines()[0] == "secret"
