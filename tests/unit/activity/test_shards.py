"""People are spread evenly, and a shard's keys are in one slot."""

from __future__ import annotations

import re
from collections import Counter
from uuid import UUID, uuid4, uuid5

from eros_activity.domain.people import Interaction, UserKey
from eros_activity.shards import PAUSES, SOURCES, by_shard, shard_number, shards


def test_every_kind_of_id_is_spread_evenly() -> None:
    space = uuid4()
    for ids in (
        [uuid4() for _ in range(4000)],
        [uuid5(space, str(i)) for i in range(4000)],
        [UUID(int=i) for i in range(4000)],
    ):
        spread = Counter(shard_number(UserKey(i.bytes), 4) for i in ids)
        assert sorted(spread) == [0, 1, 2, 3]
        assert min(spread.values()) > 850


def test_batches_are_split_as_single_people_are() -> None:
    batch = [Interaction(UserKey(uuid4().bytes), 0, 0) for _ in range(100)]
    split = by_shard(batch, 8)
    assert sum(map(len, split.values())) == 100
    for number, touches in split.items():
        assert all(shard_number(touch.user, 8) == number for touch in touches)


def test_keys_of_one_shard_share_their_hash_tag() -> None:
    for shard in shards(3):
        tags = {re.findall(r"\{(.*?)\}", key)[0] for key in shard.keys}
        assert tags == {str(shard.number)}
    keys = [key for shard in shards(3) for key in shard.keys]
    assert len({*keys, PAUSES, SOURCES}) == 14
