"""The plain Aalen-Johansen loop for what the packed sweep leaves out: late entry, weights, many times."""

from __future__ import annotations

import numpy as np
from numba import njit

from cmvsim.core.records import BoolArray, FloatArray, IntArray

AALEN = 0
GREENWOOD = 1
JACKKNIFE = 2


@njit(cache=True, nogil=True, error_model="numpy")
def effective_size_general(
    time: FloatArray,
    kind: IntArray,
    entry: FloatArray,
    weight: FloatArray,
    by_exit: IntArray,
    n: int,
    horizon: float,
    late_entry: bool,
) -> float:
    """Effective number of patients behind an estimate of 0 or 1; see ``competing`` for the reasoning.

    Kish's formula with weight / P(uncensored), or, with late entry, with weight times the observed share of
    the time from the first entry to the horizon.
    """
    total = 0.0
    squares = 0.0
    if late_entry:
        first = np.inf
        for i in range(n):
            if kind[i] >= 0:
                first = min(first, entry[i])
        if not first < horizon:
            return 0.0
        for i in range(n):
            if kind[i] < 0:
                continue
            last = horizon if kind[i] > 0 and time[i] <= horizon else min(time[i], horizon)
            share = max(last - entry[i], 0.0) / (horizon - first)
            total += weight[i] * share
            squares += weight[i] * weight[i] * share
        return total * total / squares if squares > 0.0 else 0.0
    at_risk = 0.0
    for i in range(n):
        if kind[i] >= 0:
            at_risk += weight[i]
    uncensored = 1.0
    place = 0
    while place < by_exit.size:
        t = time[by_exit[place]]
        events = 0.0
        event_squares = 0.0
        censored = 0.0
        n_left = 0
        while place < by_exit.size and time[by_exit[place]] == t:
            i = by_exit[place]
            place += 1
            if i >= n or kind[i] < 0:
                continue
            if t > horizon or (t == horizon and kind[i] == 0):
                total += weight[i] / uncensored
                squares += weight[i] * weight[i] / (uncensored * uncensored)
            elif kind[i] > 0:
                events += weight[i]
                event_squares += weight[i] * weight[i]
            else:
                censored += weight[i]
                n_left += 1
        total += events / uncensored
        squares += event_squares / (uncensored * uncensored)
        if n_left > 0 and at_risk - events > censored:
            uncensored *= (at_risk - events - censored) / (at_risk - events)
        at_risk -= events + censored
    return total * total / squares if squares > 0.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def jackknife_variance(
    kind: IntArray,
    weight: FloatArray,
    n: int,
    first_group: IntArray,
    exit_group: IntArray,
    n_groups: int,
    before: FloatArray,
    after: FloatArray,
    incidence: FloatArray,
    at_risk: FloatArray,
    a1: FloatArray,
    a2: FloatArray,
) -> float:
    """Infinitesimal jackknife: the sum over patients of (weight × derivative of F(h) by weight)².

    The derivative is a patient's own jump minus what being at risk contributed to the denominators; with
    c = (F(h) - F(t)) / S(t), a jump of interest is worth S(t-)/Y (1 - c) and a competing one -S(t-)/Y c.
    """
    final = incidence[n_groups - 1] if n_groups > 0 else 0.0
    exposure = np.zeros(n_groups + 1)
    later = np.zeros(n_groups)
    for k in range(n_groups):
        later[k] = (final - incidence[k]) / after[k] if after[k] > 0.0 else 0.0
        per_patient = before[k] / at_risk[k] * (a1[k] * (1.0 - later[k]) - a2[k] * later[k])
        exposure[k + 1] = exposure[k] + per_patient
    total = 0.0
    for i in range(n):
        if kind[i] < 0 or first_group[i] >= n_groups:
            continue
        k = exit_group[i]
        influence = exposure[first_group[i]] - exposure[min(k + 1, n_groups)]
        if k < n_groups and kind[i] == 1:
            influence += before[k] / at_risk[k] * (1.0 - later[k])
        elif k < n_groups and kind[i] == 2:
            influence -= before[k] / at_risk[k] * later[k]
        total += (weight[i] * influence) ** 2
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def sweep_general(
    time: FloatArray,
    kind: IntArray,
    entry: FloatArray,
    weight: FloatArray,
    by_exit: IntArray,
    by_entry: IntArray,
    n: int,
    horizons: FloatArray,
    method: int,
    late_entry: bool,
    estimate: FloatArray,
    survival: FloatArray,
    variance: FloatArray,
    at_risk_at: FloatArray,
    events: IntArray,
    certain: BoolArray,
    effective: FloatArray,
) -> None:
    """One data set, its first `n` rows, ascending `horizons`; fills outputs of the horizons' length.

    `kind` is -1 (not in the analysis), 0 censored, 1 of interest, 2 competing; excluded rows carry time =
    +inf. At risk at t: entry < t <= time. Weighted counts enter `AALEN` and `GREENWOOD` as counts of
    identical patients do; only `JACKKNIFE` treats them as case weights. `at_risk_at` is taken at the first
    exit time at or after each horizon, as R's summary of a survfit prints it.
    """
    size = by_exit.size
    before = np.empty(size)
    after = np.empty(size)
    incidence = np.empty(size)
    risk = np.empty(size)
    a1s = np.empty(size)
    a2s = np.empty(size)
    first_group = np.full(time.size, size + 1)
    exit_group = np.full(time.size, size + 1)
    Y = 0.0
    n_at_risk = 0
    F = 0.0
    S = 1.0
    v_ff = 0.0
    v_fs = 0.0
    v_ss = 0.0
    of_interest = 0
    competed = False
    k = 0
    place = 0
    arriving = 0
    to_count = 0
    to_report = 0
    done = False
    while not done:
        while place < size and (by_exit[place] >= n or kind[by_exit[place]] < 0):
            place += 1
        t = time[by_exit[place]] if place < size else np.inf
        finished = place >= size
        while to_report < horizons.size and (horizons[to_report] < t or finished):
            h = to_report
            estimate[h] = F
            survival[h] = S
            events[h] = of_interest
            certain[h] = S == 0.0 and not competed
            variance[h] = v_ff
            if method == JACKKNIFE:
                variance[h] = jackknife_variance(
                    kind, weight, n, first_group, exit_group, k, before, after, incidence, risk, a1s, a2s
                )
            if of_interest == 0 or certain[h]:
                effective[h] = effective_size_general(time, kind, entry, weight, by_exit, n, horizons[h], late_entry)
            to_report += 1
        if not finished:
            while arriving < size and entry[by_entry[arriving]] < t:
                i = by_entry[arriving]
                arriving += 1
                if i < n and kind[i] >= 0:
                    Y += weight[i]
                    n_at_risk += 1
                    first_group[i] = k
        while to_count < horizons.size and (horizons[to_count] <= t or finished):
            at_risk_at[to_count] = 0.0 if finished else Y
            to_count += 1
        if finished or (to_report == horizons.size and to_count == horizons.size):
            done = True
            continue
        d1 = 0.0
        d2 = 0.0
        leaving = 0.0
        n1 = 0
        n2 = 0
        n_leaving = 0
        while place < size and time[by_exit[place]] == t:
            i = by_exit[place]
            place += 1
            if i >= n or kind[i] < 0:
                continue
            leaving += weight[i]
            n_leaving += 1
            exit_group[i] = k
            if kind[i] == 1:
                d1 += weight[i]
                n1 += 1
            elif kind[i] == 2:
                d2 += weight[i]
                n2 += 1
        a1 = d1 / Y
        a2 = d2 / Y
        # the count decides when the risk set is empty: weights need not cancel to the last bit
        q = 0.0 if n1 + n2 == n_at_risk else (Y - d1 - d2) / Y
        if method == AALEN:
            s1 = S * S * d1 / (Y * Y)
            s2 = S * S * d2 / (Y * Y)
            if d1 > 1.0:
                s1 *= 1.0 - (d1 - 1.0) / (Y - 1.0)
            if d2 > 1.0:
                s2 *= 1.0 - (d2 - 1.0) / (Y - 1.0)
            s12 = 0.0
        else:
            s1 = S * S * a1 * (1.0 - a1) / Y
            s2 = S * S * a2 * (1.0 - a2) / Y
            s12 = -S * S * a1 * a2 / Y
        v_ff = max(v_ff + a1 * (2.0 * v_fs + a1 * v_ss) + s1, 0.0)
        v_fs = q * (v_fs + a1 * v_ss) - s1 - s12
        v_ss = q * q * v_ss + s1 + s2 + 2.0 * s12
        if q == 0.0:
            # nobody left to carry earlier noise on; with late entry the sweep goes on at S = 0
            v_fs = 0.0
            v_ss = 0.0
        before[k] = S
        risk[k] = Y
        a1s[k] = a1
        a2s[k] = a2
        if n2 > 0 and S > 0.0:
            competed = True
        F += S * a1
        S *= q
        after[k] = S
        incidence[k] = F
        of_interest += n1
        k += 1
        Y -= leaving
        n_at_risk -= n_leaving
        if n_at_risk == 0:
            Y = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def sweep_general_batch(
    time: FloatArray,
    kind: IntArray,
    entry: FloatArray,
    weight: FloatArray,
    by_exit: IntArray,
    by_entry: IntArray,
    sizes: IntArray,
    horizon: float,
    method: int,
    late_entry: bool,
    estimate: FloatArray,
    survival: FloatArray,
    variance: FloatArray,
    events: IntArray,
    certain: BoolArray,
    effective: FloatArray,
) -> None:
    """:func:`sweep_general` over replicates and nested sizes at one horizon; outputs (replicates, sizes)."""
    horizons = np.full(1, horizon)
    at_risk_at = np.empty(1)
    for r in range(time.shape[0]):
        for j in range(sizes.size):
            sweep_general(
                time[r],
                kind[r],
                entry[r],
                weight[r],
                by_exit[r],
                by_entry[r],
                sizes[j],
                horizons,
                method,
                late_entry,
                estimate[r, j : j + 1],
                survival[r, j : j + 1],
                variance[r, j : j + 1],
                at_risk_at,
                events[r, j : j + 1],
                certain[r, j : j + 1],
                effective[r, j : j + 1],
            )
