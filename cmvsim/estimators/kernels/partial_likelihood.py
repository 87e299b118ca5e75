"""Cox partial likelihood: one backward sweep per evaluation, one more for the score residuals.

Rows come sorted by (stratum, exit) and standardised. A risk set grows as the sweep goes back in time; with
late entry a second pointer, over the order of entries, takes out those not yet in it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from cmvsim.core.records import BoolArray, FloatArray, IntArray

RECESSION = 1e-6
"""Share of the spread of the direction's scores by which rounding may break the order that proves separation."""


@njit(cache=True, nogil=True, error_model="numpy")
def partial_likelihood(
    beta: FloatArray,
    x: FloatArray,
    n: int,
    p: int,
    time: FloatArray,
    dead: BoolArray,
    weight: FloatArray,
    segment: IntArray,
    late: bool,
    entry: FloatArray,
    by_entry: IntArray,
    efron: bool,
    risk: FloatArray,
    score: FloatArray,
    information: FloatArray,
) -> float:
    """Log partial likelihood at `beta`; fills `risk` = exp(xβ), score and the information's lower triangle.

    Efron with weights as in R: each of d tied deaths takes the mean weight of the d.
    """
    S1 = np.zeros(p)
    S2 = np.zeros((p, p))
    D1 = np.zeros(p)
    D2 = np.zeros((p, p))
    mean = np.empty(p)
    loglik = 0.0
    for a in range(p):
        score[a] = 0.0
        for b in range(a + 1):
            information[a, b] = 0.0
    for i in range(n):
        eta = 0.0
        for a in range(p):
            eta += x[i, a] * beta[a]
        risk[i] = np.exp(eta)
        if dead[i]:
            loglik += weight[i] * eta
            for a in range(p):
                score[a] += weight[i] * x[i, a]
    i = n - 1
    while i >= 0:
        start = segment[i]
        S0 = 0.0
        arriving = i
        for a in range(p):
            S1[a] = 0.0
            for b in range(a + 1):
                S2[a, b] = 0.0
        while i >= start:
            t = time[i]
            last = i
            deaths = 0
            death_weight = 0.0
            while i >= start and time[i] == t:
                r = risk[i] * weight[i]
                S0 += r
                for a in range(p):
                    rx = r * x[i, a]
                    S1[a] += rx
                    for b in range(a + 1):
                        S2[a, b] += rx * x[i, b]
                if dead[i]:
                    deaths += 1
                    death_weight += weight[i]
                i -= 1
            if deaths == 0:
                continue
            if late:
                while arriving >= start and entry[by_entry[arriving]] >= t:
                    q = by_entry[arriving]
                    r = risk[q] * weight[q]
                    S0 -= r
                    for a in range(p):
                        rx = r * x[q, a]
                        S1[a] -= rx
                        for b in range(a + 1):
                            S2[a, b] -= rx * x[q, b]
                    arriving -= 1
            if deaths == 1 or not efron:
                loglik -= death_weight * np.log(S0)
                for a in range(p):
                    mean[a] = S1[a] / S0
                    score[a] -= death_weight * mean[a]
                    for b in range(a + 1):
                        information[a, b] += death_weight * (S2[a, b] / S0 - mean[a] * mean[b])
                continue
            D0 = 0.0
            for a in range(p):
                D1[a] = 0.0
                for b in range(a + 1):
                    D2[a, b] = 0.0
            for q in range(i + 1, last + 1):
                if dead[q]:
                    r = risk[q] * weight[q]
                    D0 += r
                    for a in range(p):
                        rx = r * x[q, a]
                        D1[a] += rx
                        for b in range(a + 1):
                            D2[a, b] += rx * x[q, b]
            each = death_weight / deaths
            for k in range(deaths):
                gone = k / deaths
                s0 = S0 - gone * D0
                loglik -= each * np.log(s0)
                for a in range(p):
                    mean[a] = (S1[a] - gone * D1[a]) / s0
                    score[a] -= each * mean[a]
                    for b in range(a + 1):
                        information[a, b] += each * ((S2[a, b] - gone * D2[a, b]) / s0 - mean[a] * mean[b])
    return loglik


@njit(cache=True, nogil=True, error_model="numpy")
def score_residuals(
    x: FloatArray,
    n: int,
    p: int,
    time: FloatArray,
    dead: BoolArray,
    weight: FloatArray,
    segment: IntArray,
    late: bool,
    entry: FloatArray,
    by_entry: IntArray,
    efron: bool,
    risk: FloatArray,
    residual: FloatArray,
) -> None:
    """Weighted score residuals w ∫ (x - mean) dM of every row, O(n p) from sums of the hazard over time.

    A tied death under Efron is in the risk set of the k-th of d with share 1 - k/d.
    """
    # per death time, latest first: its time, Σ h and Σ h·mean over the ties, the same with the deaths' shares,
    # and the average mean
    at = np.empty(n)
    whole = np.zeros((n, p + 1))
    part = np.zeros((n, p + 1))
    centre = np.zeros((n, p))
    first = np.empty(n, dtype=np.int64)
    S1 = np.zeros(p)
    D1 = np.zeros(p)
    i = n - 1
    while i >= 0:
        start = segment[i]
        end = i
        arriving = i
        S0 = 0.0
        S1[:] = 0.0
        n_times = 0
        while i >= start:
            t = time[i]
            last = i
            deaths = 0
            death_weight = 0.0
            D0 = 0.0
            D1[:] = 0.0
            while i >= start and time[i] == t:
                r = risk[i] * weight[i]
                S0 += r
                for a in range(p):
                    S1[a] += r * x[i, a]
                if dead[i]:
                    deaths += 1
                    death_weight += weight[i]
                    D0 += r
                    for a in range(p):
                        D1[a] += r * x[i, a]
                i -= 1
            # the death times at or before this exit are those not yet listed, and this one
            for q in range(i + 1, last + 1):
                first[q] = n_times
            if deaths == 0:
                continue
            while late and arriving >= start and entry[by_entry[arriving]] >= t:
                q = by_entry[arriving]
                r = risk[q] * weight[q]
                S0 -= r
                for a in range(p):
                    S1[a] -= r * x[q, a]
                arriving -= 1
            g = n_times
            n_times += 1
            at[g] = t
            whole[g] = 0.0
            part[g] = 0.0
            centre[g] = 0.0
            ties = deaths if efron else 1
            for k in range(ties):
                gone = k / deaths
                s0 = S0 - gone * D0
                h = death_weight / ties / s0
                whole[g, p] += h
                part[g, p] += (1.0 - gone) * h
                for a in range(p):
                    m = (S1[a] - gone * D1[a]) / s0
                    whole[g, a] += h * m
                    part[g, a] += (1.0 - gone) * h * m
                    centre[g, a] += m / ties
        # from the earliest time on: whole[g] becomes the sum over death times up to and including g
        for g in range(n_times - 2, -1, -1):
            for a in range(p + 1):
                whole[g, a] += whole[g + 1, a]
        for q in range(start, end + 1):
            g = first[q]
            own = dead[q]
            for a in range(p):
                residual[q, a] = x[q, a] - centre[g, a] if own else 0.0
            if own:
                for a in range(p):
                    residual[q, a] -= risk[q] * (x[q, a] * part[g, p] - part[g, a])
                g += 1
            if g < n_times:
                for a in range(p):
                    residual[q, a] -= risk[q] * (x[q, a] * whole[g, p] - whole[g, a])
        if late:
            g = 0
            for place in range(end, start - 1, -1):
                q = by_entry[place]
                while g < n_times and at[g] > entry[q]:
                    g += 1
                if g < n_times:
                    for a in range(p):
                        residual[q, a] += risk[q] * (x[q, a] * whole[g, p] - whole[g, a])
        for q in range(start, end + 1):
            for a in range(p):
                residual[q, a] *= weight[q]


@njit(cache=True, nogil=True, error_model="numpy")
def recedes(
    direction: FloatArray,
    x: FloatArray,
    n: int,
    p: int,
    time: FloatArray,
    dead: BoolArray,
    segment: IntArray,
    late: bool,
    entry: FloatArray,
) -> bool:
    """Whether the likelihood never falls along `direction`: each death has the largest xδ of its risk set.

    If so, and some risk set is not level, there is no maximum: that proves separation (Bryson and Johnson
    1981).
    """
    along = np.zeros(n)
    low = np.inf
    high = -np.inf
    for i in range(n):
        for a in range(p):
            along[i] += x[i, a] * direction[a]
        low = min(low, along[i])
        high = max(high, along[i])
    margin = RECESSION * (high - low)
    strict = False
    i = n - 1
    stop = n
    lowest = np.inf
    highest = -np.inf
    while i >= 0:
        if segment[i] != segment[min(i + 1, n - 1)]:
            stop = i + 1
            lowest = np.inf
            highest = -np.inf
        last = i
        while i >= segment[last] and time[i] == time[last]:
            lowest = min(lowest, along[i])
            highest = max(highest, along[i])
            i -= 1
        for q in range(i + 1, last + 1):
            if not dead[q]:
                continue
            if late:
                # a risk set that also loses rows keeps no running extremes
                lowest = along[q]
                highest = along[q]
                for other in range(i + 1, stop):
                    if entry[other] < time[q]:
                        lowest = min(lowest, along[other])
                        highest = max(highest, along[other])
            if highest > along[q] + margin:
                return False
            strict |= lowest < along[q] - margin
    return strict
