"""What a person can do something about is one line, without a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from eros_cli import main as cli
from eros_cli.commands import exposure
from eros_common.postgres import DatabaseUnreachable


def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    monkeypatch.setattr("sys.argv", ["eros", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    return capsys.readouterr().err


def test_a_folder_that_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = said(monkeypatch, capsys, "keys", "make", "/proc/keys-of-eros")
    assert error == "eros: /proc/keys-of-eros: No such file or directory\n"


def test_a_file_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    missing = str(tmp_path / "kustomization.yaml")
    error = said(monkeypatch, capsys, "release", str(tmp_path), "--overlay", missing)
    assert error == f"eros: {missing}: No such file or directory\n"


def test_a_database_that_cannot_be_reached(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def measure(*_: object) -> None:
        raise DatabaseUnreachable("not reachable for 30 s")

    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:9/eros")
    monkeypatch.setattr(exposure, "measure", measure)
    assert said(monkeypatch, capsys, "eval", "exposure") == "eros: not reachable for 30 s\n"


def test_what_is_a_fault_of_ours_is_told_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    async def measure(*_: object) -> None:
        raise OSError("of no file")

    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:9/eros")
    monkeypatch.setattr(exposure, "measure", measure)
    monkeypatch.setattr("sys.argv", ["eros", "eval", "exposure"])
    with pytest.raises(OSError, match="of no file"):
        cli.main()
