"""`eros run` and `eros night`: a mesh, a night in fast motion, a morning."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from eros.activity.v1 import activity_pb2
from eros.scheduler.v1 import scheduler_pb2
from eros_cli.demo.cast import Cast, gather_cast
from eros_cli.demo.display import kind_name
from eros_cli.demo.morning import check_night, find_morning, print_morning
from eros_cli.demo.night import play
from eros_cli.demo.screen import Screen
from eros_cli.demo.serving import print_how_to_try
from eros_cli.demo.sleepers import Sleeper, Span, next_span, plan
from eros_cli.demo.wake import WokenPerson, wake_somebody
from eros_cli.embedded.secret import read_or_make_secret
from eros_cli.mesh.data_dir import DataDir
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import MeshOptions, NightClock
from eros_cli.night_clock import keep_clock, kept_clock
from eros_cli.operator import Operator, open_operator
from eros_cli.population.places import EUROPE
from eros_cli.report import ConsoleReport
from eros_common.clocks import NightLine, SystemClock
from eros_common.ids import user_ids_from_bytes
from eros_common.phases import Window

# People with a phone are night owls, so that work on them runs when the night is under way.
_OWLS_FROM, _OWLS_TO = 0.35, 0.55
_APP_HEARTBEAT_SECONDS = 60.0
_SHORTEST_PAUSE_SECONDS = 0.5
_FASTEST_NIGHT = 270.0
# What two workers on two cores do from features to cached matches and advice (118 were measured),
# with room for those who come late.
_PEOPLE_A_SECOND = 80.0


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """`rate`: night seconds a wall second, None for one that suits the number of people. `guests`:
    how many known people wake in the night."""

    people: int = 2000
    rate: float | None = None
    guests: int = 50
    seed: int = 1
    serve: bool = True


async def run_demo(console: Console, options: DemoOptions) -> bool:
    """Plays a night and, if asked, serves until cancelled. True if every part went well.

    Raises MeshError, RefusedError and grpc.aio.AioRpcError.
    """
    data = DataDir.default(os.environ)
    wall = datetime.now(UTC)
    evening = next_span(
        [city.time_zone for city in EUROPE], kept_clock(data, wall).epoch, Window()
    ).start
    mesh_options = MeshOptions(
        data_dir=data.root,
        fixed_ports=True,
        night=NightClock(evening, wall),
        # A store that was started again means a pause, and this one ends before the night begins.
        settings=_pace(options.rate or _FASTEST_NIGHT),
    )
    async with (
        Mesh(mesh_options, ConsoleReport(console)) as mesh,
        open_operator(mesh.environment()) as operator,
        httpx.AsyncClient(base_url=mesh.url, trust_env=False) as http,
    ):
        password = read_or_make_secret(data.demo_password)
        with _progress(console, "people", options.people) as progress:
            advance = progress.advance
            task = progress.task_ids[0]
            cast = await gather_cast(
                operator, http, password, options.people, lambda n: advance(task, n)
            )
        healthy = await _night_and_morning(console, mesh, operator, cast, options, evening)
        if options.serve:
            print_how_to_try(console, mesh.url, next(iter(cast.app.values())).token)
            await mesh.wait()
    return healthy


async def _night_and_morning(
    console: Console,
    mesh: Mesh,
    operator: Operator,
    cast: Cast,
    options: DemoOptions,
    evening: datetime,
) -> bool:
    span = next_span(cast.zones.values(), evening, Window())
    sleepers = await _sleepers(operator, cast, span, options)
    rate = options.rate or await _suitable_rate(operator, cast, span)
    console.print(f"the night passes {rate:.0f} times as fast as the clock (--rate)")
    fast = NightClock(span.start, datetime.now(UTC), rate)
    await mesh.reconfigure(night=fast, settings=_pace(rate))
    clock = SystemClock(NightLine(fast.epoch, fast.t0, fast.rate))

    with Screen(console, len(sleepers), span) as screen:
        waking = asyncio.create_task(_wake(operator, cast, screen))
        try:
            overview = await play(
                operator.activity, operator.scheduler, clock, span, sleepers, screen.show
            )
        finally:
            waking.cancel()
            (woken,) = await asyncio.gather(waking, return_exceptions=True)

    slow = keep_clock(mesh.data, fast, datetime.now(UTC))
    await mesh.reconfigure(night=slow, settings=_pace(1.0))
    console.print(f"\n[bold]Morning[/bold], {slow.epoch:%A %H:%M} UTC on the night clock")
    morning = await find_morning(cast.app.values())
    print_morning(console, overview, morning)
    met = woken if isinstance(woken, WokenPerson) else None
    faults = check_night(overview, met, len(cast.zones)) + morning.faults
    if isinstance(woken, Exception):
        faults.append(f"taking a phone in the night failed: {woken}")
    for fault in faults:
        console.print(f"[red]✗[/red] {fault}", soft_wrap=True)
    return not faults


async def _suitable_rate(operator: Operator, cast: Cast, span: Span) -> float:
    """The fastest night in which everybody who will sleep can be served."""
    overview = await operator.scheduler.GetOverview(scheduler_pb2.GetOverviewRequest())
    people = max(sum(overview.people_by_phase), len(cast.zones))
    needed = people / _PEOPLE_A_SECOND
    return min(_FASTEST_NIGHT, (span.end - span.start).total_seconds() / needed)


async def _sleepers(
    operator: Operator, cast: Cast, span: Span, options: DemoOptions
) -> list[Sleeper]:
    """The cast's nights; where the people are not the demo's, some of them wake in the night."""
    random = Random(options.seed)
    length = span.end - span.start
    owls = plan(cast.phones, span.evening, Window(), options.seed)
    sleepers = [
        Sleeper(owl.user_id, span.start + random.uniform(_OWLS_FROM, _OWLS_TO) * length, owl.rise)
        for owl in owls
    ]
    if cast.people:
        return [*plan(cast.people, span.evening, Window(), options.seed), *sleepers]
    request = activity_pb2.ListRecentlyActiveRequest(limit=5000)
    known = user_ids_from_bytes((await operator.activity.ListRecentlyActive(request)).user_ids)
    strangers = sorted(set(known) - set(cast.phones))
    for guest in random.sample(strangers, min(options.guests, len(strangers))):
        restless = span.start + random.uniform(0.2, 0.9) * length
        sleepers.append(Sleeper(guest, span.start, span.end + length, restless))
    return sleepers


async def _wake(operator: Operator, cast: Cast, screen: Screen) -> WokenPerson:
    woken = await wake_somebody(operator.scheduler, cast.app)
    screen.note(
        f"[bold yellow]a sleeper touched the phone[/bold yellow]: {kind_name(woken.kind)} for them "
        f"was durable after [bold]{woken.durable_ms:.1f} ms[/bold] and stopped after "
        f"[bold]{woken.stopped_ms:.1f} ms[/bold] (HTTP answer {woken.http_ms:.1f} ms)"
    )
    return woken


def _pace(rate: float) -> dict[str, str]:
    """A pause lasts one heartbeat of the app, which goes as fast as the night does."""
    pause = max(_APP_HEARTBEAT_SECONDS / rate, _SHORTEST_PAUSE_SECONDS)
    return {"EROS_HEARTBEAT_INTERVAL_SECONDS": f"{pause:.3f}"}


def _progress(console: Console, what: str, total: int) -> Progress:
    progress = Progress(
        TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )
    progress.add_task(what, total=total)
    return progress
