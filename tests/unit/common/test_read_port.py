"""What is told of reads by the short way: each is counted, and only a recorded trace has a span."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from opentelemetry import propagate
from opentelemetry.metrics import CallbackOptions, NoOpMeter, Observation

from eros_common import telemetry
from eros_common.ids import UserId, new_user_id
from eros_common.logging import request_id
from eros_common.shortcut import ReadPort
from eros_common.testing import TestTokens

METHOD = "eros.accounts.v1.AccountsService/GetProfile"
TRACE = f"00-{'a' * 32}-{'b' * 16}"
Count = Callable[[CallbackOptions], Iterable[Observation]]


@dataclass(slots=True)
class Told:
    """What asks for the counts, and the spans that were noted."""

    counts: list[Count] = field(default_factory=list)
    spans: list[tuple[str, str, str]] = field(default_factory=list)

    def counted(self) -> dict[str, float]:
        (count,) = self.counts
        observed = list(count(CallbackOptions()))
        assert {one.attributes["method"] for one in observed if one.attributes} == {METHOD}
        return {str((one.attributes or {})["outcome"]): one.value for one in observed}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    told = Told()

    def counter(_: Any, name: str, callbacks: list[Count], **__: Any) -> None:
        assert name == "eros.shortcut.reads"
        told.counts += callbacks

    def note(name: str, parent: str, begin: float, end: float, **attributes: str) -> str:
        assert end >= begin
        told.spans.append((name, parent, attributes["http.status_code"]))
        return ""

    monkeypatch.setattr(NoOpMeter, "create_observable_counter", counter)
    monkeypatch.setattr(telemetry, "meter", lambda: NoOpMeter("test"))
    monkeypatch.setattr(telemetry, "note", note)
    return told


async def test_each_read_is_counted_and_a_recorded_one_has_a_span(told: Told) -> None:
    tokens, user = TestTokens(), new_user_id()
    profile: list[bytes | None] = [b'{"success":true}']
    known_as: list[tuple[str, str]] = []

    async def read(_: UserId, __: str) -> bytes | None:
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        known_as.append((request_id.get(), carrier.get("traceparent", "")))
        return profile[0]

    port = ReadPort("127.0.0.1:0", {f"/{METHOD}": read}, tokens.auth())
    await port.start()
    await port.serving()
    reader, writer = await asyncio.open_connection("127.0.0.1", port.port)

    async def asked(**headers: str) -> tuple[int, str]:
        sent = {"authorization": f"Bearer {tokens.user_token(user)}", **headers}
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in sent.items())
        writer.write(f"GET /{METHOD} HTTP/1.1\r\n{lines}\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = [line for line in head.split("\r\n") if line.startswith("content-length: ")]
        await reader.readexactly(int(length[0].partition(": ")[2]) if length else 0)
        return int(head[9:12]), head.partition("etag: ")[2].partition("\r\n")[0]

    try:
        status, tag = await asked()
        assert status == 200
        assert (await asked(traceparent=f"{TRACE}-00", x_request_id="seven"))[0] == 200
        assert not told.spans
        assert (await asked(traceparent=f"{TRACE}-01", if_none_match=tag))[0] == 304
        profile[0] = None
        assert (await asked(traceparent=f"{TRACE}-01"))[0] == 404
        assert (await asked(authorization="Bearer nobody"))[0] == 404
    finally:
        writer.close()
        await port.stop(1)
    assert told.counted() == {"answered": 2, "unchanged": 1, "left": 2}
    name, parent = f"read {METHOD}", f"{TRACE}-01"
    assert told.spans == [(name, parent, "304"), (name, parent, "404")]
    # What a read asks of others belongs to the same request, and to no trace but its own.
    assert known_as == [("", ""), ("seven", ""), ("", parent), ("", parent)]
