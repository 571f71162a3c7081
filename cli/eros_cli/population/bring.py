"""The import as the CLI does it: into a mesh that runs, or one that is started for it."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from eros_cli.mesh.data_dir import DataDir
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import STORES, MeshOptions, Part
from eros_cli.mesh.state import running_state
from eros_cli.night_clock import kept_clock
from eros_cli.operator import Operator, open_operator, running_environment
from eros_cli.population import okcupid
from eros_cli.population.load import load_people, touch
from eros_cli.report import ConsoleReport
from eros_common.clocks import NightLine
from eros_common.ids import UserId

_ROWS = 59_946
_LONGEST_ABSENCE = timedelta(days=20)


async def bring_okcupid(console: Console, file: Path) -> None:
    """Loads everybody in `file`. Raises UnreadableFileError, MeshError, grpc.aio.AioRpcError."""
    started = time.monotonic()
    async with _environment(console) as environment, open_operator(environment) as operator:
        with Progress(
            TextColumn("people"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
        ) as progress:
            task = progress.add_task("people", total=_ROWS)
            loaded = await load_people(
                operator.accounts,
                okcupid.SOURCE,
                okcupid.people(file),
                lambda n: progress.advance(task, n),
            )
        await _seed_last_seen(operator, loaded.zones, _night_day(environment))
    console.print(
        f"{len(loaded.zones):,} people, {loaded.created:,} of them new, in "
        f"{time.monotonic() - started:.0f} s."
    )
    console.print(
        f"Not in the file, so drawn by a seeded generator: {', '.join(okcupid.DRAWN)}.",
        soft_wrap=True,
    )


async def _seed_last_seen(operator: Operator, people: Iterable[UserId], day: datetime) -> None:
    """Most were there in the evening before `day`; the others stayed away for up to 20 days."""
    random = Random(okcupid.SOURCE)

    def absence() -> timedelta:
        return min(timedelta(hours=abs(random.gauss(2.0, 30.0))), _LONGEST_ABSENCE)

    await touch(operator.activity, {user: day - absence() for user in people})


def _night_day(environment: Mapping[str, str]) -> datetime:
    """The beginning of the night clock's day (UTC), so that a repetition changes nothing."""
    now = datetime.now(UTC)
    if epoch := environment.get("EROS_NIGHT_EPOCH"):
        t0 = datetime.fromisoformat(environment["EROS_NIGHT_T0"])
        rate = float(environment.get("EROS_NIGHT_RATE", "1"))
        now = NightLine(datetime.fromisoformat(epoch), t0, rate).at(now)
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


@asynccontextmanager
async def _environment(console: Console) -> AsyncIterator[Mapping[str, str]]:
    """The variables of a mesh that runs; where none does, of accounts and activity alone."""
    data = DataDir.default(os.environ)
    if "EROS_SERVICE_KEY_FILE" in os.environ or running_state(data) is not None:
        yield running_environment()
        return
    options = MeshOptions(
        parts=STORES | {Part.ACCOUNTS, Part.ACTIVITY},
        data_dir=data.root,
        fixed_ports=True,
        night=kept_clock(data, datetime.now(UTC)),
    )
    async with Mesh(options, ConsoleReport(console)) as mesh:
        yield mesh.environment()
