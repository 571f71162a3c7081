"""Generated code in `gen/`: Python and type stubs of every contract, Envoy's descriptor
set, and the matching kernel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from eros_bootstrap.checkout import Checkout
from eros_bootstrap.failure import PreparationError
from eros_bootstrap.progress import Progress

#: Others' protos whose Python no package carries; google's comes from googleapis-common-protos.
_GENERATED_THIRD_PARTY = "buf/validate/validate.proto"
_ACCESS_LOG = "envoy_als/als.proto"
_DESCRIPTOR_SET = "eros.binpb"
_KERNELS = "eros_kernels"


def generate(checkout: Checkout, progress: Progress) -> None:
    """Bring `gen/` up to date with the contracts. Raises PreparationError naming the fault.

    Made beside it and then moved in file by file, so that whoever is running from `gen/` finds
    every file there at every moment.
    """
    protos = [path.relative_to(checkout.root / "protos") for path in _own_protos(checkout)]
    with (
        progress.step(f"generating code from {len(protos)} contracts"),
        tempfile.TemporaryDirectory(dir=checkout.root, prefix=".gen-") as folder,
    ):
        fresh = Path(folder)
        _run_protoc(checkout, fresh, [str(path) for path in protos])
        _make_packages(fresh)
        _compile_kernel(checkout, fresh / _KERNELS)
        checkout.gen.mkdir(exist_ok=True)
        _move_in(fresh, checkout.gen)
        checkout.gen_stamp.write_text(checkout.gen_key())


def _own_protos(checkout: Checkout) -> list[Path]:
    return [
        path for path in checkout.proto_files() if path.is_relative_to(checkout.root / "protos")
    ]


def _run_protoc(checkout: Checkout, out: Path, protos: list[str]) -> None:
    includes = [f"--proto_path={checkout.root / folder}" for folder in ("protos", "third_party")]
    protoc = [str(checkout.python), "-I", "-m", "grpc_tools.protoc", *includes]
    # protoc looks for its plug-ins on PATH.
    path = os.pathsep.join([str(checkout.venv / "bin"), os.environ.get("PATH", os.defpath)])
    commands = [
        [
            *protoc,
            f"--python_out={out}",
            f"--mypy_out=quiet:{out}",
            *protos,
            _GENERATED_THIRD_PARTY,
            _ACCESS_LOG,
        ],
        [
            *protoc,
            f"--grpc_python_out={out}",
            f"--mypy_grpc_out=quiet,only_async:{out}",
            *protos,
            _ACCESS_LOG,
        ],
        [
            *protoc,
            f"--descriptor_set_out={out / _DESCRIPTOR_SET}",
            "--include_imports",
            "--include_source_info",
            *protos,
        ],
    ]
    for command in commands:
        done = subprocess.run(
            command,
            env={**os.environ, "PATH": path},
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            sys.stderr.write(done.stderr)
            raise PreparationError("protoc refused the contracts; what it said is above")


def _compile_kernel(checkout: Checkout, out: Path) -> None:
    """The matching kernel as machine code, for this machine or as EROS_KERNEL_LEVELS says."""
    out.mkdir()
    (out / "__init__.py").touch()
    for made in (checkout.gen / _KERNELS).glob("*.o"):
        # Kept if it is of the same source; the name says so.
        shutil.copy2(made, out)
    levels = os.environ.get("EROS_KERNEL_LEVELS", "").split()
    command = [str(checkout.python), "-I", "-m", "eros_matcher.kernel", str(out), *levels]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        sys.stderr.write(done.stderr)
        raise PreparationError("the matching kernel does not compile; what was said is above")


def _make_packages(out: Path) -> None:
    for top in (path for path in out.iterdir() if path.is_dir()):
        (top / "py.typed").touch()
        for folder in (top, *(path for path in top.rglob("*") if path.is_dir())):
            (folder / "__init__.py").touch()


def _move_in(fresh: Path, target: Path) -> None:
    """Replace what differs, then remove what is no longer made."""
    wanted = {path.relative_to(fresh) for path in fresh.rglob("*") if path.is_file()}
    for name in sorted(wanted):
        source, destination = fresh / name, target / name
        if destination.exists() and destination.read_bytes() == source.read_bytes():
            continue
        destination.parent.mkdir(parents=True, exist_ok=True)
        source.replace(destination)
    for path in [path for path in target.rglob("*") if path.is_file()]:
        name = path.relative_to(target)
        if name not in wanted and "__pycache__" not in name.parts:
            path.unlink()
    _remove_empty_folders(target)


def _remove_empty_folders(target: Path) -> None:
    for folder in sorted((path for path in target.rglob("*") if path.is_dir()), reverse=True):
        if not folder.exists():
            continue
        if all(path.name == "__pycache__" for path in folder.iterdir()):
            shutil.rmtree(folder)
