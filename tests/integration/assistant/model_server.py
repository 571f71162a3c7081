"""An OpenAI-compatible server for tests, a program of its own so that it can be killed.

The model's name says how it behaves: good, slow, hanging, refusing, garbage; of any other the name
is what it says. Prints its port, then one line of JSON for each request that it got.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

WORDS = ("This ", "is ", "the ", "model ", "speaking. ", "Ask ", "away.")
SENTENCES = ("This is the model speaking. ", "Ask away.")
_BEHAVIOURS = frozenset(("good", "slow", "hanging", "refusing", "garbage"))


def _event(text: str, finish: str | None = None) -> bytes:
    chunk: dict[str, Any] = {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}],
    }
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next(
        int(line.split(":")[1])
        for line in head.lower().splitlines()
        if line.startswith("content-length")
    )
    request = json.loads(await reader.readexactly(length))
    print(json.dumps(request), flush=True)
    how = request["model"]
    if how == "refusing":
        body = b'{"error": {"message": "no"}}'
        writer.write(b"HTTP/1.1 429 No\r\ncontent-type: application/json\r\nconnection: close\r\n")
        writer.write(b"content-length: %d\r\n\r\n" % len(body) + body)
    elif how == "garbage":
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n<p>hi"
        )
    else:
        if how == "slow":
            await asyncio.sleep(60)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")
        writer.write(b"connection: close\r\n\r\n")
        for word in WORDS if how in _BEHAVIOURS else how.split(" "):
            word = word if how in _BEHAVIOURS else f"{word} "
            writer.write(_event(word))
            await writer.drain()
            if how == "hanging":
                await asyncio.sleep(60)
        writer.write(_event("", "stop"))
        writer.write(b"data: [DONE]\n\n")
    await writer.drain()
    writer.close()


async def main() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(0)
