"""Who reads which access log: every store behaves like this."""

from __future__ import annotations

import asyncio

from eros_activity.domain.gaps import Source
from tests.ports.activity.stores import Stores

ONE, TWO = Source("boot/with/slashes", "w1"), Source("boot", "w2")


async def test_what_was_read_is_kept(stores: Stores) -> None:
    assert await stores.sources.find([ONE]) == {}
    assert await stores.sources.find([]) == {}
    await stores.sources.save({})
    await stores.sources.save({ONE: 5, TWO: 2**40})
    await stores.sources.save({ONE: 6})
    await stores.sources.save({ONE: 4})
    assert await stores.sources.find([ONE, TWO, Source("x", "y")]) == {ONE: 6, TWO: 2**40}


async def test_an_abandoned_source_is_there_until_it_is_forgotten(stores: Stores) -> None:
    await stores.sources.save({ONE: 5})
    assert await stores.sources.abandoned(60.0) == []
    for _ in range(2):
        [abandoned] = await stores.sources.abandoned(0.0)
        assert (abandoned.source, abandoned.settled) == (ONE, 5)
        assert 0 <= abandoned.seconds < 60
    await stores.sources.forget([], 0.0)
    await stores.sources.forget([TWO], 0.0)
    await asyncio.gather(*(stores.sources.forget([ONE, TWO], 0.0) for _ in range(2)))
    assert await stores.sources.abandoned(0.0) == []
    assert await stores.sources.find([ONE]) == {}


async def test_a_source_that_is_read_again_is_not_forgotten(stores: Stores) -> None:
    await stores.sources.save({ONE: 5, TWO: 7})
    await stores.sources.forget([ONE], 60.0)
    assert await stores.sources.find([ONE, TWO]) == {ONE: 5, TWO: 7}
