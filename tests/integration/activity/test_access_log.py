"""Every request of a signed-in person is a sign of life; a lost one means a pause."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from eros.activity.v1 import activity_pb2 as pb
from eros_common.testing import TestTokens
from tests.integration.activity.network import network_to
from tests.integration.activity.service import Activity, Watcher, activity, gateway, users

WOKE = pb.TRANSITION_KIND_WOKE
#: So short that a test can wait for it, and longer than a busy machine stands still.
QUICK = {"stream_silence_seconds": 1.0, "als_reorder_seconds": 1.0}
#: Where a gap is looked for in what comes in order. That a machine stands still must not be another
#: reason for a pause: it would take the place of the first before a watcher sees that.
CALM = {"stream_silence_seconds": 4.0, "als_reorder_seconds": 1.0}


@pytest.fixture
async def quick(valkey_url: str, tokens: TestTokens) -> AsyncIterator[Activity]:
    async with activity(valkey_url, tokens, **QUICK) as replica:
        yield replica


async def watched(watcher: Watcher) -> Watcher:
    return await watcher.until(lambda w: w.snapshot_ended)


async def test_a_request_wakes_at_its_arrival(quick: Activity) -> None:
    one, two = users(2)
    await quick.touch((one, time.time() - 3600), (two, time.time() - 3600))
    async with quick.watch() as watcher, gateway(quick.als_address) as envoy:
        await watched(watcher)
        arrived = time.time() - 0.25
        await envoy.send(envoy.entry(one, arrived), envoy.entry(two, time.time() + 99))
        await watcher.until(lambda w: w.happened(one) == w.happened(two) == [WOKE])
        events = {event.user_id: event for event in watcher.events}
        assert events[one.bytes].touched_at == pytest.approx(arrived, abs=1e-3)
        assert events[one.bytes].at == pytest.approx(arrived, abs=1e-3)
        # By two machines' clocks it came from the future: it counts as now.
        assert events[two.bytes].at <= time.time()


async def test_what_is_no_sign_of_life(quick: Activity) -> None:
    one, two, three = users(3)
    await quick.touch(*((user, time.time() - 3600) for user in (one, two, three)))
    async with quick.watch() as watcher, gateway(quick.als_address) as envoy:
        await watched(watcher)
        now = time.time()
        await envoy.send(
            envoy.entry(one, now, background=True),
            envoy.entry("", now),
            envoy.entry("nobody", now),
            envoy.entry(two, now, seq=None),
            envoy.entry(three, now),
        )
        await watcher.until(lambda w: three not in w.asleep)
        assert {event.user_id for event in watcher.events} == {two.bytes, three.bytes}


async def test_an_entry_of_long_ago_wakes_nobody(quick: Activity) -> None:
    [user] = users(1)
    await quick.touch((user, time.time() - 7200))
    async with quick.watch() as watcher, gateway(quick.als_address) as envoy:
        await watched(watcher)
        await envoy.send(envoy.entry(user, time.time() - 1800))
        await watcher.until(lambda w: w.events != [])
        assert watcher.happened(user) == [pb.TRANSITION_KIND_ASLEEP]
        assert watcher.asleep[user] == pytest.approx(time.time() - 1800, abs=5)


async def test_a_lost_entry_pauses_every_replica(valkey_url: str, tokens: TestTokens) -> None:
    async with (
        activity(valkey_url, tokens, **CALM) as one,
        activity(valkey_url, tokens, **CALM) as two,
        one.watch() as here,
        two.watch() as there,
        gateway(one.als_address) as envoy,
    ):
        await watched(here)
        await watched(there)
        [user] = users(1)
        await envoy.send(envoy.entry(user, time.time()))
        envoy.lose(3)
        before = time.time()
        await envoy.send(envoy.entry(user, time.time()))
        for watcher in (here, there):
            await watcher.until(lambda w: w.paused("3 access-log entries"))
            assert before + 60 <= watcher.paused_until <= time.time() + 65
        assert (await two.stats()).HasField("paused_until")
    # And whoever starts later says so first of all.
    async with activity(valkey_url, tokens, **CALM) as late, late.watch() as watcher:
        await watcher.next()
        assert watcher.paused_until >= there.paused_until


async def test_entries_out_of_order_are_not_lost(valkey_url: str, tokens: TestTokens) -> None:
    people = users(10)
    async with (
        activity(valkey_url, tokens, **CALM) as replica,
        replica.watch() as watcher,
        gateway(replica.als_address) as envoy,
    ):
        await watched(watcher)
        entries = [envoy.entry(user, time.time()) for user in people]
        entries[2:5] = reversed(entries[2:5])
        for entry in entries:
            await envoy.send(entry)
        # The next lost one is the first that is noticed.
        envoy.lose()
        await envoy.send(envoy.entry(people[0], time.time()))
        await watcher.until(lambda w: w.pause_reason != "")
        assert "1 access-log entries" in watcher.pause_reason


async def test_a_stream_that_ends_without_a_successor(quick: Activity) -> None:
    [user] = users(1)
    async with quick.watch() as watcher:
        await watched(watcher)
        async with gateway(quick.als_address) as envoy:
            await quick.touch((user, time.time() - 3600))
            await envoy.send(envoy.entry(user, time.time()))
            await watcher.until(lambda w: WOKE in w.happened(user))
        await watcher.until(lambda w: w.paused("nobody reads the access log"))


async def test_a_successor_at_another_replica_goes_on(valkey_url: str, tokens: TestTokens) -> None:
    one_user, two_user = users(2)
    async with (
        activity(valkey_url, tokens, **CALM) as one,
        activity(valkey_url, tokens, **CALM) as two,
        one.watch() as watcher,
        gateway(one.als_address) as envoy,
    ):
        await watched(watcher)
        await one.touch((one_user, time.time() - 3600), (two_user, time.time() - 3600))
        await envoy.send(envoy.entry(one_user, time.time()))
        await watcher.until(lambda w: WOKE in w.happened(one_user))
        await envoy.disconnect()
        await envoy.connect(two.als_address)
        await envoy.send(envoy.entry(two_user, time.time()))
        await watcher.until(lambda w: WOKE in w.happened(two_user))
        # The next one that is lost is the first that is noticed, so nothing was in between.
        envoy.lose()
        await envoy.send(envoy.entry(two_user, time.time()))
        await watcher.until(lambda w: w.pause_reason != "")
        assert "1 access-log entries" in watcher.pause_reason


async def test_a_gateway_that_falls_silent_is_noticed(quick: Activity) -> None:
    """The connection is up and nothing comes: only pings tell."""
    [user] = users(1)
    async with (
        quick.watch() as watcher,
        network_to(quick.als_address) as network,
        gateway(network.address) as envoy,
    ):
        await watched(watcher)
        await quick.touch((user, time.time() - 3600))
        await envoy.send(envoy.entry(user, time.time()))
        await watcher.until(lambda w: WOKE in w.happened(user))
        network.dark = True
        await watcher.until(lambda w: w.paused("nobody reads the access log"))
