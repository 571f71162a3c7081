"""The compute child as a real process: leaving, dying, resuming, pacing."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eros_matcher.compute.process import SESSION_NICE
from eros_matcher.compute.program import BatchSpec
from eros_matcher.worker import events as ev
from eros_matcher.worker.child import process_cpu_seconds
from eros_matcher.worker.instructions import Checkpoint
from eros_matcher.worker.jobs import HaltReason, JobKind
from eros_matcher.worker.leaving import LEAVE_SECONDS
from tests.integration.worker import stubborn
from tests.integration.worker.bench import ChildBench, Results, child_bench
from tests.unit.worker.batches import lease, user
from tests.unit.worker.matrix_program import matrix_spec

ROWS = 40
SPEC = matrix_spec(
    rows=ROWS,
    columns=120_000,
    tile=64,
    factory="tests.unit.worker.matrix_program:open_small_steps",
)


@pytest.fixture
async def bench() -> AsyncIterator[ChildBench]:
    async with child_bench() as bench:
        yield bench


@pytest.fixture(scope="module")
def undisturbed() -> Results:
    async def run() -> Results:
        async with child_bench() as bench:
            bench.offer(SPEC)
            return await bench.results()

    return asyncio.run(run())


def checkpoint_of(bench: ChildBench, row: int) -> bytes:
    """What the worker commits for a woken person."""
    group = bench.computing.checkpoints_of(
        Checkpoint(JobKind.MATCH, HaltReason.WOKE, (lease(row),), frozenset({user(row)}))
    )
    stored = group.rows[0].data
    assert stored is not None
    return stored


async def test_a_woken_row_leaves_at_the_next_chunk_and_the_others_do_not_notice(
    bench: ChildBench, undisturbed: Results
) -> None:
    bench.offer(SPEC)
    await bench.chunks(10)
    bench.computing.mask([user(3)])
    stored = checkpoint_of(bench, 3)
    assert (await bench.until(ev.RowsLeft)).users == (user(3),)

    results = await bench.results()
    assert results.pop(user(3)) == (ev.Out.LEFT, b"")
    assert results == {who: undisturbed[who] for who in results}
    assert len(results) == ROWS - 1

    assert stored is not None
    bench.offer(SPEC, checkpoints={3: stored})
    await bench.chunks(3)
    assert bench.computing.child.region.slots[3].read().state is not None
    assert await bench.results() == undisturbed


async def test_a_child_that_sits_in_a_blas_call_is_killed_and_the_others_go_on_to_the_same_bits(
    bench: ChildBench, undisturbed: Results
) -> None:
    spec = replace(SPEC, factory=stubborn.FACTORY)
    bench.offer(spec)
    await bench.chunks(20)
    first = bench.pid
    await stubborn.until_stuck(bench.computing.child.region, first)
    began = time.monotonic()
    bench.computing.mask([user(stubborn.STUBBORN_ROW)])
    stored = checkpoint_of(bench, stubborn.STUBBORN_ROW)
    durable_could_be = time.monotonic() - began
    await bench.until(ev.Overstayed)
    bench.computing.child.kill()
    died = await bench.until(ev.ChildDied)
    took = time.monotonic() - began
    assert died.status == -signal.SIGKILL
    # The checkpoint never waited for the child, which would have come back after some seconds.
    assert durable_could_be < 1.0
    assert took >= LEAVE_SECONDS

    generations = [slot.read().generation for slot in bench.computing.child.region.slots]
    assert min(generations) > 0
    bench.computing.start()
    results = await bench.results()
    assert bench.pid != first
    assert results.pop(user(stubborn.STUBBORN_ROW))[0] is ev.Out.LEFT
    assert results == {who: undisturbed[who] for who in results}

    bench.offer(SPEC, checkpoints={stubborn.STUBBORN_ROW: stored})
    assert await bench.results() == undisturbed


@pytest.mark.parametrize("after", [0, 1, 5, 40])
async def test_killed_anywhere_the_batch_goes_on_to_the_same_bits(
    bench: ChildBench, undisturbed: Results, after: int
) -> None:
    bench.offer(SPEC)
    await bench.chunks(after)
    bench.computing.child.kill()
    assert await bench.results() == undisturbed


async def test_a_row_that_raises_fails_alone(bench: ChildBench) -> None:
    bench.offer(matrix_spec(rows=5, columns=1000, raising_row=2))
    results = await bench.results()
    assert results.pop(user(2)) == (ev.Out.FAILED, b"this row cannot be computed")
    assert {how for how, _ in results.values()} == {ev.Out.DONE}


async def test_a_stale_checkpoint_is_discarded_and_the_work_redone(
    bench: ChildBench, undisturbed: Results
) -> None:
    bench.offer(SPEC)
    await bench.chunks(10)
    stored = checkpoint_of(bench, 0)
    await bench.results()
    newer = replace(SPEC, model_version="model-2")
    bench.offer(newer, checkpoints={0: stored, 1: b"torn"})
    assert await bench.results() == undisturbed


async def test_a_program_that_is_not_there_fails_the_batch_and_the_child_lives(
    bench: ChildBench, undisturbed: Results
) -> None:
    bench.offer(replace(SPEC, factory="tests.integration.worker.nowhere:open"))
    closed = await bench.until(ev.BatchClosed)
    assert "No module named" in closed.error
    bench.offer(SPEC)
    assert await bench.results() == undisturbed


async def test_files_are_mapped_read_only(bench: ChildBench, tmp_path: Path) -> None:
    path = tmp_path / "vectors.f32"
    np.arange(64, dtype=np.float32).tofile(path)
    spec = BatchSpec(
        factory="tests.integration.worker.file_program:open_file_sum",
        payload=b"",
        files=(path,),
        row_versions=("1",),
        snapshot_bytes=8,
        result_bytes=8,
        model_version="",
        market_version="",
    )
    bench.offer(spec)
    results = await bench.results()
    assert results[user(0)] == (ev.Out.DONE, np.float64(2016.0).tobytes())


async def test_the_child_is_idle_single_threaded_and_knows_no_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://somebody:secret@nowhere/eros")
    async with child_bench() as bench:
        bench.offer(SPEC)
        await bench.chunks(3)
        assert os.sched_getscheduler(bench.pid) == os.SCHED_IDLE
        proc = Path(f"/proc/{bench.pid}")
        assert "\nThreads:\t1\n" in (proc / "status").read_text()
        assert b"secret" not in (proc / "environ").read_bytes()
        open_files = {os.readlink(entry) for entry in (proc / "fd").iterdir()}
        assert not any(name.startswith("socket:") for name in open_files)
        assert sum("eros-compute" in name for name in open_files) == 1
        assert sum("eventfd" in name for name in open_files) >= 1


async def test_others_go_before_the_child_in_every_session_and_not_when_it_is_to_die(
    bench: ChildBench,
) -> None:
    group = Path(f"/proc/{bench.pid}/autogroup")
    if not group.exists():
        pytest.skip("this Linux shares nothing out among sessions")
    bench.offer(SPEC)
    await bench.chunks(1)
    assert os.getsid(bench.pid) == bench.pid
    assert group.read_text().split()[2:] == [f"{SESSION_NICE}"]
    bench.computing.child.kill()
    # It is not reaped yet: that needs the loop.
    assert group.read_text().split()[2:] == ["0"]


async def test_an_idle_child_takes_no_cpu(bench: ChildBench) -> None:
    bench.offer(matrix_spec(rows=2, columns=100))
    await bench.results()
    before = process_cpu_seconds(bench.pid)
    await asyncio.sleep(1.0)
    assert process_cpu_seconds(bench.pid) - before < 0.001


async def test_the_cap_holds_as_measured_from_outside(bench: ChildBench) -> None:
    """Start-up, snapshots and all; `eros bench caps` is where points are counted."""
    bench.offer(matrix_spec(rows=ROWS, columns=3_000_000, tile=64, width=2), cap=0.15)
    await bench.chunks(1)
    began, cpu, waited = (
        time.monotonic(),
        process_cpu_seconds(bench.pid),
        waiting_seconds(bench.pid),
    )
    await asyncio.sleep(5)
    seconds = time.monotonic() - began
    share = (process_cpu_seconds(bench.pid) - cpu) / seconds
    assert share < 0.17
    # It takes what is left by others: of a busy machine perhaps nothing.
    assert share + (waiting_seconds(bench.pid) - waited) / seconds > 0.05


def waiting_seconds(pid: int) -> float:
    """How long a process of one thread has waited for a processor."""
    _, waiting, _ = Path(f"/proc/{pid}/schedstat").read_text().split()
    return int(waiting) / 1e9


PARENT = """
import asyncio
from eros_matcher.worker.computing import Computing

async def main():
    computing = Computing(lambda event: None)
    computing.start()
    print(computing.child.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_a_parent_that_is_killed_leaves_no_child() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent.stdout:
        child = os.pidfd_open(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    readable, _, _ = select.select([child], [], [], 10)
    os.close(child)
    assert readable
