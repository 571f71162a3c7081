"""Which packages each image needs: `python -m eros_cli.image_packages` writes docker/*.txt.

The closure of what pyproject.toml says of a service, as the packages installed here tell it, for
the Python of the images.
"""

from __future__ import annotations

import re
import sys
import tomllib
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from eros_cli.paths import CHECKOUT

FOLDER = CHECKOUT / "docker"
_DOCKERFILE = CHECKOUT / "Dockerfile"
#: The stage that generates code from the contracts.
_CONTRACTS = ("grpcio-tools", "mypy-protobuf")
SERVICES = ("accounts", "activity", "assistant", "gateway", "matcher", "scheduler")


def needed(python: str = "") -> dict[str, list[str]]:
    """The packages of each image, in alphabetical order; for this version of Python, or that of the
    images."""
    version = python or _python_of_images()
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    roots = {name: [*project["dependencies"], *extras[name]] for name in SERVICES}
    roots |= {"migrations": extras["migrations"], "contracts": list(_CONTRACTS)}
    return {name: sorted(_closure(wanted, version)) for name, wanted in roots.items()}


def _python_of_images() -> str:
    pinned = re.search(
        r"^ARG PYTHON=\S+python:(\d+\.\d+\.\d+)-", _DOCKERFILE.read_text(), re.MULTILINE
    )
    if pinned is None:
        raise LookupError(f"{_DOCKERFILE} does not say which Python")
    return pinned[1]


def _requirements_of(name: str) -> list[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []  # needed by another Python than this one


def _closure(wanted: list[str], version: str) -> set[str]:
    there = {"python_full_version": version, "python_version": version.rpartition(".")[0]}
    found: set[tuple[str, str]] = set()
    open_ends = [(Requirement(text), "") for text in wanted]
    while open_ends:
        requirement, of_extra = open_ends.pop()
        if requirement.marker and not requirement.marker.evaluate({**there, "extra": of_extra}):
            continue
        name = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) not in found:
                found.add((name, extra))
                open_ends += [(Requirement(text), extra) for text in _requirements_of(name)]
    return {name for name, _ in found}


def main() -> int:
    for name, packages in needed().items():
        (FOLDER / f"{name}.txt").write_text("\n".join(packages) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
