"""The Kubernetes overlays, built and validated without a cluster (`./eros check` runs this)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from eros_cli.paths import CHECKOUT

FOLDER = CHECKOUT / "k8s"
OVERLAYS = ("local", "staging", "production")
#: The oldest version on which everything used is stable or on by default (preStop sleep).
KUBERNETES = "1.32"
Manifest = dict[str, Any]


class BuildFault(Exception):
    """An overlay does not build."""


def builder() -> tuple[str, ...] | None:
    """The program that builds an overlay; None where there is none."""
    if kustomize := shutil.which("kustomize"):
        return (kustomize, "build")
    if kubectl := shutil.which("kubectl"):
        return (kubectl, "kustomize")
    return None


@cache
def build(folder: str) -> str:
    """A folder below k8s/ as one YAML text. Raises BuildFault."""
    command = builder()
    if command is None:
        raise BuildFault("neither kustomize nor kubectl is on PATH")
    done = subprocess.run(
        [*command, os.fspath(FOLDER / folder)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BuildFault(f"{folder}: {done.stderr.strip()}")
    return done.stdout


def documents(folder: str) -> list[Manifest]:
    """Its objects. Raises BuildFault."""
    return [document for document in yaml.safe_load_all(build(folder)) if document]


def validate(folder: str) -> list[str]:
    """What is refused of a folder below k8s/. Raises BuildFault."""
    return refused(build(folder), folder)


def refused(text: str, name: str) -> list[str]:
    """What the schemas of that version of Kubernetes refuse, unknown fields included; kinds of
    operators have no schema here."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        tool = Path(sys.prefix) / "bin" / "kubernetes-validate"
        done = subprocess.run(
            [tool, "--strict", "--kubernetes-version", KUBERNETES, file.name],
            capture_output=True,
            text=True,
            check=False,
        )
    said = (done.stdout + done.stderr).replace(file.name, name).splitlines()
    wrong = [line for line in said if line.startswith("ERROR")]
    if done.returncode != 0 and not wrong:
        wrong = said
    return wrong


def main() -> int:
    if builder() is None:
        print("skipped: neither kustomize nor kubectl is on PATH, so no overlay can be built")
        return 0
    faults = []
    for overlay in OVERLAYS:
        folder = f"overlays/{overlay}"
        try:
            faults += validate(folder)
        except BuildFault as fault:
            faults.append(str(fault))
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
