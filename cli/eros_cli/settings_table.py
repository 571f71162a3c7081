"""Writes docs/settings.md, every setting of every program; with `--check` only compares."""

from __future__ import annotations

import inspect
import re
import sys
from importlib import import_module, util
from pathlib import Path
from typing import Any

from pydantic_settings import BaseSettings

from eros_cli.mesh import data_dir, options
from eros_cli.paths import CHECKOUT
from eros_common.config import variable_of

FILE = CHECKOUT / "docs" / "settings.md"
_PROGRAMS = {
    "accounts": "eros_accounts.config:AccountsSettings",
    "activity": "eros_activity.config:ActivitySettings",
    "scheduler": "eros_scheduler.config:SchedulerSettings",
    "matcher": "eros_matcher.config:MatcherSettings",
    "worker": "eros_matcher.worker.config:WorkerSettings",
    "assistant": "eros_assistant.config:AssistantSettings",
    "gateway (Envoy)": "eros_gateway.config:GatewaySettings",
    "gateway (front)": "eros_gateway.front.config:FrontSettings",
}
_HEAD = """# Every setting

Read from the environment at start; a faulty one is refused, named, together with all the others.
Written by `python -m eros_cli.settings_table` from the programs' own declarations. `–`: must be
set. Durations are wall seconds unless they say night time. `./eros run`, `up` and `night` tell all
programs where the others listen: at ports from 14051 on, or any free ones where those are taken.

| variable | default | who reads it | |
|---|---|---|---|
"""


_COMMANDS = {
    "EROS_ADMIN_TOKEN": (
        "unset",
        "An admin's access token: `doctor` also asks how the night goes.",
    ),
    data_dir.VARIABLE: (
        "a folder a checkout; `/var/lib/eros` for root",
        "Where `run`, `up`, `night` and `import` keep keys, logs and the embedded servers' data.",
    ),
    options.WORKERS_VARIABLE: ("one a core", "How many night workers `run`, `up`, `night` start."),
}


def rows() -> list[str]:
    """A row a variable, in alphabetical order."""
    readers: dict[str, list[str]] = {}
    told: dict[str, tuple[str, str]] = {}
    for program, where in _PROGRAMS.items():
        module, _, name = where.partition(":")
        if util.find_spec(module.split(".")[0]) is None:
            continue
        cls: type[BaseSettings] = getattr(import_module(module), name)
        for field, info in cls.model_fields.items():
            variable = variable_of(cls, field)
            readers.setdefault(variable, []).append(program)
            told.setdefault(variable, (_default(info), _meaning(cls, field)))
    for variable, row in _COMMANDS.items():
        readers[variable], told[variable] = ["./eros"], row
    return [
        f"| `{variable}` | {told[variable][0]} | "
        f"{'all' if len(readers[variable]) >= len(_PROGRAMS) - 1 else ', '.join(readers[variable])}"
        f" | {told[variable][1]} |"
        for variable in sorted(readers)
    ]


def _default(info: Any) -> str:
    if info.is_required():
        return "–"
    if info.default_factory is not None:
        return "computed"
    value = info.default
    text = value.get_secret_value() if hasattr(value, "get_secret_value") else value
    text = text.strftime("%H:%M") if hasattr(text, "strftime") else text
    if isinstance(text, Path) and text.is_relative_to(CHECKOUT):
        text = text.relative_to(CHECKOUT)  # the same wherever the checkout is
    return "unset" if text is None or text == "" else f"`{text}`"


def _meaning(cls: type[BaseSettings], field: str) -> str:
    """The docstring that follows the field where it is declared."""
    for base in cls.__mro__:
        if field in vars(base).get("__annotations__", {}):
            declared = rf'^    {field}\b[^\n]*(?:\n        [^\n]*|\n    \))*\n    """(.+?)"""'
            found = re.search(declared, inspect.getsource(base), re.MULTILINE | re.DOTALL)
            if found is None:
                return ""
            return " ".join(found[1].replace("``", "`").split()).replace("|", "\\|")
    return ""


def main() -> int:
    text = _HEAD + "\n".join(rows()) + "\n"
    if "--check" not in sys.argv:
        FILE.write_text(text)
        return 0
    if FILE.read_text() != text:
        print("docs/settings.md is not what the code says: python -m eros_cli.settings_table")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
