"""`eros jobs`: what the scheduler has, is doing and has done; and an operator's hand on it."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import typer
from rich.console import Console

if TYPE_CHECKING:
    from eros.scheduler.v1 import scheduler_pb2_grpc

_WIDE: Final = 200
_STATES: Final = ("queued", "leased", "dead")
_KINDS: Final = ("analyze", "score", "match", "prepare", "learn")


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        invoke_without_command=True, help="Show, explain, retry and cancel the night's jobs."
    )
    app.add_typer(group, name="jobs")

    @group.callback()
    def overview(
        context: typer.Context,
        user: str = typer.Option("", help="Only this person's rows (a user id)."),
        state: str = typer.Option("", help="Only rows in this state: queued, leased or dead."),
        limit: int = typer.Option(20, min=1, max=1000, help="How many rows at most."),
    ) -> None:
        """Show the night's work: workers, kinds of jobs, and job rows."""
        if context.invoked_subcommand is None:
            asyncio.run(_overview(_user(user), _number(state, _STATES, "--state"), limit))

    @group.command("list")
    def list_rows(
        user: str = typer.Option("", help="Only this person's rows (a user id)."),
        state: str = typer.Option("", help="Only rows in this state: queued, leased or dead."),
        limit: int = typer.Option(20, min=1, max=1000, help="How many rows at most."),
    ) -> None:
        """List job rows."""
        asyncio.run(_rows(_user(user), _number(state, _STATES, "--state"), limit))

    @group.command()
    def explain(
        user: str = typer.Argument(help="A person's user id."),
        days: int = typer.Option(2, min=1, max=366, help="How far back to look."),
        limit: int = typer.Option(50, min=1, max=1000, help="How many events at most."),
    ) -> None:
        """Say why each of a person's jobs runs or does not, and what happened to them."""
        asyncio.run(_explain(_user(user), days, limit))

    @group.command()
    def retry(
        user: str = typer.Argument("", help="A person's user id; without it, everybody's."),
        kind: str = typer.Option("", help=f"Only this kind: {', '.join(_KINDS)}."),
    ) -> None:
        """Put dead jobs, and those that back off, into the queue as if they had never failed."""
        asyncio.run(_retry(_user(user), _number(kind, _KINDS, "--kind")))

    @group.command()
    def cancel(
        user: str = typer.Argument(help="A person's user id."),
        kind: str = typer.Option("", help=f"Only this kind: {', '.join(_KINDS)}."),
        reason: str = typer.Option("by an operator", help="Kept with the job."),
    ) -> None:
        """Stop a person's jobs and take no more of them, until retried or the profile changes."""
        if not reason:
            raise typer.BadParameter("must say something", param_hint="--reason")
        asyncio.run(_cancel(_user(user), _number(kind, _KINDS, "--kind"), reason[:200]))


def _number(name: str, names: tuple[str, ...], option: str) -> int:
    """As the protocol counts them; 0: any."""
    if name and name not in names:
        raise typer.BadParameter(f"must be one of {', '.join(names)}", param_hint=option)
    return 1 + names.index(name) if name else 0


def _user(text: str) -> bytes:
    try:
        return uuid.UUID(text).bytes if text else b""
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no user id") from None


def _console() -> Console:
    # Into a pipe or file, lines are not cut to a terminal's width.
    return Console() if sys.stdout.isatty() else Console(width=_WIDE)


@asynccontextmanager
async def _scheduler() -> AsyncIterator[scheduler_pb2_grpc.SchedulerServiceStub]:
    from eros.scheduler.v1 import scheduler_pb2_grpc
    from eros_cli.mesh.options import Part
    from eros_cli.operator import operator_channel, running_environment

    async with operator_channel(running_environment(), Part.SCHEDULER) as channel:
        yield scheduler_pb2_grpc.SchedulerServiceStub(channel)


async def _overview(user: bytes, state: int, limit: int) -> None:
    from eros_cli.commands import jobs_tables
    from eros_cli.operator import running_environment, whole_night

    jobs_tables.overview(_console(), await whole_night(running_environment()))
    await _rows(user, state, limit)


async def _rows(user: bytes, state: int, limit: int) -> None:
    from eros.scheduler.v1 import scheduler_pb2
    from eros_cli.commands import jobs_tables

    request = scheduler_pb2.ListJobsRequest(
        user_id=user, state=scheduler_pb2.JobState.ValueType(state), limit=limit
    )
    async with _scheduler() as scheduler:
        jobs_tables.rows(_console(), (await scheduler.ListJobs(request)).jobs)


async def _explain(user: bytes, days: int, limit: int) -> None:
    from eros.scheduler.v1 import scheduler_pb2
    from eros_cli.commands import jobs_tables

    request = scheduler_pb2.ExplainJobsRequest(user_id=user, days=days, limit=limit)
    async with _scheduler() as scheduler:
        found = await scheduler.ExplainJobs(request)
    if not found.jobs:
        _console().print("This person has no jobs: not registered, or deleted.")
        raise typer.Exit(1)
    jobs_tables.explained(_console(), found)


async def _retry(user: bytes, kind: int) -> None:
    from eros.scheduler.v1 import scheduler_pb2, work_pb2

    request = scheduler_pb2.RetryJobsRequest(user_id=user, kind=work_pb2.JobKind.ValueType(kind))
    async with _scheduler() as scheduler:
        retried = (await scheduler.RetryJobs(request)).retried
    _console().print(f"{retried} jobs are back in the queue.")


async def _cancel(user: bytes, kind: int, reason: str) -> None:
    from eros.scheduler.v1 import scheduler_pb2, work_pb2

    request = scheduler_pb2.CancelJobsRequest(
        user_id=user, kind=work_pb2.JobKind.ValueType(kind), reason=reason
    )
    async with _scheduler() as scheduler:
        cancelled = (await scheduler.CancelJobs(request)).cancelled
    _console().print(f"{cancelled} jobs are cancelled; eros jobs retry brings them back.")
