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

from eros_matcher.kernel.shape import BATCH, ENOUGH, LANES, POWERS, SIZE, WAITING

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
def _lane(x: Any, i: Any, y: Any, j: Any) -> Any:
    return (x[i] * y[j] + x[i + 16] * y[j + 16]) + (x[i + 32] * y[j + 32] + x[i + 48] * y[j + 48])


@njit(inline="always")
def _lanes(x: Any, at_x: Any, y: Any, at_y: Any, lanes: Any, to: Any) -> None:
    """Sixteen sums that make the product of 64 numbers, side by side.

    Written out, and stored after the last was loaded: only so does the compiler see that no store
    alters what is still to be loaded, and makes vectors of it.
    """
    l0 = _lane(x, at_x + 0, y, at_y + 0)
    l1 = _lane(x, at_x + 1, y, at_y + 1)
    l2 = _lane(x, at_x + 2, y, at_y + 2)
    l3 = _lane(x, at_x + 3, y, at_y + 3)
    l4 = _lane(x, at_x + 4, y, at_y + 4)
    l5 = _lane(x, at_x + 5, y, at_y + 5)
    l6 = _lane(x, at_x + 6, y, at_y + 6)
    l7 = _lane(x, at_x + 7, y, at_y + 7)
    l8 = _lane(x, at_x + 8, y, at_y + 8)
    l9 = _lane(x, at_x + 9, y, at_y + 9)
    l10 = _lane(x, at_x + 10, y, at_y + 10)
    l11 = _lane(x, at_x + 11, y, at_y + 11)
    l12 = _lane(x, at_x + 12, y, at_y + 12)
    l13 = _lane(x, at_x + 13, y, at_y + 13)
    l14 = _lane(x, at_x + 14, y, at_y + 14)
    l15 = _lane(x, at_x + 15, y, at_y + 15)
    lanes[to + 0] = l0
    lanes[to + 1] = l1
    lanes[to + 2] = l2
    lanes[to + 3] = l3
    lanes[to + 4] = l4
    lanes[to + 5] = l5
    lanes[to + 6] = l6
    lanes[to + 7] = l7
    lanes[to + 8] = l8
    lanes[to + 9] = l9
    lanes[to + 10] = l10
    lanes[to + 11] = l11
    lanes[to + 12] = l12
    lanes[to + 13] = l13
    lanes[to + 14] = l14
    lanes[to + 15] = l15


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
    row: Any, at: Any, count: Any, left: Any, right: Any, sel: Any, pop: Any,
    m_sel: Any, m_pop: Any, weight: Any, mutual: Any, lanes: Any, values: Any, powers: Any,
) -> None:  # fmt: skip
    """The values of a row with `count` people, at most BATCH: what they are ranked by."""
    x = row * 2 * SIZE
    for index in range(count):
        y = types.int64(at[index]) * 2 * SIZE
        _lanes(left, x, right, y, lanes, 2 * LANES * index)
        _lanes(left, x + SIZE, right, y + SIZE, lanes, 2 * LANES * index + LANES)
    for index in range(count):
        one = at[index]
        likes = _total(lanes, 2 * LANES * index) + (sel[row] + m_pop[one])
        liked = _total(lanes, 2 * LANES * index + LANES) + (pop[row] + m_sel[one])
        there = _one_and_exp(-types.float64(likes), powers)
        back = _one_and_exp(-types.float64(liked), powers)
        odds = there * back - mutual * ((there - 1.0) * (back - 1.0))
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
def _insert(keys: Any, base: Any, most: Any, key: Any) -> None:
    """Into ascending keys instead of the least, without a branch: so it is done eight at a time."""
    for index in range(base, base + most - 1):
        greater = max(keys[index], key)
        keys[index] = min(greater, keys[index + 1])
    keys[base + most - 1] = max(keys[base + most - 1], key)


@njit(inline="always")
def _raise_need(
    row: Any, keys: Any, most: Any, sel: Any, pop: Any, margin: Any, price0: Any, mutual: Any,
    need: Any, slope: Any, values: Any, bits: Any,
) -> None:  # fmt: skip
    """The least that BLAS must say of a pair for it to be looked at.

    For a given a + b = s the score is greatest where a = b, there it is 1 / (1 + 2 q + (1 - mutual)
    q^2) with q = exp(-s / 2). The log of that is concave in s, so its tangent bounds it from above:
    wherever it touches, here where a person of the common price would just enter. Prices then
    count in proportion.
    """
    bits[0] = types.uint32(keys[row * most] >> _HIGH)
    floor = types.float64(values[0])
    if floor <= 0.0:
        return
    log_floor = math.log(floor)
    rest = 1.0 - mutual
    above = max(math.exp(-log_floor - price0) - 1.0, 0.002)
    # The q at which the score is 1 / (1 + above), without cancellation.
    q = above / (1.0 + math.sqrt(1.0 + rest * above))
    steep = (1.0 + above) / (q + rest * q * q)
    bound = (log_floor + math.log(1.0 + above)) * steep - 2.0 * math.log(q)
    need[row] = types.float32(
        bound - types.float64(margin[row]) - types.float64(sel[row]) - types.float64(pop[row])
    )
    slope[row] = types.float32(steep)


@njit(inline="always")
def _first_from(left_out: Any, low: Any, high: Any, at: Any) -> Any:
    while low < high:
        middle = (low + high) // 2
        if left_out[middle] < at:
            low = middle + 1
        else:
            high = middle
    return low


@njit
def _promising(sums: Any, base: Any, count: Any, wanted: Any) -> Any:
    """A bound that `wanted` of the sums are not below, and not many more."""
    low, high = types.float32(-1e30), types.float32(1e30)
    trial = types.float32(0.0)
    width = types.float32(1.0)
    for _ in range(40):
        passing = types.int32(0)
        for index in range(count):
            passing += types.int32(sums[base + index] >= trial)
        if passing < wanted:
            high = trial
        elif passing > wanted + wanted // 4 + 4:
            low = trial
        else:
            return trial
        if low <= types.float32(-1e30):
            trial = high - width
            width = width * types.float32(2.0)
        elif high >= types.float32(1e30):
            trial = low + width
            width = width * types.float32(2.0)
        else:
            trial = (low + high) * types.float32(0.5)
    return low


@njit
def _take(
    row: Any, base: Any, count: Any, steep: Any, waiting_at: Any, waiting_sum: Any,
    left: Any, right: Any, sel: Any, pop: Any, margin: Any,
    m_sel: Any, m_pop: Any, m_price: Any, weight: Any, price0: Any, mutual: Any,
    keys: Any, held: Any, most: Any, need: Any, slope: Any,
    order: Any, chosen: Any, lanes: Any, values: Any, bits: Any, powers: Any,
) -> Any:  # fmt: skip
    """Score those of a list who can still enter, and keep the best; returns how many that were.

    `steep` is the slope that the sums were made with.
    """
    exact = types.int64(0)
    room = most - held[row]
    first_key = row * most
    bound = types.float32(np.inf)
    if room >= count:
        bound = types.float32(-np.inf)
    elif room > 0:
        # The first value to beat is found among the most promising.
        bound = _promising(waiting_sum, base, count, room)
    for phase in range(2):
        price_now, fresh = steep - slope[row], need[row]
        found = types.int64(0)
        if phase == 0:
            if room == 0:
                continue
            for index in range(count):
                order[found] = index
                found += types.int64(waiting_sum[base + index] >= bound)
        else:
            for index in range(count):
                one = waiting_sum[base + index]
                price = m_price[waiting_at[base + index]]
                order[found] = index
                found += types.int64((one < bound) & (one + price_now * price > fresh))
        done = types.int64(0)
        while done < found:
            batch = types.int64(0)
            price_now, fresh = steep - slope[row], need[row]
            while done < found and batch < BATCH:
                at = waiting_at[base + order[done]]
                one = waiting_sum[base + order[done]] + price_now * m_price[at]
                chosen[batch] = at
                batch += types.int64(one > fresh)
                done += 1
            _score(
                row, chosen, batch, left, right, sel, pop, m_sel, m_pop, weight, mutual,
                lanes, values, powers,
            )  # fmt: skip
            exact += batch
            entered = False
            for index in range(batch):
                key = _key(bits[index], chosen[index])
                if key > keys[first_key]:
                    _insert(keys, first_key, most, key)
                    room = max(room - 1, 0)
                    entered = True
            held[row] = most - room
            if room == 0 and entered:
                _raise_need(
                    row, keys, most, sel, pop, margin, price0, mutual, need, slope, values, bits
                )  # fmt: skip
    return exact


def scan(
    sums: Any, rows: Any, count: Any, first: Any, width: Any, distances: Any,
    left: Any, right: Any,
    sel: Any, pop: Any, seeks: Any, gender: Any, born: Any, born_from: Any, born_to: Any,
    place: Any, reach: Any, margin: Any,
    m_sel: Any, m_pop: Any, m_both: Any, m_price: Any, weight: Any, m_group: Any, m_born: Any,
    m_from: Any, m_to: Any, m_place: Any, m_reach: Any, people: Any, price0: Any, mutual: Any,
    left_out: Any, left_start: Any,
    keys: Any, held: Any, most: Any, need: Any, slope: Any,
    waiting: Any, waiting_at: Any, waiting_sum: Any, mask: Any, octets: Any,
    order: Any, chosen: Any, lanes: Any, values: Any, bits: Any, powers: Any,
) -> Any:  # fmt: skip
    """Take the best of one tile for `count` rows; returns how many pairs were scored exactly.

    `sums` (count, width) is what BLAS says of <taste_u, trait_v> + <trait_u, taste_v>; it is
    written over. A row without a value to beat only notes who passes its filters, until there are
    ENOUGH or `settle` is called: of many, the first value to beat is a good one.
    """
    exact = types.int64(0)
    for index in range(count):
        row = rows[index]
        start = index * width
        listed = waiting[row]
        if listed >= ENOUGH:
            exact += _take(
                row, row * WAITING, listed, slope[row], waiting_at, waiting_sum,
                left, right, sel, pop, margin, m_sel, m_pop, m_price, weight, price0, mutual,
                keys, held, most, need, slope, order, chosen, lanes, values, bits, powers,
            )  # fmt: skip
            listed = types.int64(0)
            waiting[row] = 0
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
        end = left_start[row + 1]
        out = _first_from(left_out, left_start[row], end, first)
        while out < end and left_out[out] < first + width:
            mask[left_out[out] - first] = 0
            out += 1
        base = row * WAITING + listed
        found = types.int64(0)
        for word in range((width + 7) // 8):
            if octets[word] == 0:
                continue
            for j in range(word * 8, min(word * 8 + 8, width)):
                waiting_at[base + found] = first + j
                waiting_sum[base + found] = sums[start + j]
                found += types.int64(mask[j])
        if held[row] < most:
            waiting[row] = listed + found
        elif found > 0:
            exact += _take(
                row, base, found, steep, waiting_at, waiting_sum,
                left, right, sel, pop, margin, m_sel, m_pop, m_price, weight, price0, mutual,
                keys, held, most, need, slope, order, chosen, lanes, values, bits, powers,
            )  # fmt: skip
    return exact


def settle(
    rows: Any, count: Any, left: Any, right: Any, sel: Any, pop: Any, margin: Any,
    m_sel: Any, m_pop: Any, m_price: Any, weight: Any, price0: Any, mutual: Any,
    keys: Any, held: Any, most: Any, need: Any, slope: Any,
    waiting: Any, waiting_at: Any, waiting_sum: Any,
    order: Any, chosen: Any, lanes: Any, values: Any, bits: Any, powers: Any,
) -> Any:  # fmt: skip
    """Score whom rows only noted so far."""
    exact = types.int64(0)
    for index in range(count):
        row = rows[index]
        if waiting[row] == 0:
            continue
        exact += _take(
            row, row * WAITING, waiting[row], slope[row], waiting_at, waiting_sum,
            left, right, sel, pop, margin, m_sel, m_pop, m_price, weight, price0, mutual,
            keys, held, most, need, slope, order, chosen, lanes, values, bits, powers,
        )  # fmt: skip
        waiting[row] = 0
    return exact


def pairs(
    row: Any, positions: Any, count: Any, out: Any,
    left: Any, right: Any,
    sel: Any, pop: Any, seeks: Any, gender: Any, born: Any, born_from: Any, born_to: Any,
    place: Any, reach: Any,
    m_sel: Any, m_pop: Any, weight: Any, m_group: Any, m_born: Any, m_from: Any, m_to: Any,
    m_place: Any, m_reach: Any, people: Any, mutual: Any,
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
                row, chosen, 1, left, right, sel, pop, m_sel, m_pop, weight, mutual,
                lanes, values, powers,
            )  # fmt: skip
            out[index] = _key(bits[0], at)
            fitting += 1
        else:
            out[index] = types.uint64(0)
    return fitting


def raise_need(
    row: Any, keys: Any, most: Any, sel: Any, pop: Any, margin: Any, price0: Any, mutual: Any,
    need: Any, slope: Any, values: Any, bits: Any,
) -> Any:  # fmt: skip
    """For a row that was put back with all the keys it can hold."""
    _raise_need(row, keys, most, sel, pop, margin, price0, mutual, need, slope, values, bits)
    return types.int64(0)


_SEEKERS = (F32, F32, U8, U8, U8, U8, U8, F32, F32)
_WAITING = (I64, I32, F32)
_SCRATCH = (I32, I32, F32, F32, U32, F64)
SIGNATURES = {
    scan: (
        *(F32, I64, INT, INT, INT, INT, F32, F32, *_SEEKERS, F32),
        *(F32, F32, F32, F32, F32, U8, U8, U8, U8, F32, F32, INT),
        *(
            types.float64,
            types.float64,
            I32,
            I64,
            U64,
            I64,
            INT,
            F32,
            F32,
            *_WAITING,
            U8,
            U64,
            *_SCRATCH,
        ),
    ),
    settle: (
        *(I64, INT, F32, F32, F32, F32, F32, F32, F32, F32, F32),
        *(types.float64, types.float64, U64, I64, INT, F32, F32, *_WAITING, *_SCRATCH),
    ),
    pairs: (
        *(INT, I32, INT, U64, F32, F32, *_SEEKERS),
        *(F32, F32, F32, U8, U8, U8, U8, F32, F32, INT, types.float64, *_SCRATCH[1:]),
    ),
    raise_need: (
        *(INT, U64, INT, F32, F32, F32, types.float64, types.float64, F32, F32, F32, U32),
    ),
}
