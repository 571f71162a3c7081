"""One trace for one read and for one halt, from Envoy to the worker, as a collector receives it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from eros.scheduler.v1 import scheduler_pb2
from eros_cli import metric_table
from eros_cli.mesh.mesh import Mesh
from eros_cli.operator import open_operator
from tests.support.collector import Collector, collecting
from tests.support.mesh import whole_mesh
from tests.support.people import WHOLE, Person, sign_up, succeeded

# People sleep at once, and work on them takes for ever: a touch surely stops some.
_SETTINGS = {
    "EROS_IDLE_PHASE1_SECONDS": "1",
    "EROS_IDLE_PHASE2_SECONDS": "2000",
    "EROS_IDLE_PHASE3_SECONDS": "3000",
    "EROS_TICK_SECONDS": "0.2",
    "EROS_CPU_CAP_PHASE1": "0.0001",
    "EROS_GATEWAY_TRACE_PERCENT": "100",
    "OTEL_BSP_SCHEDULE_DELAY": "100",
    "OTEL_METRIC_EXPORT_INTERVAL": "1000",
}


@pytest.fixture(scope="module")
async def collector() -> AsyncIterator[Collector]:
    async with collecting() as running:
        yield running


@pytest.fixture(scope="module")
async def traced(collector: Collector) -> AsyncIterator[Mesh]:
    settings = {**_SETTINGS, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
    async with whole_mesh(settings) as mesh:
        yield mesh


@pytest.fixture(scope="module")
async def ana(traced: Mesh) -> AsyncIterator[Person]:
    async with httpx.AsyncClient(base_url=f"{traced.url}/api/v1", trust_env=False) as http:
        person = await sign_up(http)
        await person.save(**WHOLE)
        yield person


async def test_nothing_that_a_person_wrote_is_in_traces_or_metrics(
    ana: Person, collector: Collector
) -> None:
    mark = "zqxmarker9"
    await ana.save(bio=f"I bake {mark}", interests=[mark])
    for path, body in (
        ("chat", {"message": f"What could I write to {mark}?"}),
        ("ask", {"question": f"Is {mark} a scam?"}),
        ("advice", {"topic": mark, "context": f"I want to kill {mark}"}),
        ("translate", {"text": mark, "targetLanguage": mark}),
    ):
        await ana.call("POST", f"/assistant/{path}", body)
    for method in ("Chat", "Ask", "Advise", "Translate"):
        service = f"eros-assistant eros.assistant.v1.AssistantService/{method}"
        await collector.trace_with("eros-gateway ingress", service)
    assert mark.encode() not in b"".join(collector.raw)


async def test_a_read_is_one_trace(ana: Person, collector: Collector) -> None:
    # What a client says of its own trace is not believed: this one would not be recorded.
    ana.headers["traceparent"] = f"00-{'a' * 32}-{'b' * 16}-00"
    await ana.get("/matches/mutual")
    service = "eros-matcher eros.matcher.v1.MatcherService/ListMutualMatches"
    spans = await collector.trace_with("eros-gateway ingress", service)
    assert spans[service].parent == spans["eros-gateway ingress"].id
    assert spans[service].trace != "a" * 32


async def test_a_read_by_the_short_way_is_one_trace_too(ana: Person, collector: Collector) -> None:
    await ana.get("/users/profile")
    # What was asked before, and found nothing, may still be on its way to the collector.
    since = time.time()
    await ana.get("/users/profile")
    service = "eros-accounts read eros.accounts.v1.AccountsService/GetProfile"
    spans = await collector.trace_with("eros-gateway ingress", service, since=since)
    by_id = {span.id: span for span in spans.values()}
    asked = by_id[spans[service].parent]
    assert asked.service == "eros-gateway"
    assert asked.parent == spans["eros-gateway ingress"].id
    assert "eros-accounts eros.accounts.v1.AccountsService/GetProfile" not in spans


@pytest.mark.parametrize(
    ("method", "path", "body", "cause"),
    [
        ("POST", "/heartbeat", {}, "eros-activity"),
        ("POST", "/heartbeat", {"appActive": True, "screenOn": True}, "eros-gateway"),
        ("GET", "/matches/daily", None, "eros-gateway"),
    ],
)
async def test_a_halt_is_one_trace(
    ana: Person,
    traced: Mesh,
    collector: Collector,
    method: str,
    path: str,
    body: dict[str, bool] | None,
    cause: str,
) -> None:
    """A heartbeat that is called tells activity itself; of one that Envoy answers, and of a read,
    it learns from the access log."""
    request = scheduler_pb2.ListJobsRequest(state=scheduler_pb2.JOB_STATE_LEASED)
    async with open_operator(traced.environment()) as operator, asyncio.timeout(20):
        while not (await operator.scheduler.ListJobs(request)).jobs:
            await asyncio.sleep(0.05)
    collector.spans.clear()
    succeeded(await ana.call(method, path, body))

    called = "eros-activity eros.activity.v1.ActivityService/Heartbeat"
    names = ("scheduler.halt", "worker.durable", "worker.left")
    spans = await collector.trace_with(
        "eros-gateway ingress",
        *(f"eros-{name.split('.')[0]} {name}" for name in names),
        *([called] if cause == "eros-activity" else []),
    )
    halt = spans["eros-scheduler scheduler.halt"]
    for name in ("worker.durable", "worker.left"):
        span = spans[f"eros-worker {name}"]
        assert span.parent == halt.id
        assert span.end >= span.begin
    assert {span.id: span.service for span in spans.values()}[halt.parent] == cause
    assert (called in spans) == (cause == "eros-activity")


@pytest.mark.usefixtures("ana")
async def test_metrics_come_by_otlp_under_the_names_of_the_table(collector: Collector) -> None:
    """After what the tests above did; each service sends every so often."""
    expected = {
        *("eros.activity.people", "eros.activity.wake.ingest"),
        *("eros.scheduler.workers", "eros.scheduler.people", "eros.scheduler.jobs.ready"),
        *("eros.scheduler.halts", "eros.scheduler.halt.leg", "eros.scheduler.batch.size"),
        *("eros.worker.cpu", "eros.worker.cpu.cap", "eros.cache.reads", "eros.shortcut.reads"),
        *("eros.gateway.part_up", "rpc.server.duration"),
    }
    async with asyncio.timeout(30):
        while not collector.metrics >= expected:
            await asyncio.sleep(0.1)
    ours = {name for name in collector.metrics if name.startswith(("eros.", "rpc."))}
    assert ours <= {metric.name for metric in metric_table.told()}
