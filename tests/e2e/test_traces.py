"""One trace for one read and for one halt, from Envoy to the worker, as a collector receives it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from eros.scheduler.v1 import scheduler_pb2
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
    await ana.get("/users/profile")
    service = "eros-accounts eros.accounts.v1.AccountsService/GetProfile"
    spans = await collector.trace_with("eros-gateway ingress", service)
    assert spans[service].parent == spans["eros-gateway ingress"].id
    assert spans[service].trace != "a" * 32


@pytest.mark.parametrize("path", ["/heartbeat", "/matches/daily"])
async def test_a_halt_is_one_trace(
    ana: Person, traced: Mesh, collector: Collector, path: str
) -> None:
    """A heartbeat tells activity itself; of a read it learns from the access log."""
    request = scheduler_pb2.ListJobsRequest(state=scheduler_pb2.JOB_STATE_LEASED)
    async with open_operator(traced.environment()) as operator, asyncio.timeout(20):
        while not (await operator.scheduler.ListJobs(request)).jobs:
            await asyncio.sleep(0.05)
    collector.spans.clear()
    succeeded(await ana.call("POST" if path == "/heartbeat" else "GET", path))

    names = ("scheduler.halt", "worker.durable", "worker.left")
    spans = await collector.trace_with(
        "eros-gateway ingress", *(f"eros-{name.split('.')[0]} {name}" for name in names)
    )
    halt = spans["eros-scheduler scheduler.halt"]
    for name in ("worker.durable", "worker.left"):
        span = spans[f"eros-worker {name}"]
        assert span.parent == halt.id
        assert span.end >= span.begin
    cause = {span.id: span.service for span in spans.values()}[halt.parent]
    assert cause == ("eros-activity" if path == "/heartbeat" else "eros-gateway")
