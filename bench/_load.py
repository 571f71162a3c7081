"""A load generator: HTTP/1.1 over kept connections, raw sockets, in a process of its own.

An asyncio client costs several times what it measures; this one costs about 20 µs a request, and
none of it is counted. ``python -m bench._load`` reads one order as JSON and writes the outcome.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import select
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import cycle
from pathlib import Path
from random import Random

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_RETRY_AFTER = re.compile(rb"\r\nretry-after: *\d+(\r\n|$)", re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"
_LAST_CHUNK = b"\r\n0\r\n\r\n"
_ERROR = ("code", "message", "requestId")


@dataclass(frozen=True, slots=True)
class Order:
    """What to send. ``rate`` 0: each connection sends as soon as it was answered; else that many a
    second in all, at random instants (Poisson), whose lateness counts as latency. ``kept``: each
    request always goes by the same connection, as a phone keeps its own."""

    port: int
    requests: Sequence[str]
    seconds: float
    connections: int = 16
    rate: float = 0.0
    seed: int = 1
    kept: bool = False
    core: int | None = None
    """The one to run on, of whatever is free."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came back. Latencies are milliseconds, one for each answer; ``statuses`` counts them,
    ``served`` are the latencies of those with 200."""

    seconds: float
    latencies: list[float] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    served: list[float] = field(default_factory=list)
    misshapen: int = 0
    """Refusals that are not in the one error shape, or 503 or 429 and do not say when to come
    back."""

    @property
    def count(self) -> int:
        return len(self.latencies)

    def all_succeeded(self) -> Outcome:
        """Itself; AssertionError if an answer was no 200, or there was none."""
        if set(self.statuses) != {"200"}:
            raise AssertionError(f"answers by status: {self.statuses}")
        return self


async def send(order: Order) -> Outcome:
    """Carries an order out in another process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench._load"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )
    try:
        answer, _ = await process.communicate(json.dumps(asdict(order)).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise AssertionError(f"the load generator ended with {process.returncode}")
    return Outcome(**json.loads(answer))


def request(method: str, path: str, port: int, token: str, body: str | None = None) -> str:
    """One request as it is sent."""
    lines = [f"{method} {path} HTTP/1.1", f"host: 127.0.0.1:{port}"]
    if token:
        lines.append(f"authorization: Bearer {token}")
    if body is not None:
        lines += ["content-type: application/json", f"content-length: {len(body.encode())}"]
    return "\r\n".join([*lines, "", body or ""])


class _Connection:
    """One kept connection with at most one request under way."""

    __slots__ = ("answer", "began", "socket", "texts")

    def __init__(self, port: int, texts: Iterator[bytes]) -> None:
        self.texts = texts
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answer = b""
        self.began = 0.0

    def send(self, began: float) -> None:
        self.began = began
        self.socket.sendall(next(self.texts))

    def receive(self) -> bytes | None:
        """The answer, once it is whole."""
        part = self.socket.recv(262_144)
        if not part:
            raise ConnectionError(f"the server hung up; it had said {self.answer[:200]!r}")
        self.answer += part
        head = self.answer.find(_HEAD_END)
        if head < 0:
            return None
        length = _LENGTH.search(self.answer, 0, head)
        if length is not None:
            whole = len(self.answer) >= head + len(_HEAD_END) + int(length[1])
        elif _CHUNKED.search(self.answer, 0, head):
            whole = self.answer.endswith(_LAST_CHUNK)
        else:
            raise ConnectionError(f"an answer without a length: {self.answer[:200]!r}")
        if not whole:
            return None
        answer, self.answer = self.answer, b""
        return answer


def _is_refusal(status: str, answer: bytes) -> bool:
    head, _, body = answer.partition(_HEAD_END)
    if status in ("429", "503") and not _RETRY_AFTER.search(head):
        return False
    try:
        said = json.loads(body)
        error = said["error"]
        return said["success"] is False and all(error[name] for name in _ERROR)
    except (ValueError, TypeError, KeyError):
        return False


def _carry_out(order: Order) -> Outcome:
    random = Random(order.seed)
    texts = [text.encode() for text in order.requests]
    random.shuffle(texts)
    together = cycle(texts)
    poller = select.epoll()
    by_file: dict[int, _Connection] = {}
    for number in range(order.connections):
        own = cycle(texts[number :: order.connections]) if order.kept else together
        connection = _Connection(order.port, own)
        by_file[connection.socket.fileno()] = connection
        poller.register(connection.socket.fileno(), select.EPOLLIN)
    free = deque(by_file.values())
    latencies: list[float] = []
    served: list[float] = []
    statuses: Counter[str] = Counter()
    misshapen = 0
    started = time.perf_counter()
    end = started + order.seconds
    due = started
    waiting: deque[float] = deque()
    busy = 0
    while True:
        now = time.perf_counter()
        if order.rate:
            while due <= now and due < end:
                waiting.append(due)
                due += random.expovariate(order.rate)
            open_still = due < end or bool(waiting)
        else:
            open_still = now < end
        while free and (waiting if order.rate else open_still):
            free[0].send(waiting.popleft() if order.rate else now)
            free.popleft()
            busy += 1
        if not busy and not open_still:
            break
        patience = max(0.0, due - now) if order.rate and due < end else 1.0
        # epoll sleeps in whole milliseconds, select in microseconds; who asks without a pause takes
        # a core from what is measured.
        select.select([poller], [], [], patience)
        for file, _ in poller.poll(0):
            connection = by_file[file]
            answer = connection.receive()
            if answer is not None:
                latency = (time.perf_counter() - connection.began) * 1000
                latencies.append(latency)
                status = answer[9:12].decode()
                if status == "200":
                    served.append(latency)
                elif status >= "400" and not _is_refusal(status, answer):
                    misshapen += 1
                statuses[status] += 1
                free.append(connection)
                busy -= 1
    for connection in by_file.values():
        connection.socket.close()
    return Outcome(time.perf_counter() - started, latencies, dict(statuses), served, misshapen)


def cpu_seconds(pids: Sequence[int]) -> list[float]:
    """Processor time each process has used, all of its threads, to the nanosecond."""
    return [_cpu(Path(f"/proc/{pid}/task")) for pid in pids]


def _cpu(tasks: Path) -> float:
    total = 0
    for task in os.listdir(tasks):
        try:
            total += int((tasks / task / "schedstat").read_text().split()[0])
        except FileNotFoundError:
            continue  # the thread ended meanwhile
    return total / 1e9


def main() -> None:
    order = Order(**json.load(sys.stdin))
    if order.core is not None:
        os.sched_setaffinity(0, {order.core})
    outcome = _carry_out(order)
    json.dump(asdict(outcome), sys.stdout)


if __name__ == "__main__":
    main()
