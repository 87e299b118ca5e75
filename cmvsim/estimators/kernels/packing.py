"""One int64 per patient in the order of events: ``time code << 34 | class << 32 | patient index``.

Sorting such keys is several times cheaper than an argsort, and after it the sweep reads one stream of memory.
A patient who is still under observation at the horizon, or who is not in the analysis, gets ``BEYOND``:
neither needs a place in the order.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from cmvsim.core.records import FloatArray, IntArray

CODE_SHIFT = 34
CLASS_SHIFT = 32
INDEX_MASK = (1 << 32) - 1
BEYOND = np.iinfo(np.int64).max
LARGEST_CODE = 1 << 24

CENSORED = 0
OF_INTEREST = 1
COMPETING = 2


@njit(cache=True, nogil=True, error_model="numpy")
def count_entered(time: FloatArray, cause: IntArray, sizes: IntArray, entered: IntArray) -> None:
    """Patients in the analysis among the first n, for each of the ascending `sizes`."""
    n_entered = 0
    i = 0
    for j in range(sizes.size):
        while i < sizes[j]:
            n_entered += (cause[i] >= 0) & (time[i] == time[i])
            i += 1
        entered[j] = n_entered


@njit(cache=True, nogil=True, error_model="numpy")
def pack_integers(
    time: FloatArray,
    cause: IntArray,
    horizon: float,
    event: int,
    sizes: IntArray,
    keys: IntArray,
    entered: IntArray,
) -> bool:
    """Fill `keys` with times as codes; False (keys unusable) if a time is no integer in [0, 2^24)."""
    n_replicates, n_patients = time.shape
    unusable = False
    for r in range(n_replicates):
        count_entered(time[r], cause[r], sizes, entered[r])
        # no branch depends on the data here: with random causes the processor would guess wrong half of the
        # time
        for i in range(n_patients):
            t = time[r, i]
            k = cause[r, i]
            ordered = (k >= 0) & ((t < horizon) | ((t == horizon) & (k != 0)))
            in_range = (t >= 0.0) & (t < LARGEST_CODE)
            code = np.int64(t if in_range else -1.0)
            unusable |= ordered & (code != t)
            kind = OF_INTEREST + (k != event) if k > 0 else CENSORED
            keys[r, i] = (code << CODE_SHIFT) | (kind << CLASS_SHIFT) | i if ordered else BEYOND
        if unusable:
            return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def pack_ranks(
    time: FloatArray,
    cause: IntArray,
    order: IntArray,
    horizon: float,
    event: int,
    sizes: IntArray,
    keys: IntArray,
    entered: IntArray,
) -> None:
    """Fill `keys`, already sorted, from the ascending order of the times; equal times share a code."""
    n_replicates, n_patients = time.shape
    for r in range(n_replicates):
        count_entered(time[r], cause[r], sizes, entered[r])
        used = 0
        code = 0
        last = 0.0
        for place in range(n_patients):
            i = order[r, place]
            t = time[r, i]
            k = cause[r, i]
            if k < 0 or np.isnan(t) or t > horizon or (t == horizon and k == 0):
                continue
            if used > 0 and t != last:
                code += 1
            last = t
            kind = CENSORED if k == 0 else (OF_INTEREST if k == event else COMPETING)
            # within a tie the class and index may be unordered: the sweep only groups by code
            keys[r, used] = (code << CODE_SHIFT) | (kind << CLASS_SHIFT) | i
            used += 1
        for place in range(used, n_patients):
            keys[r, place] = BEYOND


@njit(cache=True, nogil=True, error_model="numpy")
def tally_times(row: IntArray, first_size: IntArray, tally: IntArray) -> int:
    """Count who leaves one replicate at each distinct time up to the horizon; return the number of times.

    ``tally[g, j, kind]`` becomes the number of patients of that kind at the g-th time within the j-th nested
    size; `first_size` says for each patient which size is the first to include them (past the last: none).
    `tally` must come with zeros. A time at which a smaller study loses nobody stays in the list: its step
    then multiplies by exactly 1.
    """
    n_sizes = tally.shape[1] - 1
    group = -1
    last = np.int64(-1)
    for place in range(row.size):
        key = row[place]
        if key == BEYOND:
            break
        code = key >> CODE_SHIFT
        group += code != last
        last = code
        tally[group, first_size[key & INDEX_MASK], (key >> CLASS_SHIFT) & 3] += 1
    for g in range(group + 1):
        for j in range(1, n_sizes):
            for kind in range(3):
                tally[g, j, kind] += tally[g, j - 1, kind]
    return group + 1


@njit(cache=True, nogil=True, error_model="numpy")
def effective_size(row: IntArray, n: int, n_entered: int) -> float:
    """Kish's effective number of patients whose outcome at the horizon is known; weights 1 / P(uncensored).

    `row` holds one replicate's sorted keys; only patients below index `n` count. Without censoring it is
    `n_entered`.
    """
    at_risk = n_entered
    uncensored = 1.0
    total = 0.0
    squares = 0.0
    i = 0
    while i < row.size and row[i] != BEYOND:
        code = row[i] >> CODE_SHIFT
        events = 0
        censored = 0
        while i < row.size and row[i] >> CODE_SHIFT == code:
            if row[i] & INDEX_MASK < n:
                if (row[i] >> CLASS_SHIFT) & 3 == CENSORED:
                    censored += 1
                else:
                    events += 1
            i += 1
        if events > 0:
            total += events / uncensored
            squares += events / (uncensored * uncensored)
        if censored > 0:
            # censoring tied with an event comes after it
            uncensored *= (at_risk - events - censored) / (at_risk - events)
        at_risk -= events + censored
    if at_risk > 0:
        total += at_risk / uncensored
        squares += at_risk / (uncensored * uncensored)
    if squares == 0.0:
        return 0.0
    return total * total / squares
