"""The Dockerfile without Docker: each image's packages, files and start command.

The files that a target's COPY lines name are laid out in a folder, with links to the packages of
its list and to no others; there its command must come as far as refusing its settings.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from platform import python_version

import pytest
from packaging.utils import canonicalize_name

from eros_cli import image_packages
from eros_cli.paths import CHECKOUT

DOCKERFILE = (CHECKOUT / "Dockerfile").read_text().replace("\\\n", " ")
_STAGES: dict[str, str] = dict(
    re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL)
)
PARENTS: dict[str, str] = {
    stage: parent for parent, stage in re.findall(r"FROM (\S+) AS (\S+)", DOCKERFILE)
}
SERVICES = image_packages.SERVICES
#: Other ways in which an image is started, by the manifests.
_MODULES = {"matcher": ("eros_matcher.worker",), "gateway": ("eros_gateway.front",)}


def stage_of(name: str) -> str:
    """All lines of a target, those of the stages that it is made from first."""
    parent = PARENTS[name]
    return (stage_of(parent) if parent in PARENTS else "") + _STAGES[name]


def test_lists_are_what_pyproject_says() -> None:
    for name, packages in image_packages.needed().items():
        listed = (CHECKOUT / "docker" / f"{name}.txt").read_text().split()
        assert listed == packages, "python -m eros_cli.image_packages writes the lists anew"


def test_everything_on_the_lists_is_in_the_lock() -> None:
    lock = (CHECKOUT / "requirements.lock").read_text()
    locked = {canonicalize_name(n) for n in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)}
    for packages in image_packages.needed().values():
        assert set(packages) <= locked


@pytest.mark.parametrize("name", ["accounts", "activity", "gateway", "migrations", "scheduler"])
def test_no_image_carries_what_it_does_not_use(name: str) -> None:
    packages = set(image_packages.needed()[name])
    assert not packages & {"numpy", "numba", "matplotlib", "pytest", "grpcio-tools", "pip"}


def test_nobody_is_root() -> None:
    for name in (*SERVICES, "migrations"):
        users = re.findall(r"^USER (\S+)", stage_of(name), re.MULTILINE)
        assert users[-1] == "10001:10001"
    assert re.search(r"^ARG PYTHON=\S+:\d+\.\d+\.\d+-\S+$", DOCKERFILE, re.MULTILINE)


@cache
def _owners() -> dict[str, set[str]]:
    found = metadata.packages_distributions()
    return {top: {canonicalize_name(name) for name in names} for top, names in found.items()}


@pytest.mark.parametrize("name", SERVICES)
def test_it_imports_nothing_else(name: str) -> None:
    """Also not in a function, where only a request would find out."""
    packages = set(image_packages.needed(python_version())[name])
    for folder in (f"services/{name}/eros_{name}", "libs/common/eros_common"):
        for path in (CHECKOUT / folder).rglob("*.py"):
            if "testing" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                modules: list[str] = []
                if isinstance(node, ast.Import):
                    modules = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.module:
                    modules = [node.module]
                for module in modules:
                    owners = _owners().get(module.split(".")[0], set())
                    if owners and not path.name.startswith("postgres") and "eros" not in owners:
                        assert owners & packages, f"{path}: {module} is not in {name}'s image"


def _link_packages(names: list[str], site: Path) -> None:
    """A site-packages with these and nothing else."""
    for name in names:
        try:
            files = metadata.files(name) or ()
        except metadata.PackageNotFoundError:
            continue  # for another platform
        for file in files:
            if ".." in file.parts or file.suffix == ".pyc":
                continue
            # A folder of several packages is made anew, with the files of those that are wanted.
            alone = len(_owners().get(file.parts[0], ())) == 1 or file.parts[0].endswith("-info")
            part = Path(file.parts[0]) if alone else Path(file)
            link = site / part
            if not link.exists():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(Path(os.fspath(file.locate())).parents[len(file.parts) - 1] / part)


def _copy(name: str, app: Path) -> None:
    for line in re.findall(
        r"^COPY (?!--from=\S+-(?:packages|kernel) )(.+)$", stage_of(name), re.MULTILINE
    ):
        *sources, target = line.split()
        sources = [source for source in sources if not source.startswith("--from=")]
        destination = app / Path(target).relative_to("/app")
        for source in sources:
            found = CHECKOUT / ("gen" if source == "/gen" else source)
            assert found.exists(), f"Dockerfile copies {source}, which is not there"
            if source == "/gen":
                for child in found.iterdir():
                    (destination / child.name).symlink_to(child)
            elif found.is_dir():
                destination.parent.mkdir(parents=True, exist_ok=True)
                destination.symlink_to(found)
            else:
                destination.mkdir(parents=True, exist_ok=True)
                (destination / found.name).write_bytes(found.read_bytes())


@pytest.mark.parametrize("name", [*SERVICES, "migrations"])
def test_it_starts(name: str, tmp_path: Path) -> None:
    app, site = tmp_path / "app", tmp_path / "site"
    app.mkdir()
    _copy(name, app)
    _link_packages(image_packages.needed(python_version())[name], site)
    [command] = re.findall(r"^CMD (.+)$", stage_of(name), re.MULTILINE)
    python, flag, module = json.loads(command)
    assert (python, flag) == ("python", "-m")
    root = app / "cli" if "PYTHONPATH=/app/cli" in stage_of(name) else app
    for each in (module, *_MODULES.get(name, ())):
        done = subprocess.run(
            # -S: without the packages of this environment.
            [sys.executable, "-S", "-m", each],
            env={"PYTHONPATH": f"{root}:{site}", "EROS_LOG_LEVEL": "NONSENSE"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 2, done.stderr
        assert "EROS_LOG_LEVEL" in done.stderr or "DATABASE_URL" in done.stderr
