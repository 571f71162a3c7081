"""Which packages each image needs: `python -m eros_cli.image_packages` writes docker/*.txt.

The closure of what pyproject.toml says of a service, as the packages installed here tell it.
"""

from __future__ import annotations

import sys
import tomllib
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from eros_cli.paths import CHECKOUT

FOLDER = CHECKOUT / "docker"
#: The stage that generates code from the contracts.
_CONTRACTS = ("grpcio-tools", "mypy-protobuf")
SERVICES = ("accounts", "activity", "assistant", "gateway", "matcher", "scheduler")


def needed() -> dict[str, list[str]]:
    """The packages of each image, in alphabetical order."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    roots = {name: [*project["dependencies"], *extras[name]] for name in SERVICES}
    roots |= {"migrations": extras["migrations"], "contracts": list(_CONTRACTS)}
    return {name: sorted(_closure(wanted)) for name, wanted in roots.items()}


def _closure(wanted: list[str]) -> set[str]:
    found: set[tuple[str, str]] = set()
    open_ends = [(Requirement(text), "") for text in wanted]
    while open_ends:
        requirement, of_extra = open_ends.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": of_extra}):
            continue
        name = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) not in found:
                found.add((name, extra))
                requires = metadata.requires(name) or ()
                open_ends += [(Requirement(text), extra) for text in requires]
    return {name for name, _ in found}


def main() -> int:
    for name, packages in needed().items():
        (FOLDER / f"{name}.txt").write_text("\n".join(packages) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
