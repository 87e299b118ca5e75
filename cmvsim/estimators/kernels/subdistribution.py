"""Fine and Gray's weighted partial likelihood and the influence of each patient, in O(n p²) sweeps.

Rows come sorted by time and standardised, a covariate to a row of `x`. A patient with a competing event stays in the
risk set with weight G(t-) / G(T-): at each event time the risk set is a sum over those with T >= t, which grows as the
sweep goes back, plus G(t-) times a sum over earlier competing rows, which shrinks. Nothing is quadratic in n. Second
moments are one weighted cross-product at the end, as in Cox regression: each row by the hazard of the risk sets it was in.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from cmvsim.core.records import FloatArray, IntArray
from cmvsim.estimators.kernels.exponential import exponentials
from cmvsim.estimators.kernels.linear import cross_product, linear_predictor, weighted_sums
from cmvsim.estimators.kernels.partial_likelihood import LARGE, RECESSION


@njit(cache=True, nogil=True, error_model="numpy")
def censoring_survivor(time: FloatArray, kind: IntArray, n: int, survivor: FloatArray, own: FloatArray) -> None:
    """Kaplan-Meier of the censoring time, as left limits.

    Fills `survivor` at each row's time, and for competing rows `own` = 1 / G(T-). Events tied
    with a censoring count as at risk of it.
    """
    at_risk = float(n)
    G = 1.0
    i = 0
    while i < n:
        t = time[i]
        first = i
        censored = 0.0
        while i < n and time[i] == t:
            own[i] = 1.0 / G if kind[i] == 2 else 0.0
            censored += kind[i] == 0
            i += 1
        for q in range(first, i):
            survivor[q] = G
        if censored > 0.0:
            G *= (at_risk - censored) / at_risk
        at_risk -= i - first


@njit(cache=True, nogil=True, error_model="numpy")
def weighted_likelihood(
    beta: FloatArray,
    x: FloatArray,
    n: int,
    p: int,
    time: FloatArray,
    kind: IntArray,
    survivor: FloatArray,
    own: FloatArray,
    risk: FloatArray,
    spare: FloatArray,
    sums: FloatArray,
    score: FloatArray,
    information: FloatArray,
) -> float:
    """Log weighted partial likelihood (ties as Breslow); fills `risk`, score and the information's triangle.

    `spare` (3, rows) and `sums` (3, p) are scratch.
    """
    exposure = spare[0]
    eta = spare[1]
    R1 = sums[0]
    A1 = sums[1]
    mean = sums[2]
    A0 = 0.0
    staying = 0.0
    loglik: float = 0.0
    for a in range(p):
        R1[a] = 0.0
        A1[a] = 0.0
        for b in range(a + 1):
            information[a, b] = 0.0
    linear_predictor(x, beta, n, p, eta)
    exponentials(eta, n, risk, exposure)
    for i in range(n):
        if kind[i] == 1:
            loglik += eta[i]
        elif kind[i] == 2:
            r = risk[i] * own[i]
            staying += 1.0
            A0 += r
            for a in range(p):
                A1[a] += r * x[a, i]
    R0 = 0.0
    # hazard by the first row of its time, and the sum of those swept so far, times the survivor of the censoring
    hazard = eta
    after_weighted = 0.0
    product = 1.0
    i = n - 1
    while i >= 0:
        t = time[i]
        last = i
        events = 0.0
        while i >= 0 and time[i] == t:
            r = risk[i]
            R0 += r
            for a in range(p):
                R1[a] += r * x[a, i]
            exposure[i] = 0.0
            hazard[i] = 0.0
            if kind[i] == 1:
                events += 1.0
            elif kind[i] == 2:
                staying -= 1.0
                # the last one out leaves exact zeros, not rounding
                keep = 1.0 if staying > 0.0 else 0.0
                r = risk[i] * own[i]
                A0 = keep * (A0 - r)
                for a in range(p):
                    A1[a] = keep * (A1[a] - r * x[a, i])
                exposure[i] = own[i] * after_weighted
            i -= 1
        if events == 0.0:
            continue
        S0 = R0 + survivor[last] * A0
        if events == 1.0 and 1.0 / LARGE < S0 < LARGE:
            product *= S0
            if not 1.0 / LARGE < product < LARGE:
                loglik -= np.log(product)
                product = 1.0
        else:
            loglik -= events * np.log(S0)
        hazard[i + 1] = events / S0
        after_weighted += survivor[last] * events / S0
        for a in range(p):
            mean[a] = (R1[a] + survivor[last] * A1[a]) / S0
            for b in range(a + 1):
                information[a, b] -= events * mean[a] * mean[b]
    loglik -= np.log(product)
    before = 0.0
    for i in range(n):
        before += hazard[i]
        exposure[i] += before
    for i in range(n):
        # expected events, then those observed less them
        exposure[i] *= risk[i]
        eta[i] = (1.0 if kind[i] == 1 else 0.0) - exposure[i]
    weighted_sums(x, eta, n, p, score)
    cross_product(x, exposure, n, p, spare[2], information)
    return float(loglik)


@njit(cache=True, nogil=True, error_model="numpy")
def influences(
    x: FloatArray,
    n: int,
    p: int,
    time: FloatArray,
    kind: IntArray,
    survivor: FloatArray,
    own: FloatArray,
    risk: FloatArray,
    influence: FloatArray,
) -> None:
    """Fill `influence` (p, rows) with each patient's η + ψ of Fine and Gray (1999), with cmprsk's rule at ties.

    η is the weighted score residual. ψ is what estimating G adds: with A the sums over competing rows strictly
    before u and H, K the sums of G(s-) dΛ(s) and G(s-) mean(s) dΛ(s) over s >= u, q(u) = A1 H - A0 K, spread
    over the martingale of the censoring in u.
    """
    A0 = 0.0
    A1 = np.zeros(p)
    H = 0.0
    K = np.zeros(p)
    Y = 0.0
    staying = 0.0
    hazard = np.zeros(n)
    mean = np.zeros((p, n))
    jump = np.zeros((p, n))
    R0 = 0.0
    R1 = np.zeros(p)
    influence[:] = 0.0
    for i in range(n):
        if kind[i] == 2:
            staying += 1.0
            A0 += risk[i] * own[i]
            for a in range(p):
                A1[a] += risk[i] * own[i] * x[a, i]
    i = n - 1
    while i >= 0:
        t = time[i]
        last = i
        events = 0.0
        censored = 0.0
        while i >= 0 and time[i] == t:
            Y += 1.0
            R0 += risk[i]
            for a in range(p):
                R1[a] += risk[i] * x[a, i]
            if kind[i] == 1:
                events += 1.0
            elif kind[i] == 0:
                censored += 1.0
            else:
                r = risk[i] * own[i]
                staying -= 1.0
                keep = 1.0 if staying > 0.0 else 0.0
                A0 = keep * (A0 - r)
                for a in range(p):
                    A1[a] = keep * (A1[a] - r * x[a, i])
                    # event times after the own competing event, at which the weight is G(s-) / G(T-)
                    influence[a, i] -= r * (x[a, i] * H - K[a])
            i -= 1
        if events > 0.0:
            S0 = R0 + survivor[last] * A0
            hazard[last] = events / S0
            for a in range(p):
                mean[a, last] = (R1[a] + survivor[last] * A1[a]) / S0
            H += survivor[last] * hazard[last]
            for a in range(p):
                K[a] += survivor[last] * mean[a, last] * hazard[last]
        if censored > 0.0:
            for a in range(p):
                share = (A1[a] * H - A0 * K[a]) / Y
                jump[a, last] = share * censored / Y
                for row in range(i + 1, last + 1):
                    if kind[row] == 0:
                        influence[a, row] += share
    # forward: what each patient met up to the own time
    total = 0.0
    total_mean = np.zeros(p)
    compensator = np.zeros(p)
    i = 0
    while i < n:
        first = i
        while i < n and time[i] == time[first]:
            i += 1
        last = i - 1
        total += hazard[last]
        for a in range(p):
            total_mean[a] += hazard[last] * mean[a, last]
            compensator[a] += jump[a, last]
        for a in range(p):
            for q in range(first, i):
                influence[a, q] -= risk[q] * (x[a, q] * total - total_mean[a]) + compensator[a]
                if kind[q] == 1:
                    influence[a, q] += x[a, q] - mean[a, last]


@njit(cache=True, nogil=True, error_model="numpy")
def subdistribution_recedes(direction: FloatArray, x: FloatArray, n: int, p: int, time: FloatArray, kind: IntArray) -> bool:
    """Whether each event has the largest xδ of its risk set, which holds earlier competing rows too."""
    along = np.zeros(n)
    low_before = np.full(n + 1, np.inf)
    high_before = np.full(n + 1, -np.inf)
    low = np.inf
    high = -np.inf
    for i in range(n):
        for a in range(p):
            along[i] += x[a, i] * direction[a]
        low = min(low, along[i])
        high = max(high, along[i])
        low_before[i + 1] = min(low_before[i], along[i]) if kind[i] == 2 else low_before[i]
        high_before[i + 1] = max(high_before[i], along[i]) if kind[i] == 2 else high_before[i]
    margin = RECESSION * (high - low)
    strict = False
    lowest = np.inf
    highest = -np.inf
    i = n - 1
    while i >= 0:
        last = i
        while i >= 0 and time[i] == time[last]:
            lowest = min(lowest, along[i])
            highest = max(highest, along[i])
            i -= 1
        for q in range(i + 1, last + 1):
            if kind[q] == 1:
                if max(highest, high_before[i + 1]) > along[q] + margin:
                    return False
                strict |= min(lowest, low_before[i + 1]) < along[q] - margin
    return strict
