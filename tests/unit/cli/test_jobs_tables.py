"""What `eros jobs` prints."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from eros.scheduler.v1 import scheduler_pb2
from eros_cli.commands import jobs_tables
from eros_gateway.front.ports import NightSeen


def test_a_scheduler_that_does_not_answer_is_named() -> None:
    printed = StringIO()
    told = scheduler_pb2.GetOverviewResponse(
        workers=[scheduler_pb2.WorkerOverview(worker_id="worker-of-the-other")]
    )
    silent = {"10.0.0.2:50053": "UNAVAILABLE: connection refused [111]"}
    jobs_tables.overview(Console(file=printed, width=200), NightSeen(told, silent))
    text = printed.getvalue()
    expected = "Scheduler 10.0.0.2:50053 does not answer: UNAVAILABLE: connection refused [111]"
    assert expected in text.splitlines()
    assert "worker-of-the-other" in text


def test_what_others_wrote_is_no_markup() -> None:
    printed = StringIO()
    console = Console(file=printed, width=200)
    why = "by [/an operator], see [red]x"
    job = scheduler_pb2.Job(user_id=bytes(16), last_error=why)
    jobs_tables.rows(console, [job])
    found = scheduler_pb2.ExplainJobsResponse()
    found.jobs.add(job=job, why=why)
    found.history.add(why=why)
    jobs_tables.explained(console, found)
    told = scheduler_pb2.GetOverviewResponse(pause_reason=why)
    told.paused_until.GetCurrentTime()
    jobs_tables.overview(console, NightSeen(told))
    assert printed.getvalue().count(why) == 4
