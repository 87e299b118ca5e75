"""Cox partial likelihood: one backward sweep per evaluation, one more for the score residuals.

Rows come sorted by (stratum, exit) and standardised, a covariate to a row of `x`, so that the processor works on several
patients at once. A risk set grows as the sweep goes back in time; with late entry a second pointer, over the order of
entries, takes out those not yet in it.

Second moments are not summed in every risk set. A row is in the risk sets between its entry and its exit, so that

    Σ over deaths of S2 / S0  =  Σ over rows of  r x x' ∫ dΛ,   Λ the cumulative hazard at β (Breslow's or Efron's),

one weighted cross-product at the end of the sweep. A tied death under Efron is in the k-th of d risk sets with share 1 - k/d.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from cmvsim.core.records import BoolArray, FloatArray, IntArray
from cmvsim.estimators.kernels.exponential import exponentials
from cmvsim.estimators.kernels.linear import cross_product, dot, linear_predictor, weighted_sums

RECESSION = 1e-6
"""Share of the spread of the direction's scores by which rounding may break the order that proves separation."""
LARGE = 1e100
"""Products of risk-set sums up to this size, or down to its inverse, wait for one logarithm together."""


BEGIN, STOP, LAST, DEATHS, OPENS, CLOSES = 0, 1, 2, 3, 4, 5
"""Rows of the table of death times: see :func:`death_times`."""


@njit(cache=True, nogil=True, error_model="numpy")
def death_times(time: FloatArray, mark: FloatArray, segment: IntArray, n: int, table: IntArray, toll: FloatArray) -> int:
    """List the distinct death times of each stratum, latest first; returns how many there are.

    A column of `table` (6, rows): the rows from BEGIN to before STOP come into the risk set with this time, those from BEGIN
    to LAST leave at it, DEATHS of them die; whether it is the latest (OPENS) or earliest (CLOSES) of its stratum. `toll` is
    the weight of the deaths, `mark` that of each row, 0 where it does not die.
    """
    found = 0
    i = n - 1
    while i >= 0:
        start = segment[i]
        stop = i + 1
        opens = 1
        while i >= start:
            last = i
            deaths = 0
            total = 0.0
            while i >= start and time[i] == time[last]:
                # rows of a death have a positive mark: no branch that the processor would guess wrong
                deaths += mark[i] > 0.0
                total += mark[i]
                i -= 1
            if deaths == 0:
                continue
            table[BEGIN, found] = i + 1
            table[STOP, found] = stop
            table[LAST, found] = last
            table[DEATHS, found] = deaths
            table[OPENS, found] = opens
            table[CLOSES, found] = 0
            toll[found] = total
            stop = i + 1
            opens = 0
            found += 1
        if opens == 0:
            table[CLOSES, found - 1] = 1
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def expose(
    mark: FloatArray,
    segment: IntArray,
    n: int,
    n_times: int,
    table: IntArray,
    hazard: FloatArray,
    spared: FloatArray,
    time: FloatArray,
    late: bool,
    entry: FloatArray,
    by_entry: IntArray,
    exposure: FloatArray,
    before: FloatArray,
) -> None:
    """Fill `exposure` with the hazard that each row met between entry and exit; `before` is scratch.

    From the earliest time on: where some risks are huge the later hazards are, too, and a difference of sums from the other end
    would keep nothing of the early ones.
    """
    for i in range(n):
        exposure[i] = 0.0
    if late:
        for i in range(n):
            before[i] = 0.0
    total = 0.0
    entering = 0
    for g in range(n_times - 1, -1, -1):
        begin = table[BEGIN, g]
        if table[CLOSES, g] == 1:
            total = 0.0
            entering = segment[begin]
        while late and entering < n and segment[entering] == segment[begin] and entry[by_entry[entering]] < time[begin]:
            before[by_entry[entering]] = total
            entering += 1
        total += hazard[g]
        for i in range(begin, table[STOP, g]):
            exposure[i] = total
        if table[DEATHS, g] > 1:
            for i in range(begin, table[LAST, g] + 1):
                exposure[i] -= spared[g] if mark[i] > 0.0 else 0.0
        if table[OPENS, g] == 1:
            while late and entering < n and segment[entering] == segment[begin]:
                before[by_entry[entering]] = total
                entering += 1
    if late:
        for i in range(n):
            exposure[i] -= before[i]


@njit(cache=True, nogil=True, error_model="numpy")
def partial_likelihood(
    beta: FloatArray,
    x: FloatArray,
    n: int,
    p: int,
    time: FloatArray,
    mark: FloatArray,
    weight: FloatArray,
    segment: IntArray,
    n_times: int,
    table: IntArray,
    toll: FloatArray,
    late: bool,
    entry: FloatArray,
    by_entry: IntArray,
    efron: bool,
    risk: FloatArray,
    spare: FloatArray,
    means: FloatArray,
    sums: FloatArray,
    score: FloatArray,
    information: FloatArray,
) -> float:
    """Log partial likelihood at `beta`; fills `risk` = exp(xβ), score and the information's lower triangle.

    `mark`, `table` and `toll` as of :func:`death_times`; `spare` (6, rows), `means` (p, rows) and
    `sums` (2, p) are scratch. Efron with weights
    as in R: each of d tied deaths takes the mean weight of the d.
    """
    eta = spare[0]
    load = spare[1]
    exposure = spare[2]
    lost = spare[3]
    spared = spare[4]
    S1 = sums[0]
    D1 = sums[1]
    linear_predictor(x, beta, n, p, eta)
    exponentials(eta, n, risk, load)
    for i in range(n):
        load[i] = risk[i] * weight[i]
    loglik: float = dot(mark, eta, n)
    hazard = eta
    product = 1.0
    S0 = 0.0
    arriving = 0
    terms = 0
    for g in range(n_times):
        begin = table[BEGIN, g]
        stop = table[STOP, g]
        if table[OPENS, g] == 1:
            S0 = 0.0
            arriving = stop - 1
            for a in range(p):
                S1[a] = 0.0
        for i in range(begin, stop):
            S0 += load[i]
        for a in range(p):
            total = S1[a]
            for i in range(begin, stop):
                total += load[i] * x[a, i]
            S1[a] = total
        if late:
            t = time[begin]
            while arriving >= segment[begin] and entry[by_entry[arriving]] >= t:
                q = by_entry[arriving]
                S0 -= load[q]
                for a in range(p):
                    S1[a] -= load[q] * x[a, q]
                arriving -= 1
        deaths = table[DEATHS, g]
        if deaths == 1 or not efron:
            if toll[g] == 1.0 and 1.0 / LARGE < S0 < LARGE:
                product *= S0
                if not 1.0 / LARGE < product < LARGE:
                    loglik -= np.log(product)
                    product = 1.0
            else:
                loglik -= toll[g] * np.log(S0)
            inverse = 1.0 / S0
            hazard[g] = toll[g] * inverse
            spared[g] = 0.0
            lost[terms] = -toll[g]
            for a in range(p):
                means[a, terms] = S1[a] * inverse
            terms += 1
        else:
            D0 = 0.0
            for a in range(p):
                D1[a] = 0.0
            for q in range(begin, table[LAST, g] + 1):
                if mark[q] > 0.0:
                    D0 += load[q]
                    for a in range(p):
                        D1[a] += load[q] * x[a, q]
            each = toll[g] / deaths
            hazard[g] = 0.0
            spared[g] = 0.0
            for k in range(deaths):
                gone = k / deaths
                s0 = S0 - gone * D0
                loglik -= each * np.log(s0)
                inverse = 1.0 / s0
                hazard[g] += each * inverse
                spared[g] += gone * each * inverse
                lost[terms] = -each
                for a in range(p):
                    means[a, terms] = (S1[a] - gone * D1[a]) * inverse
                terms += 1
    loglik -= np.log(product)
    expose(mark, segment, n, n_times, table, hazard, spared, time, late, entry, by_entry, exposure, spare[5])
    for i in range(n):
        # expected events, then those observed less them
        exposure[i] *= load[i]
        eta[i] = mark[i] - exposure[i]
    weighted_sums(x, eta, n, p, score)
    for a in range(p):
        for b in range(a + 1):
            information[a, b] = 0.0
    cross_product(x, exposure, n, p, load, information)
    cross_product(means, lost, terms, p, load, information)
    return float(loglik)


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
    hazards: FloatArray,
    places: IntArray,
    residual: FloatArray,
) -> None:
    """Weighted score residuals w ∫ (x - mean) dM of every row into `residual` (p, rows), O(n p) from sums of the hazard.

    A tied death under Efron is in the risk set of the k-th of d with share 1 - k/d. `hazards` (3 (p + 1), rows + 1) and
    `places` (2, rows) are scratch.
    """
    # per death time, latest first: Σ h·mean and, last, Σ h of it and all earlier ones; then what a death at that time is
    # spared of these; then the average mean
    whole = hazards[: p + 1]
    spared = hazards[p + 1 : 2 * p + 2]
    centre = hazards[2 * p + 2 :]
    # death times after exit, and after entry
    first = places[0]
    entered = places[1]
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
            deaths = 0
            death_weight = 0.0
            D0 = 0.0
            D1[:] = 0.0
            while i >= start and time[i] == t:
                r = risk[i] * weight[i]
                S0 += r
                for a in range(p):
                    S1[a] += r * x[a, i]
                if dead[i]:
                    deaths += 1
                    death_weight += weight[i]
                    D0 += r
                    for a in range(p):
                        D1[a] += r * x[a, i]
                first[i] = n_times
                i -= 1
            if deaths == 0:
                continue
            while late and arriving >= start and entry[by_entry[arriving]] >= t:
                q = by_entry[arriving]
                r = risk[q] * weight[q]
                S0 -= r
                for a in range(p):
                    S1[a] -= r * x[a, q]
                entered[q] = n_times
                arriving -= 1
            g = n_times
            n_times += 1
            for a in range(p + 1):
                whole[a, g] = 0.0
                spared[a, g] = 0.0
                centre[a, g] = 0.0
            ties = deaths if efron else 1
            for k in range(ties):
                gone = k / deaths
                s0 = S0 - gone * D0
                h = death_weight / ties / s0
                whole[p, g] += h
                spared[p, g] += gone * h
                for a in range(p):
                    m = (S1[a] - gone * D1[a]) / s0
                    whole[a, g] += h * m
                    spared[a, g] += gone * h * m
                    centre[a, g] += m / ties
        while arriving >= start:
            entered[by_entry[arriving] if late else arriving] = n_times
            arriving -= 1
        # from the earliest time on: the sum over death times up to and including this one
        for a in range(p + 1):
            whole[a, n_times] = 0.0
            for g in range(n_times - 1, -1, -1):
                whole[a, g] += whole[a, g + 1]
        for a in range(p):
            for q in range(start, end + 1):
                total = whole[p, first[q]] - whole[p, entered[q]]
                moment = whole[a, first[q]] - whole[a, entered[q]]
                own = 0.0
                if dead[q]:
                    total -= spared[p, first[q]]
                    moment -= spared[a, first[q]]
                    own = x[a, q] - centre[a, first[q]]
                residual[a, q] = weight[q] * (own - risk[q] * (x[a, q] * total - moment))


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
            along[i] += x[a, i] * direction[a]
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
