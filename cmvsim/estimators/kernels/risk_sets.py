"""Risk sets by day within one replicate: the matched controls of each reactivator, and the curve of the censoring."""

from __future__ import annotations

from numba import njit

from cmvsim.core.records import FloatArray, IntArray


@njit(cache=True, nogil=True, error_model="numpy")
def match(
    index: FloatArray, X: IntArray, used: FloatArray, key: IntArray, case: IntArray, start: IntArray, member: IntArray
) -> tuple[int, int]:
    """Fill the sets: `case`, where each begins among the members (`start`), the controls; (sets, members).

    A control of a reactivator at t is observed at t, has no reactivation up to and including t, and shares the key of
    that day; a negative key matches nobody.
    """
    n = index.size
    sets = 0
    found = 0
    start[0] = 0
    for i in range(n):
        if used[i] == 0.0 or not index[i] <= X[i] or index[i] < 0.0:
            continue
        t = int(index[i])
        own = key[i, t]
        if own >= 0:
            for j in range(n):
                if used[j] > 0.0 and X[j] >= t and key[j, t] == own and not index[j] < t + 1.0:
                    member[found] = j
                    found += 1
        case[sets] = i
        sets += 1
        start[sets] = found
    return sets, found


@njit(cache=True, nogil=True, error_model="numpy")
def censoring_by_day(
    X: IntArray, complete: FloatArray, weight: FloatArray, K: FloatArray, Y: FloatArray, hazard: FloatArray
) -> bool:
    """K just before each day, numbers at risk and hazards of censoring; False if the longest history is censored.

    Deaths of a day come before its censorings: the dead are not at risk of being censored on it.
    """
    days = Y.size
    Y[:] = 0.0
    hazard[:] = 0.0
    longest = -1
    for i in range(X.size):
        if weight[i] > 0.0:
            Y[X[i]] += weight[i]
            longest = max(longest, X[i])
            if complete[i] == 0.0:
                hazard[X[i]] += weight[i]
    if longest < 0 or hazard[longest] > 0.0:
        return False
    later = 0.0
    for d in range(days - 1, -1, -1):
        leaving = Y[d]
        Y[d] = later + hazard[d]
        later += leaving
    K[0] = 1.0
    for d in range(days):
        hazard[d] = hazard[d] / Y[d] if Y[d] > 0.0 else 0.0
        K[d + 1] = K[d] * (1.0 - hazard[d])
    return True
