"""Sweeps over sorted keys: area under a cumulative incidence, cumulative hazard, and every step of a survival curve."""

from __future__ import annotations

import numpy as np
from numba import njit

from cmvsim.core.records import FloatArray, IntArray
from cmvsim.estimators.kernels.packing import (
    BEYOND,
    CENSORED,
    CLASS_SHIFT,
    CODE_SHIFT,
    COMPETING,
    INDEX_MASK,
    OF_INTEREST,
    effective_size,
    tally_times,
)


@njit(cache=True, nogil=True, error_model="numpy")
def _distinct_times(row: IntArray, time: FloatArray, at: FloatArray) -> None:
    """The time of each group of equal codes, in order."""
    group = -1
    last = np.int64(-1)
    for place in range(row.size):
        key = row[place]
        if key == BEYOND:
            break
        code = key >> CODE_SHIFT
        if code != last:
            group += 1
            at[group] = time[key & INDEX_MASK]
        last = code


@njit(cache=True, nogil=True, error_model="numpy")
def sweep_lost_time(
    keys: IntArray,
    time: FloatArray,
    entered: IntArray,
    sizes: IntArray,
    first_size: IntArray,
    tally: IntArray,
    tau: float,
    estimate: FloatArray,
    variance: FloatArray,
    events: IntArray,
    effective: FloatArray,
) -> None:
    """Area under the cumulative incidence of interest up to `tau`, and its variance, (replicates, sizes).

    An increment of interest at t is worth S(t-)/Y (tau - t - C), a competing one -S(t-)/Y C, with C the area of
    (F - F(t)) / S(t) from t on; the increments at a time are multinomial. `effective` is filled without events.
    """
    n_patients = keys.shape[1]
    at = np.empty(n_patients)
    before = np.empty(n_patients)
    after = np.empty(n_patients)
    F = np.empty(n_patients)
    a1 = np.empty(n_patients)
    a2 = np.empty(n_patients)
    at_risk = np.empty(n_patients)
    for r in range(keys.shape[0]):
        n_times = tally_times(keys[r], first_size, tally)
        _distinct_times(keys[r], time[r], at)
        for j in range(sizes.size):
            Y = float(entered[r, j])
            S = 1.0
            incidence = 0.0
            seen = 0
            for g in range(n_times):
                Y = max(Y, 1.0)  # nobody at risk: nobody leaves either
                d1 = tally[g, j, OF_INTEREST]
                d2 = tally[g, j, COMPETING]
                before[g] = S
                at_risk[g] = Y
                a1[g] = d1 / Y
                a2[g] = d2 / Y
                incidence += S * a1[g]
                S *= (Y - d1 - d2) / Y
                after[g] = S
                F[g] = incidence
                seen += d1
                Y -= d1 + d2 + tally[g, j, CENSORED]
            area = 0.0
            total = 0.0
            end = tau
            for g in range(n_times - 1, -1, -1):
                area += F[g] * (end - at[g])
                end = at[g]
                remaining = tau - at[g]
                C = (area - F[g] * remaining) / after[g] if after[g] > 0.0 else 0.0
                own = remaining - C
                spread = a1[g] * (1.0 - a1[g]) * own * own + a2[g] * (1.0 - a2[g]) * C * C
                spread += 2.0 * a1[g] * a2[g] * own * C
                total += before[g] * before[g] / at_risk[g] * spread
            estimate[r, j] = area
            variance[r, j] = total
            events[r, j] = seen
            if seen == 0:
                effective[r, j] = effective_size(keys[r], sizes[j], entered[r, j])
        tally[:n_times] = 0


@njit(cache=True, nogil=True, error_model="numpy")
def sweep_hazard(
    keys: IntArray,
    entered: IntArray,
    one_by_one: bool,
    hazard: FloatArray,
    variance: FloatArray,
    events: IntArray,
    effective: FloatArray,
) -> None:
    """Cumulative hazard of interest over all keys and the sum of 1 / Y² terms, one per replicate.

    With `one_by_one` tied events leave one after the other (Fleming and Harrington), else together (Nelson, Aalen).
    """
    for r in range(keys.shape[0]):
        row = keys[r]
        Y = float(entered[r, 0])
        H = 0.0
        V = 0.0
        seen = 0
        place = 0
        while place < row.size and row[place] != BEYOND:
            code = row[place] >> CODE_SHIFT
            d = 0
            left = 0
            while place < row.size and row[place] != BEYOND and row[place] >> CODE_SHIFT == code:
                d += (row[place] >> CLASS_SHIFT) & 3 == OF_INTEREST
                left += 1
                place += 1
            if one_by_one:
                for k in range(d):
                    H += 1.0 / (Y - k)
                    V += 1.0 / ((Y - k) * (Y - k))
            elif d > 0:
                H += d / Y
                V += d / (Y * Y)
            seen += d
            Y -= left
        hazard[r] = H
        variance[r] = V
        events[r] = seen
        if seen == 0:
            effective[r] = effective_size(row, row.size, entered[r, 0])


@njit(cache=True, nogil=True, error_model="numpy")
def survival_steps(
    keys: IntArray, time: FloatArray, entered: IntArray, at: FloatArray, survival: FloatArray, variance: FloatArray
) -> None:
    """Event times, S just after each and Greenwood's variance, (replicates, patients), NaN after the last."""
    for r in range(keys.shape[0]):
        row = keys[r]
        Y = float(entered[r, 0])
        S = 1.0
        greenwood = 0.0
        n_steps = 0
        place = 0
        while place < row.size and row[place] != BEYOND:
            code = row[place] >> CODE_SHIFT
            t = time[r, row[place] & INDEX_MASK]
            d = 0
            left = 0
            while place < row.size and row[place] != BEYOND and row[place] >> CODE_SHIFT == code:
                d += (row[place] >> CLASS_SHIFT) & 3 != CENSORED
                left += 1
                place += 1
            if d > 0:
                S *= (Y - d) / Y
                if d < Y:
                    greenwood += d / (Y * (Y - d))
                at[r, n_steps] = t
                survival[r, n_steps] = S
                variance[r, n_steps] = S * S * greenwood
                n_steps += 1
            Y -= left
        at[r, n_steps:] = np.nan
        survival[r, n_steps:] = np.nan
        variance[r, n_steps:] = np.nan
