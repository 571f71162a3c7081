"""Preparing a checkout: what counts as current, and how generated code is put in place."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from eros_bootstrap import packages, pip_source, prepare
from eros_bootstrap.checkout import IMPORT_ROOTS, Checkout, read_stamp
from eros_bootstrap.failure import PreparationError
from eros_bootstrap.generate import generate
from eros_bootstrap.progress import Progress
from eros_cli.paths import CHECKOUT


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout with real contracts, prepared with the environment that runs the tests."""
    root = tmp_path / "checkout"
    for folder in ("protos", "third_party"):
        shutil.copytree(CHECKOUT / folder, root / folder)
    for lock in ("requirements.lock", "vectors.lock", "charts.lock"):
        shutil.copy(CHECKOUT / lock, root)
    (root / ".venv").symlink_to(sys.prefix)
    # Of the same source, so they are kept: to compile them takes ten seconds a test.
    shutil.copytree(CHECKOUT / "gen" / "eros_kernels", root / "gen" / "eros_kernels")
    return Checkout(root)


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_import_roots_exist() -> None:
    assert [root for root in IMPORT_ROOTS if not (CHECKOUT / root).is_dir()] == []


def test_generated_code_can_be_imported_and_is_typed(checkout: Checkout) -> None:
    generate(checkout, Progress())
    made = files(checkout.gen)
    assert {"eros/py.typed", "eros/accounts/v1/accounts_pb2_grpc.pyi", "eros.binpb"} <= set(made)
    assert "buf/validate/validate_pb2.py" in made
    assert not any(name.startswith("google/") for name in made)
    code = "from eros.accounts.v1 import accounts_pb2_grpc as it; print(it.__file__)"
    imported = subprocess.run(
        [
            sys.executable,
            "-I",
            "-c",
            f"import sys; sys.path.insert(0, {str(checkout.gen)!r}); {code}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert imported.stdout.startswith(str(checkout.gen))


def test_a_changed_contract_is_noticed_and_only_what_differs_is_replaced(
    checkout: Checkout,
) -> None:
    generate(checkout, Progress())
    assert read_stamp(checkout.gen_stamp) == checkout.gen_key()
    before = {path: path.stat().st_mtime_ns for path in checkout.gen.rglob("*_pb2.py")}

    (checkout.root / "protos/eros/extra/v1").mkdir(parents=True)
    extra = checkout.root / "protos/eros/extra/v1/extra.proto"
    extra.write_text('syntax = "proto3";\npackage eros.extra.v1;\nmessage Extra {}\n')
    assert read_stamp(checkout.gen_stamp) != checkout.gen_key()
    generate(checkout, Progress())
    assert (checkout.gen / "eros/extra/v1/extra_pb2.py").exists()
    assert {path: path.stat().st_mtime_ns for path in before} == before

    shutil.rmtree(extra.parent.parent)
    generate(checkout, Progress())
    assert not (checkout.gen / "eros/extra").exists()
    assert set(checkout.gen.rglob("*_pb2.py")) == set(before)


def test_a_faulty_contract_keeps_what_was_there(
    checkout: Checkout, capfd: pytest.CaptureFixture[str]
) -> None:
    generate(checkout, Progress())
    before = files(checkout.gen)
    faulty = checkout.root / "protos/eros/options/v1/options.proto"
    faulty.write_text(faulty.read_text() + "\nmessage {")
    with pytest.raises(PreparationError, match="protoc refused"):
        generate(checkout, Progress())
    assert "options.proto" in capfd.readouterr().err
    assert files(checkout.gen) == before
    assert list(checkout.root.glob(".gen-*")) == []


def test_the_packages_stamp_knows_lock_and_place(checkout: Checkout, tmp_path: Path) -> None:
    key = checkout.packages_key()
    moved = Checkout(tmp_path / "moved")
    shutil.copytree(checkout.root, moved.root, symlinks=True)
    assert moved.packages_key() != key
    checkout.lock_list.write_text(checkout.lock_list.read_text() + "\n")
    assert checkout.packages_key() != key


def test_an_environment_that_was_moved_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = Checkout(tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".eros-root").write_text("/somewhere/else")
    (tmp_path / ".venv" / "old").touch()
    for lock in ("requirements.lock", "vectors.lock", "charts.lock"):
        (tmp_path / lock).write_text("")
    (tmp_path / "libs" / "common").mkdir(parents=True)
    monkeypatch.setattr(packages, "_install", lambda *_: None)
    monkeypatch.setattr(packages, "unpack_data_wheels", lambda *_: None)
    packages.install_packages(checkout, Progress())
    assert not (tmp_path / ".venv" / "old").exists()
    assert read_stamp(checkout.packages_stamp) == checkout.packages_key()
    found = subprocess.run(
        [checkout.python, "-c", "import sys; print(*sys.path, sep='\\n')"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(tmp_path / "libs" / "common") in found.stdout.splitlines()


def test_without_any_pip_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on Debian without python3-venv and python3-pip: a bare environment, and no pip anywhere.
    checkout = Checkout(tmp_path)
    monkeypatch.setattr(pip_source, "_create", lambda made: made.venv.mkdir())
    monkeypatch.setattr(pip_source, "_runs", lambda _: False)
    with pytest.raises(PreparationError, match="apt install python3-venv") as refused:
        packages.install_packages(checkout, Progress())
    assert "\n" not in str(refused.value)
    assert not checkout.venv.exists()


def test_a_second_preparation_waits_for_the_first(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []

    def install(*_: object) -> None:
        with (checkout.root / ".eros.lock").open("a+") as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        steps.append("packages")

    monkeypatch.setattr(prepare, "install_packages", install)
    monkeypatch.setattr(prepare, "generate", lambda *_: steps.append("code"))
    prepare.prepare(checkout, Progress())
    assert steps == ["packages", "code"]


@pytest.mark.parametrize("fate", ["gone", "another version"])
def test_an_environment_whose_interpreter_was_replaced_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fate: str
) -> None:
    checkout = Checkout(tmp_path)
    for lock in ("requirements.lock", "vectors.lock", "charts.lock"):
        (tmp_path / lock).write_text("")
    monkeypatch.setattr(packages, "_install", lambda *_: None)
    monkeypatch.setattr(packages, "unpack_data_wheels", lambda *_: None)
    # A bare one is quick to make, and nothing is installed.
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "venv")
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr(packages, "prune", lambda *_: None)
    monkeypatch.setattr(prepare, "generate", lambda *_: None)
    monkeypatch.setattr(Checkout, "gen_key", lambda _: "")
    checkout.gen.mkdir()
    checkout.gen_stamp.touch()
    prepare.prepare(checkout, Progress())
    assert prepare._is_current(checkout)
    if fate == "gone":
        checkout.python.unlink()
        checkout.python.symlink_to(tmp_path / "python-of-last-year")
    else:
        # What the system calls python3 is a newer one now.
        (library,) = (checkout.venv / "lib").iterdir()
        library.rename(library.with_name("python3.0"))
    assert not prepare._is_current(checkout)
    prepare.prepare(checkout, Progress())
    assert prepare._is_current(checkout)
    assert not (checkout.venv / "lib" / "python3.0").exists()
    subprocess.run([checkout.python, "-I", "-c", ""], check=True)
