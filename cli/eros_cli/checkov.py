"""checkov over the built overlays, offline (`./eros check` runs this).

Its packages exclude some of ours, so they have a lock and an environment of their own, made when it
is first needed. What it finds and we do on purpose is in k8s/checkov.toml, with the reason; an
exception that excuses nothing is a fault too.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eros_bootstrap.checkout import Checkout, read_stamp
from eros_bootstrap.failure import PreparationError
from eros_bootstrap.pip_source import find_pip
from eros_cli import manifests

EXCEPTIONS = manifests.FOLDER / "checkov.toml"
LOCK = manifests.FOLDER / "checkov.lock"


@dataclass(frozen=True, slots=True)
class Finding:
    """`object` is kind, namespace and name, as checkov writes it."""

    check: str
    overlay: str
    object: str
    name: str


@dataclass(frozen=True, slots=True)
class Exemption:
    """Why a check may fail for these objects (patterns) in these overlays."""

    check: str
    overlays: frozenset[str]
    objects: tuple[str, ...]
    why: str

    def covers(self, finding: Finding) -> bool:
        return (
            finding.check == self.check
            and finding.overlay in self.overlays
            and any(fnmatch.fnmatchcase(finding.object, one) for one in self.objects)
        )


def faults_of(findings: Iterable[Finding], exemptions: Iterable[Exemption]) -> list[str]:
    """What is not exempted, and exemptions that nothing needs."""
    idle, lines = set(exemptions), []
    for finding in findings:
        covering = {one for one in exemptions if one.covers(finding)}
        idle -= covering
        if not covering:
            lines.append(f"{finding.check} {finding.overlay} {finding.object}: {finding.name}")
    lines += [f"{EXCEPTIONS.name}: {one.check} is excused and never found" for one in idle]
    return sorted(lines)


def exemptions(data: Mapping[str, Any]) -> list[Exemption]:
    """Of the file's content. Raises ValueError for one without a reason."""
    found = [
        Exemption(
            one["check"], frozenset(one["overlays"]), tuple(one["objects"]), one["why"].strip()
        )
        for one in data["exception"]
    ]
    if silent := [one.check for one in found if not one.why]:
        raise ValueError(f"without a reason: {', '.join(silent)}")
    return found


def findings(program: Path) -> list[Finding]:
    """What checkov finds in all overlays. Raises BuildFault."""
    with tempfile.TemporaryDirectory(prefix="eros-checkov-") as folder:
        for overlay in manifests.OVERLAYS:
            (Path(folder) / f"{overlay}.yaml").write_text(manifests.build(f"overlays/{overlay}"))
        done = subprocess.run(
            [
                *(program, "--framework", "kubernetes", "--directory", folder),
                *("--skip-download", "--compact", "--quiet", "--output", "json"),
            ],
            capture_output=True,
            text=True,
            check=False,
            # It would look for settings where it is started.
            cwd=folder,
            env={**os.environ, "LOG_LEVEL": "ERROR"},
        )
    try:
        report = json.loads(done.stdout)
        failed = report["results"]["failed_checks"]
        unread = report["summary"]["parsing_errors"]
    except (ValueError, TypeError, KeyError):
        raise manifests.BuildFault(f"checkov: {(done.stderr or done.stdout).strip()}") from None
    if unread:
        raise manifests.BuildFault(f"checkov could not read {unread} of the files")
    return [
        Finding(
            one["check_id"], Path(one["file_path"]).stem, one["resource"], str(one["check_name"])
        )
        for one in failed
    ]


class _Place(Checkout):
    """The checkout with another environment in it."""

    @property
    def venv(self) -> Path:
        return self.root / ".venv-checkov"


def prepare() -> Path:
    """The program, installed by its own lock if need be. Raises PreparationError."""
    place = _Place(Checkout.of_this_file().root)
    program, stamp = place.venv / "bin" / "checkov", place.venv / ".eros-prepared"
    key = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if read_stamp(stamp) == key:
        return program
    shutil.rmtree(place.venv, ignore_errors=True)
    pip = find_pip(place)
    done = subprocess.run(
        [
            *(*pip.arguments, "install", "--disable-pip-version-check", "--no-input", "--quiet"),
            *("--no-compile", "--require-hashes", "--requirement", LOCK),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:]
        raise PreparationError(f"pip could not install {LOCK.name}: {' '.join(last)}")
    stamp.write_text(key)
    return program


def main() -> int:
    if manifests.builder() is None:
        print("skipped: neither kustomize nor kubectl is on PATH, so no overlay can be built")
        return 0
    try:
        lines = faults_of(
            findings(prepare()), exemptions(tomllib.loads(EXCEPTIONS.read_text("utf-8")))
        )
    except (PreparationError, manifests.BuildFault, ValueError) as fault:
        lines = [str(fault)]
    print("\n".join(lines))
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
