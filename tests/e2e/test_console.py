"""The console, over HTTP and in a real browser."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import jwt
import pytest

from eros.accounts.v1 import accounts_pb2
from eros.scheduler.v1 import scheduler_pb2, work_pb2
from eros_cli.mesh.mesh import Mesh
from eros_cli.operator import open_operator
from tests.support.people import PASSWORD, WHOLE, Person, refused, sign_up, succeeded

CHROMIUM = shutil.which("chromium")
#: As the stream tells one (`eros.gateway.v1.HaltSeen`).
HALT = {
    "id": "1",
    "at": "2026-01-01T03:00:00Z",
    "person": "4711",
    "kind": "JOB_KIND_MATCH",
    "reason": "HALT_REASON_WOKE",
    "eventMs": 6.1,
    "dispatchedMs": 7.0,
    "receivedMs": 8.2,
    "durableMs": 21.4,
    "leftMs": 9.5,
    "killed": False,
}
#: Draws so many seconds, one after the other; the longest time between two samples, in ms.
WATCH = """seconds => {
  const real = Date.now;
  let now = real();
  history = [];
  Date.now = () => now;
  for (let second = 0; second < seconds; second++) { now += 1000; drawPeople([4, 3, 2, 1]); }
  Date.now = real;
  const until = [...history.slice(1).map((s) => s.at), now];
  const begin = now - seconds * 1000 + 1000;
  return Math.max(history[0].at - begin, ...history.map((s, i) => until[i] - s.at));
}"""


@pytest.fixture(scope="module")
async def admin(mesh: Mesh, gateway: httpx.AsyncClient) -> Person:
    person = await sign_up(gateway)
    async with open_operator(mesh.environment()) as operator:
        await operator.accounts.GrantAdmin(accounts_pb2.GrantAdminRequest(email=person.email))
    return person


@pytest.fixture
async def browser(mesh: Mesh) -> AsyncIterator[httpx.AsyncClient]:
    """Keeps cookies, as a browser does."""
    async with httpx.AsyncClient(base_url=f"{mesh.url}/console", trust_env=False) as client:
        yield client


async def enter(browser: httpx.AsyncClient, person: Person) -> httpx.Response:
    body = {"email": person.email, "password": PASSWORD}
    return await browser.post("/session", json=body)


async def first_event(browser: httpx.AsyncClient) -> dict[str, Any]:
    async with browser.stream("GET", "/events", timeout=20) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if line.startswith("data:"):
                event: dict[str, Any] = json.loads(line.removeprefix("data:"))
                return event
    pytest.fail("the stream ended")


async def test_the_page_loads_nothing_from_elsewhere(browser: httpx.AsyncClient) -> None:
    page = await browser.get(str(browser.base_url).rstrip("/"))
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    for name in ("uPlot.iife.js", "uPlot.min.css"):
        assert f"/console/assets/{name}" in page.text
        assert (await browser.get(f"/assets/{name}")).status_code == 200
    for name in ("console.css", "console.js", "charts.js", "icon.svg"):
        assert f"/console/assets/{name}" in page.text
        asset = await browser.get(f"/assets/{name}")
        assert asset.status_code == 200
        addresses = asset.text.replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in addresses
        assert "https://" not in addresses
    refused(await browser.get("/assets/secrets.txt"), 404, "NOT_FOUND")


async def test_a_slash_too_much_is_led_back(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/")
    assert (answer.status_code, answer.headers["location"]) == (308, str(browser.base_url)[:-1])


async def test_only_admins_get_in(
    browser: httpx.AsyncClient, gateway: httpx.AsyncClient, admin: Person
) -> None:
    somebody = await sign_up(gateway)
    refused(await browser.get("/events"), 401, "UNAUTHENTICATED")
    retry = {"userId": somebody.user_id, "kind": "JOB_KIND_MATCH"}
    # Who may not ask is not told what is wrong with the question.
    for question in (retry, {"userId": "nobody"}, {}):
        refused(await browser.post("/retry", json=question), 401, "UNAUTHENTICATED")
    refused(await enter(browser, somebody), 403, "PERMISSION_DENIED")
    wrong = await browser.post("/session", json={"email": admin.email, "password": "not the one"})
    refused(wrong, 401, "UNAUTHENTICATED")
    browser.cookies.set("eros-console", admin.token)
    refused(await browser.get("/events"), 401, "UNAUTHENTICATED")


async def _ended(mesh: Mesh, session_id: str) -> bool:
    """Whether accounts itself knows that the session ended."""
    connection = await asyncpg.connect(mesh.environment()["DATABASE_URL"])
    try:
        query = "SELECT revoked_at IS NOT NULL FROM accounts.sessions WHERE sid = $1"
        return bool(await connection.fetchval(query, session_id))
    finally:
        await connection.close()


async def test_a_session_from_sign_in_to_sign_out(
    mesh: Mesh, browser: httpx.AsyncClient, admin: Person
) -> None:
    entered = await enter(browser, admin)
    cookie = entered.headers["set-cookie"]
    for attribute in ("HttpOnly", "SameSite=Strict", "Path=/console"):
        assert attribute in cookie
    event = await first_event(browser)
    assert event["components"]["scheduler"] == "ok"
    assert len(event["people"]) == 4
    assert {kind["kind"] for kind in event["night"]["kinds"]} >= {"JOB_KIND_MATCH"}
    assert event["history"]

    retry = {"userId": admin.user_id, "kind": "JOB_KIND_MATCH"}
    assert succeeded(await browser.post("/retry", json=retry))["retried"] is False
    for field, bad in (("userId", "nobody"), ("kind", "JOB_KIND_UNSPECIFIED"), ("kind", 99)):
        answer = await browser.post("/retry", json={**retry, field: bad})
        refused(answer, 400, "INVALID_ARGUMENT", field)

    kept = browser.cookies["eros-console"]
    session_id = jwt.decode(kept, options={"verify_signature": False})["sid"]
    assert not await _ended(mesh, session_id)
    succeeded(await browser.delete("/session"))
    assert await _ended(mesh, session_id)
    browser.cookies.set("eros-console", kept)
    # The session is refused wherever it is used, within a second.
    for _ in range(100):
        if (await browser.post("/retry", json=retry)).status_code == 401:
            break
    refused(await browser.post("/retry", json=retry), 401, "UNAUTHENTICATED")


async def state_of(mesh: Mesh, person: Person) -> int:
    """Of their `match`."""
    async with open_operator(mesh.environment()) as operator:
        request = scheduler_pb2.ListJobsRequest(user_id=uuid.UUID(person.user_id).bytes)
        jobs = (await operator.scheduler.ListJobs(request)).jobs
    (job,) = [job for job in jobs if job.kind == work_pb2.JOB_KIND_MATCH]
    return job.state


async def give_up(mesh: Mesh, person: Person) -> None:
    """As after too many failures of their `match`."""
    connection = await asyncpg.connect(mesh.environment()["DATABASE_URL"])
    try:
        done = await connection.execute(
            "UPDATE scheduler.jobs SET state = 'x', attempts = 9, last_error = 'it would not' "
            "WHERE user_id = $1 AND kind = $2",
            person.user_id,
            work_pb2.JOB_KIND_MATCH,
        )
    finally:
        await connection.close()
    assert done == "UPDATE 1"


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not on PATH")
async def test_in_a_browser(
    mesh: Mesh, gateway: httpx.AsyncClient, admin: Person, tmp_path: Path
) -> None:
    """By keyboard, in both themes, on a phone; screenshots are kept in EROS_SCREENSHOTS."""
    from playwright.async_api import async_playwright

    shots = Path(os.environ.get("EROS_SCREENSHOTS", tmp_path))
    shots.mkdir(parents=True, exist_ok=True)
    faults: list[str] = []
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--no-proxy-server"]
        )
        page = await chromium.new_page(viewport={"width": 1280, "height": 900})
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: faults.extend(_elsewhere(request.url, mesh.url)))
        await page.goto(f"{mesh.url}/console")
        await page.wait_for_selector("#sign-in input[name=email]")
        await page.fill("input[name=email]", admin.email)
        await page.keyboard.press("Tab")
        await page.keyboard.type(PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#parts li")
        assert await page.locator("#river .count").count() == 4
        assert await page.locator("#people-chart canvas").count() == 1
        assert await page.locator("#people-chart .u-legend").inner_text()
        assert await page.locator("#workers li").count() == 2
        assert "match" in await page.locator("#queue").inner_text()
        await page.screenshot(path=shots / "console-light.png", full_page=True)

        # A job that was given up is there by itself, and retried by one button.
        unlucky = await sign_up(gateway, **WHOLE)
        await give_up(mesh, unlucky)
        retry = page.locator(f"#dead button[aria-label$='{unlucky.user_id}']")
        await retry.wait_for()
        assert "it would not" in await page.locator("#dead").inner_text()
        await page.screenshot(path=shots / "console-given-up.png", full_page=True)
        await retry.press("Enter")
        await retry.wait_for(state="detached")
        assert await state_of(mesh, unlucky) != scheduler_pb2.JOB_STATE_DEAD

        await page.focus("#theme")
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.documentElement.dataset.theme") == "dark"
        await page.screenshot(path=shots / "console-dark.png", full_page=True)

        # What is said of a halt, by key as by finger.
        await page.evaluate("halt => { source.close(); draw({ ...latest, halts: [halt] }); }", HALT)
        halt = page.locator("#halts summary")
        assert "match, woke" in await halt.inner_text()
        await halt.press("Enter")
        words = await page.locator("#halts .words").inner_text()
        assert "durable after 21.4 ms" in words
        assert "row left the computation after 9.5 ms" in words

        # Whoever watches for long sees all of it.
        longest = await page.evaluate(WATCH, 600)
        assert longest <= 60_000

        await page.set_viewport_size({"width": 390, "height": 844})
        # Nothing is wider than the phone.
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await page.screenshot(path=shots / "console-phone.png", full_page=True)

        # Who is not signed out is told so.
        await page.route("**/console/session", lambda route: route.abort())
        await page.click("#sign-out")
        await page.locator("#sign-out", has_text="failed").wait_for()
        assert await page.locator("#night").is_visible()
        await page.unroute("**/console/session")
        await page.click("#sign-out")
        await page.wait_for_selector("#sign-in input[name=email]")
        await page.route("**/console/session", lambda route: route.abort())
        await page.fill("input[name=email]", admin.email)
        await page.fill("input[name=password]", PASSWORD)
        await page.keyboard.press("Enter")
        await page.locator("#sign-in-fault", has_text="no answer").wait_for()
        await chromium.close()
    assert not faults


def _elsewhere(url: str, home: str) -> list[str]:
    return [] if url.startswith(home) else [f"asked {url}"]
