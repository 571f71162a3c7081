"""The part of scoring that BLAS leaves, as machine code: filter, score, keep the best.

Compiled ahead of time by `eros_matcher.kernel`, loaded by `eros_matcher.kernel.native`; no
process that computes imports this module, and none compiles. Pointers are C's: nothing is checked.

A pair's value is computed here alone, in an order of operations that is written down: sixteen
running sums a product, then a tree, then an exponential of our own in double precision. No sum is
reordered and nothing is contracted, so that a value has the same bits on every machine, in every
block and after every resumption. What BLAS says of a pair only decides whether it is looked at.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, types

from eros_matcher.kernel.shape import BATCH, LANES, POWERS, STEP

U8, I32, F32 = (
    types.CPointer(types.uint8),
    types.CPointer(types.int32),
    types.CPointer(types.float32),
)
I64, U32, U64 = (
    types.CPointer(types.int64),
    types.CPointer(types.uint32),
    types.CPointer(types.uint64),
)
F64, INT = types.CPointer(types.float64), types.int64

_LAST = np.uint64(0xFFFF_FFFF)
_HIGH = np.uint64(32)


@njit(inline="always")
def _one_and_exp(x: Any, powers: Any) -> Any:
    """1 + exp(x); the relative error is below 1e-9, the tables are 2^n and then 2^(k / 32)."""
    x = min(max(x, -350.0), 350.0)
    n = types.int64(math.floor(x * 46.16624130844683 + 0.5))
    rest = x - types.float64(n) * 0.021660849392498290
    value = 1.0 + rest * (1.0 + rest * (0.5 + rest * 0.16666666666666666))
    return 1.0 + (value * powers[2 * POWERS + 1 + (n & 31)]) * powers[POWERS + (n >> 5)]


@njit(inline="always")
def _lanes(x: Any, at_x: Any, y: Any, at_y: Any, size: Any, lanes: Any, to: Any) -> None:
    """Sixteen running sums of a product of two vectors."""
    for lane in range(LANES):
        i, j = at_x + lane, at_y + lane
        lanes[to + lane] = (x[i] * y[j] + x[i + 16] * y[j + 16]) + (
            x[i + 32] * y[j + 32] + x[i + 48] * y[j + 48]
        )
    for start in range(STEP, size, STEP):
        for lane in range(LANES):
            i, j = at_x + start + lane, at_y + start + lane
            lanes[to + lane] = lanes[to + lane] + (
                (x[i] * y[j] + x[i + 16] * y[j + 16])
                + (x[i + 32] * y[j + 32] + x[i + 48] * y[j + 48])
            )


@njit(inline="always")
def _total(lanes: Any, at: Any) -> Any:
    """Their sum, as a tree."""
    a = (lanes[at] + lanes[at + 8]) + (lanes[at + 4] + lanes[at + 12])
    b = (lanes[at + 1] + lanes[at + 9]) + (lanes[at + 5] + lanes[at + 13])
    c = (lanes[at + 2] + lanes[at + 10]) + (lanes[at + 6] + lanes[at + 14])
    d = (lanes[at + 3] + lanes[at + 11]) + (lanes[at + 7] + lanes[at + 15])
    return (a + c) + (b + d)


@njit
def _score(
    row: Any, at: Any, count: Any, left: Any, right: Any, size: Any, sel: Any, pop: Any,
    m_sel: Any, m_pop: Any, weight: Any, lanes: Any, values: Any, powers: Any,
) -> None:  # fmt: skip
    """The values of a row with `count` people, at most BATCH: what they are ranked by."""
    x = row * 2 * size
    for index in range(count):
        y = types.int64(at[index]) * 2 * size
        _lanes(left, x, right, y, size, lanes, 2 * LANES * index)
        _lanes(left, x + size, right, y + size, size, lanes, 2 * LANES * index + LANES)
    for index in range(count):
        one = at[index]
        likes = _total(lanes, 2 * LANES * index) + (sel[row] + m_pop[one])
        liked = _total(lanes, 2 * LANES * index + LANES) + (pop[row] + m_sel[one])
        odds = _one_and_exp(-types.float64(likes), powers) * _one_and_exp(
            -types.float64(liked), powers
        )
        values[index] = types.float32(types.float64(weight[one]) / odds)


@njit(inline="always")
def _key(bits: Any, at: Any) -> Any:
    """A value's bits, then the position, the lower first."""
    return (types.uint64(bits) << _HIGH) | (_LAST - types.uint64(at))


@njit(inline="always")
def _fits(
    row: Any, at: Any, seeks: Any, gender: Any, born: Any, born_from: Any, born_to: Any, place: Any,
    reach: Any,
    m_group: Any, m_born: Any, m_from: Any, m_to: Any, m_place: Any, m_reach: Any, people: Any,
) -> Any:  # fmt: skip
    """Whether both pass each other's filters."""
    if m_group[at] & seeks[row] == 0 or m_group[at] & gender[row] == 0:
        return False
    if m_born[at] < born_from[row] or m_born[at] > born_to[row]:
        return False
    if born[row] < m_from[at] or born[row] > m_to[at]:
        return False
    x = m_place[at] - place[3 * row]
    y = m_place[people + at] - place[3 * row + 1]
    z = m_place[2 * people + at] - place[3 * row + 2]
    apart = (x * x + y * y) + z * z
    return apart <= reach[row] and apart <= m_reach[at]


@njit
def _pass_bytes(
    row: Any, first: Any, width: Any, mask: Any, seeks: Any, gender: Any, born: Any, born_from: Any,
    born_to: Any, m_group: Any, m_born: Any, m_from: Any, m_to: Any,
) -> None:  # fmt: skip
    """The filters that fit in bytes, for a whole tile at the speed of the cache."""
    sought, own_gender, own = seeks[row], gender[row], born[row]
    low, high = born_from[row], born_to[row]
    for j in range(width):
        at = first + j
        group = m_group[at]
        mask[j] = (
            ((group & sought) != 0)
            & ((group & own_gender) != 0)
            & (m_born[at] >= low)
            & (m_born[at] <= high)
            & (m_from[at] <= own)
            & (m_to[at] >= own)
        )


@njit
def _pass_near(
    row: Any, first: Any, width: Any, mask: Any, place: Any, reach: Any, m_place: Any, m_reach: Any,
    people: Any,
) -> None:  # fmt: skip
    here_x, here_y, here_z = place[3 * row], place[3 * row + 1], place[3 * row + 2]
    within = reach[row]
    for j in range(width):
        at = first + j
        x = m_place[at] - here_x
        y = m_place[people + at] - here_y
        z = m_place[2 * people + at] - here_z
        apart = (x * x + y * y) + z * z
        mask[j] &= (apart <= within) & (apart <= m_reach[at])


@njit(inline="always")
def _sink(keys: Any, base: Any, size: Any, key: Any) -> None:
    """Replace the least of a full heap."""
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and keys[base + child + 1] < keys[base + child]:
            child += 1
        if keys[base + child] >= key:
            break
        keys[base + at] = keys[base + child]
        at = child
    keys[base + at] = key


@njit(inline="always")
def _rise(keys: Any, base: Any, held: Any, key: Any) -> None:
    """Add to a heap that has room."""
    at = held
    while at > 0:
        parent = (at - 1) // 2
        if keys[base + parent] <= key:
            break
        keys[base + at] = keys[base + parent]
        at = parent
    keys[base + at] = key


@njit(inline="always")
def _raise_need(
    row: Any, keys: Any, most: Any, sel: Any, pop: Any, margin: Any, price0: Any, need: Any,
    slope: Any, values: Any, bits: Any,
) -> None:  # fmt: skip
    """The least that BLAS must say of a pair for it to be looked at.

    2 log(1 / (1 + exp(-s / 2))) is concave in s and no less than the log of the score of any a + b
    = s, so its tangent bounds it from above: wherever it touches, here where a person of the
    common price would just enter. Prices then count in proportion.
    """
    bits[0] = types.uint32(keys[row * most] >> _HIGH)
    floor = types.float64(values[0])
    if floor <= 0.0:
        return
    log_floor = math.log(floor)
    root = min(math.exp(0.5 * (log_floor + price0)), 0.999)
    touch = 2.0 * (math.log(root) - math.log1p(-root))
    steep = 1.0 / (1.0 - root)
    bound = touch + (log_floor - 2.0 * math.log(root)) * steep
    need[row] = types.float32(
        bound - types.float64(margin[row]) - types.float64(sel[row]) - types.float64(pop[row])
    )
    slope[row] = types.float32(steep)


@njit(inline="always")
def _is_left_out(left_out: Any, low: Any, high: Any, at: Any) -> Any:
    found = False
    for index in range(low, high):
        found |= left_out[index] == at
    return found


@njit(inline="always")
def _first_from(left_out: Any, low: Any, high: Any, at: Any) -> Any:
    while low < high:
        middle = (low + high) // 2
        if left_out[middle] < at:
            low = middle + 1
        else:
            high = middle
    return low


@njit(inline="always")
def _greatest_first(order: Any, by: Any, start: Any, count: Any, wanted: Any) -> None:
    """Move those with the `wanted` greatest of `by` to the front of `order` (quickselect)."""
    low, high = types.int64(0), count - 1
    while low < high:
        pivot = by[start + order[(low + high) // 2]]
        i, j = low, high
        while i <= j:
            while by[start + order[i]] > pivot:
                i += 1
            while by[start + order[j]] < pivot:
                j -= 1
            if i <= j:
                kept = order[i]
                order[i] = order[j]
                order[j] = kept
                i += 1
                j -= 1
        if wanted - 1 <= j:
            high = j
        elif wanted - 1 >= i:
            low = i
        else:
            break


def scan(
    sums: Any, rows: Any, count: Any, first: Any, width: Any, distances: Any,
    left: Any, right: Any, size: Any,
    sel: Any, pop: Any, seeks: Any, gender: Any, born: Any, born_from: Any, born_to: Any,
    place: Any, reach: Any, margin: Any,
    m_sel: Any, m_pop: Any, m_both: Any, m_price: Any, weight: Any, m_group: Any, m_born: Any,
    m_from: Any, m_to: Any, m_place: Any, m_reach: Any, people: Any, price0: Any,
    left_out: Any, left_start: Any,
    keys: Any, held: Any, most: Any, need: Any, slope: Any,
    mask: Any, octets: Any, order: Any, chosen: Any, lanes: Any, values: Any, bits: Any,
    powers: Any,
) -> Any:  # fmt: skip
    """Take the best of one tile for `count` rows; returns how many pairs were scored exactly.

    `sums` (count, width) is what BLAS says of <taste_u, trait_v> + <trait_u, taste_v>; it is
    written over.
    """
    exact = types.int64(0)
    for index in range(count):
        row = rows[index]
        start = index * width
        steep, least = slope[row], need[row]
        _pass_bytes(
            row, first, width, mask, seeks, gender, born, born_from, born_to,
            m_group, m_born, m_from, m_to,
        )  # fmt: skip
        for j in range(width):
            value = (sums[start + j] + m_both[first + j]) - steep * m_price[first + j]
            sums[start + j] = value
            mask[j] &= value > least
        if distances:
            _pass_near(row, first, width, mask, place, reach, m_place, m_reach, people)
        low = types.int64(-1)
        high = types.int64(-1)
        candidates = types.int64(0)
        for word in range((width + 7) // 8):
            if octets[word] == 0:
                continue
            for j in range(word * 8, min(word * 8 + 8, width)):
                if mask[j] == 0:
                    continue
                if low < 0:
                    end = left_start[row + 1]
                    low = _first_from(left_out, left_start[row], end, first)
                    high = _first_from(left_out, low, end, first + width)
                if low < high and _is_left_out(left_out, low, high, first + j):
                    continue
                order[candidates] = j
                candidates += 1
        if candidates == 0:
            continue
        base = row * most
        room = most - held[row]
        if 0 < room < candidates:
            # The first score to beat is found among the most promising.
            _greatest_first(order, sums, start, candidates, room)
        done = types.int64(0)
        while done < candidates:
            # To the first score to beat in one go, then no more at once than it is fresh for.
            upto = min(done + BATCH, candidates)
            if room > 0:
                upto = min(upto, done + room)
            fresh, price_now = need[row], steep - slope[row]
            batch = types.int64(0)
            while done < upto:
                j = order[done]
                done += 1
                if room == 0 and sums[start + j] + price_now * m_price[first + j] <= fresh:
                    continue
                chosen[batch] = first + j
                batch += 1
            _score(
                row, chosen, batch, left, right, size, sel, pop, m_sel, m_pop, weight,
                lanes, values, powers,
            )  # fmt: skip
            exact += batch
            entered = False
            for index_in_batch in range(batch):
                key = _key(bits[index_in_batch], chosen[index_in_batch])
                if room > 0:
                    _rise(keys, base, held[row], key)
                    held[row] += 1
                    room -= 1
                    entered = True
                elif key > keys[base]:
                    _sink(keys, base, most, key)
                    entered = True
            if room == 0 and entered:
                _raise_need(
                    row, keys, most, sel, pop, margin, price0, need, slope, values, bits
                )  # fmt: skip
    return exact


def pairs(
    row: Any, positions: Any, count: Any, out: Any,
    left: Any, right: Any, size: Any,
    sel: Any, pop: Any, seeks: Any, gender: Any, born: Any, born_from: Any, born_to: Any,
    place: Any, reach: Any,
    m_sel: Any, m_pop: Any, weight: Any, m_group: Any, m_born: Any, m_from: Any, m_to: Any,
    m_place: Any, m_reach: Any, people: Any,
    chosen: Any, lanes: Any, values: Any, bits: Any, powers: Any,
) -> Any:  # fmt: skip
    """The keys of one row with given people, 0 where they do not fit."""
    fitting = types.int64(0)
    for index in range(count):
        at = types.int64(positions[index])
        if _fits(
            row, at, seeks, gender, born, born_from, born_to, place, reach,
            m_group, m_born, m_from, m_to, m_place, m_reach, people,
        ):  # fmt: skip
            chosen[0] = at
            _score(
                row, chosen, 1, left, right, size, sel, pop, m_sel, m_pop, weight,
                lanes, values, powers,
            )  # fmt: skip
            out[index] = _key(bits[0], at)
            fitting += 1
        else:
            out[index] = types.uint64(0)
    return fitting


def raise_need(
    row: Any, keys: Any, most: Any, sel: Any, pop: Any, margin: Any, price0: Any, need: Any,
    slope: Any, values: Any, bits: Any,
) -> Any:  # fmt: skip
    """For a row that was put back with a full heap."""
    _raise_need(row, keys, most, sel, pop, margin, price0, need, slope, values, bits)
    return types.int64(0)


_SEEKERS = (F32, F32, U8, U8, U8, U8, U8, F32, F32)
SIGNATURES = {
    scan: (
        *(F32, I64, INT, INT, INT, INT, F32, F32, INT, *_SEEKERS, F32),
        *(F32, F32, F32, F32, F32, U8, U8, U8, U8, F32, F32, INT, types.float64),
        *(I32, I64, U64, I64, INT, F32, F32, U8, U64, I32, I32, F32, F32, U32, F64),
    ),
    pairs: (
        *(INT, I32, INT, U64, F32, F32, INT, *_SEEKERS),
        *(F32, F32, F32, U8, U8, U8, U8, F32, F32, INT, I32, F32, F32, U32, F64),
    ),
    raise_need: (INT, U64, INT, F32, F32, F32, types.float64, F32, F32, F32, U32),
}
