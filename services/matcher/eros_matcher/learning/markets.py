"""Who competes with whom: people cut into markets by place, gender and whom they seek. Pure.

Two people are of one market if a chain of people leads from one to the other in which neighbours
are of genders that seek each other and live in the same or adjoining cells of a coarse grid. Who
looks farther than that still competes where they live. A market of more than LARGEST people is cut
in two along its longer side, and so on, so that each part is sampled for itself.
"""

from __future__ import annotations

from itertools import pairwise, product
from typing import Final

import numpy as np
import numpy.typing as npt

from eros_matcher.learning.design import Floats, Ints

CELL_KM: Final = 100.0
LARGEST: Final = 65_536
_FAR: Final = 1e7
"""Beyond so many km from the Earth's centre is nowhere: all of those are neighbours."""


def markets_of(gender: npt.NDArray[np.uint8], seeks: npt.NDArray[np.uint8], place: Floats) -> Ints:
    """(n) the number of each one's market, from 0 without gaps; `place` (n, 3) in km."""
    if not len(gender):
        return np.zeros(0, dtype=np.int32)
    group = gender.astype(np.int64) << 3 | seeks
    cells = np.floor(np.clip(place, -_FAR, _FAR) / CELL_KM).astype(np.int64)
    nodes, node = np.unique(
        np.concatenate([cells, group[:, None]], axis=1), axis=0, return_inverse=True
    )
    market = _components(nodes)[node.reshape(-1)]
    return _cut(market, place)


def _components(nodes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """(k) which nodes (cell of three numbers, group) hang together: the least node of each."""
    number = {tuple(node): index for index, node in enumerate(nodes.tolist())}
    groups = sorted({node[3] for node in number})
    fitting = {one: [other for other in groups if _fit(one, other)] for one in groups}
    root = list(range(len(nodes)))

    def find(node: int) -> int:
        while root[node] != node:
            root[node] = root[root[node]]
            node = root[node]
        return node

    steps = list(product((-1, 0, 1), repeat=3))
    for (x, y, z, group), index in number.items():
        for dx, dy, dz in steps:
            for other in fitting[group]:
                near = number.get((x + dx, y + dy, z + dz, other))
                if near is not None:
                    low, high = sorted((find(index), find(near)))
                    root[high] = low
    return np.array([find(index) for index in range(len(nodes))], dtype=np.int64)


def _fit(one: int, other: int) -> bool:
    return bool((one >> 3) & other & 7) and bool((other >> 3) & one & 7)


def _cut(market: npt.NDArray[np.int64], place: Floats) -> Ints:
    found = np.zeros(len(market), dtype=np.int32)
    order = np.argsort(market, kind="stable")
    bounds = np.flatnonzero(np.diff(market[order], prepend=-1, append=-1))
    left = [order[a:b] for a, b in pairwise(bounds)][::-1]
    count = 0
    while left:
        people = left.pop()
        if len(people) > LARGEST:
            here = place[people]
            axis = int(np.argmax(here.max(axis=0) - here.min(axis=0)))
            by_side = people[np.argsort(here[:, axis], kind="stable")]
            half = len(people) // 2
            left += [by_side[half:], by_side[:half]]
            continue
        found[people] = count
        count += 1
    return found
