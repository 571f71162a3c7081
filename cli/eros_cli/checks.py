"""The static checks, each one command; all of them run, also after one has failed."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from eros_cli.paths import CHECKOUT

_CODE = ("libs", "services", "cli", "tests", "bench")
_CONTRACTS = ("buf.yaml", "protos", "third_party")
_BRANCHES = ("main", "origin/main")


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    command: tuple[str, ...]


def run_checks(console: Console) -> bool:
    """Run all; prints what each one found. Whether all passed."""
    with _contracts_on_main() as baseline:
        results = [_run(console, check) for check in _checks(baseline)]
    if baseline is None:
        console.print("[yellow]–[/yellow] buf breaking: no contracts on main to compare with")
    return all(results)


def _checks(baseline: Path | None) -> list[Check]:
    code = tuple(folder for folder in _CODE if any((CHECKOUT / folder).rglob("*.py")))
    checks = [
        Check("ruff check", (_tool("ruff"), "check", "--quiet", ".")),
        Check("ruff format", (_tool("ruff"), "format", "--check", "--quiet", ".")),
        Check("mypy --strict", (_tool("mypy"), "--no-error-summary", *code)),
        Check("import contracts", (_tool("lint-imports"), "--no-cache")),
        Check("metrics table", (sys.executable, "-m", "eros_cli.metric_table")),
        Check("settings table", (sys.executable, "-m", "eros_cli.settings_table", "--check")),
        Check("migrations", (sys.executable, "-m", "eros_cli.migration_rules")),
        Check("Kubernetes overlays", (sys.executable, "-m", "eros_cli.manifests")),
        Check("checkov", (sys.executable, "-m", "eros_cli.checkov")),
        Check("buf lint", (_tool("buf"), "lint")),
        Check("buf format", (_tool("buf"), "format", "protos", "--diff", "--exit-code")),
    ]
    if baseline is not None:
        breaking = (_tool("buf"), "breaking", "--against", str(baseline))
        checks.append(Check("buf breaking", breaking))
    return checks


def _run(console: Console, check: Check) -> bool:
    started = time.monotonic()
    with console.status(check.name):
        done = subprocess.run(
            check.command,
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    passed = done.returncode == 0
    sign = "[green]✓[/green]" if passed else "[red]✗[/red]"
    seconds = time.monotonic() - started
    if passed and done.stdout.startswith("skipped:"):
        console.print(f"[yellow]–[/yellow] {check.name}: {escape(done.stdout.strip())}")
        return True
    console.print(f"{sign} {check.name} ({seconds:.1f} s)", highlight=False)
    if not passed:
        console.print(escape(done.stdout.rstrip()), highlight=False, soft_wrap=True)
    return passed


@contextmanager
def _contracts_on_main() -> Iterator[Path | None]:
    """The contracts of the last commit on main, unpacked; None where there are none."""
    archive = next(filter(None, map(_archive, _BRANCHES)), None)
    if archive is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="eros-contracts-") as folder:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            # Python 3.11.2, Debian 12's, has no filters yet.
            tar.extraction_filter = getattr(tarfile, "data_filter", None)
            tar.extractall(folder)  # noqa: S202 - a commit of our own
        yield Path(folder)


def _archive(branch: str) -> bytes | None:
    try:
        done = subprocess.run(
            ["git", "archive", branch, *_CONTRACTS], cwd=CHECKOUT, capture_output=True, check=False
        )
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def _tool(name: str) -> str:
    """A program of the environment this CLI runs in."""
    return os.fspath(Path(sys.prefix) / "bin" / name)
