"""Apertium, kept alive: one pipeline of processes a pair, each stage flushed by a zero byte.

A new process for each sentence takes 300 ms, a living pipeline 2. Apertium is GPL and stays a
program of its own. A pipeline that dies or hangs is started again by the next request.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from eros_assistant.ports import Translated
from eros_assistant.translation.protecting import names_in, pieces
from eros_common import logging, telemetry
from eros_common.ids import UserId

log = logging.get("assistant.apertium")

_END: Final = b"[]"
"""An empty superblank: a word right before the zero byte would be waited for by some stages."""
_SENTENCE_SECONDS: Final = 3.0
_LONGEST_ANSWER: Final = 1 << 20
_MOST_FAILURES: Final = 2
"""A text is tried once more, on fresh processes; one that fails them too is not for Apertium."""
_ISO: Final = {
    "eng": "en", "spa": "es", "por": "pt", "cat": "ca", "fra": "fr", "ita": "it", "glg": "gl",
    "oci": "oc", "ron": "ro", "epo": "eo", "deu": "de", "nld": "nl", "eus": "eu",
}  # fmt: skip
_GOOD: Final = frozenset((("es", "en"), ("es", "ca"), ("ca", "es"), ("es", "pt"), ("pt", "es")))
"""Pairs whose translations read well; the others are understood."""
# What begins each stage's own escapes in Apertium's stream format; a zero byte ends a text there.
_ESCAPED: Final = str.maketrans({"\0": "", **{c: f"\\{c}" for c in "[]{}^$/\\@<>"}})
# Stages that know the flag under another name, or flush by themselves.
_FLUSHED: Final = "-z"
_PIPE: Final[int] = asyncio.subprocess.PIPE


@dataclass(frozen=True, slots=True)
class Installation:
    """Where Apertium is: `root` is / or a folder that packages were unpacked into."""

    root: Path
    modes: Mapping[tuple[str, str], Path]

    @classmethod
    def find(cls, folder: Path | None) -> Installation | None:
        """In `folder` if it is there, else in the system."""
        for root in (*(() if folder is None else (folder,)), Path("/")):
            modes = _modes(root / "usr/share/apertium/modes")
            if modes and shutil.which("lt-proc", path=str(root / "usr/bin")):
                return cls(root, modes)
        return None

    def stages(self, pair: tuple[str, str]) -> list[list[str]]:
        """The commands of a pair, each with its flag to flush at a zero byte."""
        return [_stage(part, self.root) for part in self.modes[pair].read_text().split("|")]

    def environment(self) -> dict[str, str]:
        libraries = ":".join(
            str(folder)
            for folder in (
                self.root / "usr/lib",
                *sorted((self.root / "usr/lib").glob("*-linux-gnu")),
            )
        )
        path = f"{self.root / 'usr/bin'}:{os.environ.get('PATH', '')}"
        found = {"PATH": path, "LC_ALL": "C.UTF-8", "LANG": "C.UTF-8"}
        if self.root != Path("/"):
            found["LD_LIBRARY_PATH"] = libraries
        return found


class _Spoiled(Exception):
    """Whoever was before in the queue has left a pipeline that nobody else can use."""


@dataclass(slots=True)
class _Pipeline:
    """Running stages of one pair; one text at a time."""

    processes: list[asyncio.subprocess.Process]
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    owes: bool = False
    """An answer that its asker, cancelled or out of time, has not read: never for the next one."""

    @property
    def alive(self) -> bool:
        return all(process.returncode is None for process in self.processes)

    async def exchange(self, text: str) -> str:
        """Raises OSError, EOFError or TimeoutError; _Spoiled where it was not even asked."""
        stdin, stdout = self.processes[0].stdin, self.processes[-1].stdout
        assert stdin is not None
        assert stdout is not None
        async with self.lock, asyncio.timeout(_SENTENCE_SECONDS):
            if self.owes or not self.alive:
                raise _Spoiled
            self.owes = True
            stdin.write(text.encode() + _END + b"\0")
            await stdin.drain()
            answer = await stdout.readuntil(b"\0")
            self.owes = False
        return answer.removesuffix(_END + b"\0").removesuffix(b"\0").decode("utf-8", "replace")

    async def end(self) -> None:
        for process in self.processes:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
        await asyncio.gather(*(process.wait() for process in self.processes))


class Apertium:
    """See `eros_assistant.ports.TranslationEngine`."""

    name = "apertium"

    def __init__(self, installation: Installation | None) -> None:
        self._installation = installation
        self._running: dict[tuple[str, str], _Pipeline] = {}
        self._starting = asyncio.Lock()
        self._starts = telemetry.meter().create_counter(
            "eros.assistant.apertium.starts", unit="{start}", description="Pipelines started."
        )

    def pairs(self) -> frozenset[tuple[str, str]]:
        return frozenset() if self._installation is None else frozenset(self._installation.modes)

    def processes(self) -> list[int]:
        """Of the pipelines that run, for tests and diagnosis."""
        return [p.pid for pipeline in self._running.values() for p in pipeline.processes]

    async def translate(
        self, text: str, source: str, target: str, *, user: UserId
    ) -> Translated | None:
        pair = (source, target)
        if pair not in self.pairs():
            return None
        parts = []
        for piece in pieces(text):
            translated = piece.text if piece.fixed else await self._sentence(pair, piece.text)
            if translated is None:
                return None
            parts.append(translated)
        quality = "good" if pair in _GOOD else "modest"
        return Translated("".join(parts), self.name, quality)

    async def warm(self) -> None:
        """Starts the pipelines between the two languages of the product."""
        for pair in (("en", "es"), ("es", "en")):
            if pair in self.pairs():
                await self._sentence(pair, "hello" if pair[0] == "en" else "hola")

    async def close(self) -> None:
        # Whoever still waits for an answer may start one more meanwhile.
        while self._running:
            _, pipeline = self._running.popitem()
            await pipeline.end()

    async def _sentence(self, pair: tuple[str, str], text: str) -> str | None:
        names = names_in(text)
        escaped = text.translate(_ESCAPED)
        for position, name in enumerate(names):
            escaped = escaped.replace(name, f"Xq{_LETTERS[position % 26]}zw", 1)
        failures = 0
        while failures < _MOST_FAILURES:
            pipeline = await self._pipeline(pair)
            if pipeline is None:
                return None
            try:
                answer = await pipeline.exchange(escaped)
            except _Spoiled:
                # Others hung up or saw it die: however many of them, this text was not tried.
                await self._drop(pair, pipeline)
                continue
            except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError) as error:
                log.warning("restarting", pair="-".join(pair), error=type(error).__name__)
                await self._drop(pair, pipeline)
                failures += 1
                continue
            return _clean(answer, names).strip()
        return None

    async def _pipeline(self, pair: tuple[str, str]) -> _Pipeline | None:
        async with self._starting:
            found = self._running.get(pair)
            if found is not None and found.alive:
                return found
            if found is not None:
                del self._running[pair]
                await found.end()
            try:
                started = await self._start(pair)
            except OSError as error:
                log.warning("cannot_start", pair="-".join(pair), error=type(error).__name__)
                return None
            self._running[pair] = started
            self._starts.add(1, {"pair": "-".join(pair)})
            return started

    async def _drop(self, pair: tuple[str, str], pipeline: _Pipeline) -> None:
        async with self._starting:
            if self._running.get(pair) is pipeline:
                del self._running[pair]
        await pipeline.end()

    async def _start(self, pair: tuple[str, str]) -> _Pipeline:
        assert self._installation is not None
        environment = self._installation.environment()
        processes: list[asyncio.subprocess.Process] = []
        incoming = _PIPE
        stages = self._installation.stages(pair)
        try:
            for number, command in enumerate(stages):
                last = number == len(stages) - 1
                reading = incoming
                incoming, writing = (_PIPE, _PIPE) if last else os.pipe()
                try:
                    process = await asyncio.create_subprocess_exec(
                        *command,
                        stdin=reading,
                        stdout=writing,
                        stderr=asyncio.subprocess.DEVNULL,
                        env=environment,
                        limit=_LONGEST_ANSWER,
                    )
                finally:
                    _close(reading, writing)
                processes.append(process)
        except BaseException:
            # Whoever asked may hang up meanwhile: nobody else knows what was started until then.
            _close(incoming)
            await _Pipeline(processes).end()
            raise
        return _Pipeline(processes)


_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        if descriptor != _PIPE:
            os.close(descriptor)


def _modes(folder: Path) -> dict[tuple[str, str], Path]:
    found = {}
    for path in sorted(folder.glob("*.mode")):
        source, _, target = path.stem.partition("-")
        if (left := _ISO.get(source)) and (right := _ISO.get(target)):
            found[left, right] = path
    return found


def _stage(part: str, root: Path) -> list[str]:
    # $1 is how the generator treats what it does not know (-n: without marks); $2 is for debugging.
    words = ["-n" if word == "$1" else word for word in shlex.split(part) if word != "$2"]
    program, rest = words[0], words[1:]
    moved = [str(root / word[1:]) if word.startswith("/usr/") else word for word in rest]
    found = str(root / "usr/bin" / Path(program).name)
    if _FLUSHED not in moved:
        moved.insert(0, _FLUSHED)
    return [found, *moved]


def _clean(answer: str, names: list[str]) -> str:
    for position, name in enumerate(names):
        mark = f"Xq{_LETTERS[position % 26]}zw"
        answer = answer.replace(f"*{mark}", mark).replace(mark, name, 1)
    unmarked = answer.replace("*", "").replace("~", "")
    return "".join(
        character
        for position, character in enumerate(unmarked)
        if character != "\\" or unmarked[position - 1 : position] == "\\"
    )
