"""Mean cost under censoring over replicates: the censoring distribution, weighted costs by interval, influences."""

from __future__ import annotations

import numpy as np
from numba import njit

from cmvsim.core.records import FloatArray, IntArray


@njit(cache=True, nogil=True, error_model="numpy")
def spread(row: IntArray, first: IntArray, last: IntArray, component: IntArray, per_day: FloatArray, daily: FloatArray) -> None:
    """Add costs to `daily` (rows, days, components), each on all days from `first` to `last`, in the order given."""
    for k in range(row.size):
        for d in range(first[k], last[k] + 1):
            daily[row[k], d, component[k]] += per_day[k]


@njit(cache=True, nogil=True, error_model="numpy")
def product_limit(
    time: FloatArray,
    complete: FloatArray,
    weight: FloatArray,
    order: IntArray,
    of_death: bool,
    moments: FloatArray,
    before: FloatArray,
    at_risk: FloatArray,
) -> int:
    """Kaplan-Meier of being uncensored, or alive: distinct times, its value just before each, the numbers at risk.

    `order` sorts `time`; `complete` 1 is a death (or the end), 0 a censoring. At a tie the deaths come first: they
    are not at risk of being censored any more. Returns how many distinct times there are.
    """
    n = order.size
    left = 0.0
    for place in range(n):
        left += weight[order[place]]
    m = 0
    K = 1.0
    place = 0
    while place < n:
        t = time[order[place]]
        out = 0.0
        censored = 0.0
        while place < n and time[order[place]] == t:
            i = order[place]
            out += weight[i]
            if complete[i] == 0.0:
                censored += weight[i]
            place += 1
        moments[m] = t
        before[m] = K
        at_risk[m] = left if of_death else left - (out - censored)
        if at_risk[m] > 0.0:
            K *= 1.0 - (out - censored if of_death else censored) / at_risk[m]
        left -= out
        m += 1
    return m


@njit(cache=True, nogil=True, error_model="numpy")
def uncensored_before(time: FloatArray, complete: FloatArray, used: FloatArray, out: FloatArray) -> None:
    """Probability of being uncensored just before each patient's time, (replicates, patients); NaN if not `used`."""
    n_replicates, n_rows = time.shape
    moments = np.empty(n_rows)
    before = np.empty(n_rows)
    at_risk = np.empty(n_rows)
    for r in range(n_replicates):
        order = np.argsort(time[r])
        m = product_limit(time[r], complete[r], used[r], order, False, moments, before, at_risk)
        for i in range(n_rows):
            out[r, i] = before[np.searchsorted(moments[:m], time[r, i])] if used[r, i] > 0.0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def weighted_means(
    cost: FloatArray,
    time: FloatArray,
    complete: FloatArray,
    used: FloatArray,
    ends: FloatArray,
    estimate: FloatArray,
    variance: FloatArray,
    by_interval: FloatArray,
    supported: IntArray,
) -> None:
    """Inverse-probability-of-censoring weighted mean; `cost` (replicates, patients, intervals), `ends` of intervals.

    `variance` is the sum of squared influences over n²; `supported` is 0 where the longest
    history of all is censored within some interval: nobody then speaks for those who went on.
    """
    n_replicates, n_rows, n_intervals = cost.shape
    moments = np.empty(n_rows)
    before = np.empty(n_rows)
    at_risk = np.empty(n_rows)
    influence = np.empty(n_rows)
    for r in range(n_replicates):
        order = np.argsort(time[r])
        m = product_limit(time[r], complete[r], used[r], order, False, moments, before, at_risk)
        n = 0.0
        for i in range(n_rows):
            n += used[r, i]
        influence[:] = 0.0
        gain = np.zeros(m + 1)  # weighted cost still to be completed after each moment
        estimate[r] = 0.0
        variance[r] = 0.0
        supported[r] = 1
        longest_censored = False
        for i in range(n_rows):
            longest_censored |= used[r, i] > 0.0 and complete[r, i] == 0.0 and time[r, i] == moments[m - 1]
        for k in range(n_intervals):
            total = 0.0
            if longest_censored and moments[m - 1] < ends[k]:
                supported[r] = 0
            for i in range(n_rows):
                if used[r, i] == 0.0:
                    continue
                X = min(time[r, i], ends[k])
                if complete[r, i] == 0.0 and time[r, i] < ends[k]:
                    continue
                at = np.searchsorted(moments[:m], X)  # the first moment that is not before X
                weighted = cost[r, i, k] / before[at]
                influence[i] += weighted
                total += weighted
                gain[at] += weighted
            by_interval[r, k] = total / n if n > 0 else np.nan
            estimate[r] += by_interval[r, k]
        # the censorings' part: G(u) dM(u), G the weighted cost of those complete after u per patient at risk
        later = 0.0
        for g in range(m, -1, -1):
            kept = gain[g]
            gain[g] = later
            later += kept
        censored = np.zeros(m)
        for i in range(n_rows):
            if used[r, i] > 0.0 and complete[r, i] == 0.0:
                censored[np.searchsorted(moments[:m], time[r, i])] += 1.0
        compensator = 0.0
        place = 0
        squares = 0.0
        for g in range(m):
            G = gain[g] / at_risk[g] if at_risk[g] > 0.0 else 0.0
            until = compensator  # who dies at a moment is not at risk of being censored at it
            compensator += G * censored[g] / at_risk[g] if at_risk[g] > 0.0 else 0.0
            while place < n_rows and time[r, order[place]] == moments[g]:
                i = order[place]
                if used[r, i] > 0.0:
                    own = G - compensator if complete[r, i] == 0.0 else -until
                    value = influence[i] - estimate[r] + own
                    squares += value * value
                place += 1
        variance[r] = squares / (n * n) if n > 0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def survival_weighted_means(
    cost: FloatArray,
    time: FloatArray,
    complete: FloatArray,
    used: FloatArray,
    starts: FloatArray,
    estimate: FloatArray,
    variance: FloatArray,
    by_interval: FloatArray,
    supported: IntArray,
) -> None:
    """Lin's interval estimator: survival at an interval's start times the mean cost of those observed beyond it.

    `complete` 1 at a time before the last is a death. `by_interval` gets the mean costs; `supported` is 0 where
    nobody is observed beyond a start at which the survival is above 0.
    """
    n_replicates, n_rows, n_intervals = cost.shape
    moments = np.empty(n_rows)
    before = np.empty(n_rows)
    at_risk = np.empty(n_rows)
    influence = np.empty(n_rows)
    for r in range(n_replicates):
        order = np.argsort(time[r])
        m = product_limit(time[r], complete[r], used[r], order, True, moments, before, at_risk)
        deaths = np.zeros(m)
        n = 0.0
        for i in range(n_rows):
            n += used[r, i]
            if used[r, i] > 0.0 and complete[r, i] > 0.0:
                deaths[np.searchsorted(moments[:m], time[r, i])] += 1.0
        influence[:] = 0.0
        estimate[r] = 0.0
        supported[r] = 1
        for k in range(n_intervals):
            until = np.searchsorted(moments[:m], starts[k], side="right") if k > 0 else 0
            S = 1.0
            for g in range(until):
                if at_risk[g] > 0.0:
                    S *= 1.0 - deaths[g] / at_risk[g]
            count = 0.0
            total = 0.0
            for i in range(n_rows):
                if used[r, i] > 0.0 and (k == 0 or time[r, i] > starts[k]):
                    count += 1.0
                    total += cost[r, i, k]
            by_interval[r, k] = total / count if count > 0.0 else np.nan
            if S == 0.0 or n == 0.0:
                continue
            if count == 0.0:
                supported[r] = 0
                continue
            mean = total / count
            estimate[r] += S * mean
            spent = 0.0
            place = 0
            for g in range(m):
                d = deaths[g] / at_risk[g] if at_risk[g] > 0.0 and g < until else 0.0
                step = 1.0 / (at_risk[g] * (1.0 - d)) if d > 0.0 else 0.0
                spent += d * step
                while place < n_rows and time[r, order[place]] == moments[g]:
                    i = order[place]
                    if used[r, i] > 0.0:
                        influence[i] -= S * mean * ((step if complete[r, i] > 0.0 else 0.0) - spent)
                        if k == 0 or time[r, i] > starts[k]:
                            influence[i] += S * (cost[r, i, k] - mean) / count
                    place += 1
        variance[r] = 0.0
        for i in range(n_rows):
            variance[r] += influence[i] * influence[i]
