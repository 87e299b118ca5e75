"""Risk-set-matched attributable cost over replicates: match once, then evaluate under any counts of patients.

Within one replicate. A set is a reactivator with the matched controls of that day; a pair is a member of a set, its
case included. `X` is the last day known, `ends` the last days of the partitions; a partition's cost counts if it is
complete, with weight 1 / K(min(X, end)-). What a member costs from day t on is the rest of the partition that holds t
(`rest`) and the whole partitions after it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from cmvsim.core.records import BoolArray, FloatArray, IntArray
from cmvsim.estimators.kernels.risk_sets import censoring_by_day, match


@njit(cache=True, nogil=True, error_model="numpy")
def weigh(
    X: IntArray, complete: FloatArray, ends: IntArray, K: FloatArray, blocks: FloatArray, w: FloatArray, later: FloatArray
) -> None:
    """Weights of the partitions, and the weighted cost of all partitions from each on."""
    n, n_parts, n_components = blocks.shape
    for i in range(n):
        later[i, n_parts] = 0.0
        for p in range(n_parts - 1, -1, -1):
            known = complete[i] > 0.0 or X[i] >= ends[p]
            w[i, p] = 1.0 / K[min(X[i], ends[p])] if known else 0.0
            for c in range(n_components):
                later[i, p, c] = later[i, p + 1, c] + w[i, p] * blocks[i, p, c]


@njit(cache=True, nogil=True, error_model="numpy")
def evaluate(
    weight: FloatArray,
    sets: int,
    case: IntArray,
    start: IntArray,
    member: IntArray,
    day: IntArray,
    part: IntArray,
    rest: FloatArray,
    own_rest: FloatArray,
    K: FloatArray,
    w: FloatArray,
    later: FloatArray,
    own: FloatArray,
    control: FloatArray,
    set_own: FloatArray,
    set_control: FloatArray,
    size: FloatArray,
) -> float:
    """Mean cost of the matched reactivators and of their controls; returns the (weighted) number matched."""
    n_components = own.size
    own[:] = 0.0
    control[:] = 0.0
    matched = 0.0
    for s in range(sets):
        m = 0.0
        for place in range(start[s], start[s + 1]):
            m += weight[member[place]]
        size[s] = m
        i = case[s]
        if weight[i] == 0.0 or m == 0.0:
            continue
        p = part[s]
        at = K[day[s]]
        for c in range(n_components):
            set_own[s, c] = at * (w[i, p] * own_rest[s, c] + later[i, p + 1, c])
            set_control[s, c] = 0.0
        for place in range(start[s], start[s + 1]):
            j = member[place]
            if weight[j] > 0.0:
                share = at * weight[j] / m
                for c in range(n_components):
                    set_control[s, c] += share * (w[j, p] * rest[place, c] + later[j, p + 1, c])
        matched += weight[i]
        for c in range(n_components):
            own[c] += weight[i] * set_own[s, c]
            control[c] += weight[i] * set_control[s, c]
    for c in range(n_components):
        own[c] /= matched
        control[c] /= matched
    return matched


@njit(cache=True, nogil=True, error_model="numpy")
def resample(
    weight: FloatArray,
    X: IntArray,
    complete: FloatArray,
    ends: IntArray,
    sets: int,
    case: IntArray,
    start: IntArray,
    member: IntArray,
    day: IntArray,
    part: IntArray,
    rest: FloatArray,
    own_rest: FloatArray,
    blocks: FloatArray,
    K: FloatArray,
    share_from: FloatArray,
    out: FloatArray,
) -> None:
    """Difference of :func:`evaluate` alone: shares are added up per patient before costs are touched, for speed."""
    n, n_parts, n_components = blocks.shape
    share_from[:] = 0.0
    out[:] = 0.0
    matched = 0.0
    for s in range(sets):
        i = case[s]
        if weight[i] == 0.0:
            continue
        m = 0.0
        for place in range(start[s], start[s + 1]):
            m += weight[member[place]]
        if m == 0.0:
            continue
        matched += weight[i]
        p = part[s]
        scale = weight[i] * K[day[s]]
        share_from[i, p + 1] += scale
        if complete[i] > 0.0 or X[i] >= ends[p]:
            weighted = scale / K[min(X[i], ends[p])]
            for c in range(n_components):
                out[c] += weighted * own_rest[s, c]
        scale /= m
        for place in range(start[s], start[s + 1]):
            j = member[place]
            if weight[j] == 0.0:
                continue
            share = scale * weight[j]
            share_from[j, p + 1] -= share
            if complete[j] > 0.0 or X[j] >= ends[p]:
                share /= K[min(X[j], ends[p])]
                for c in range(n_components):
                    out[c] -= share * rest[place, c]
    for i in range(n):
        if weight[i] == 0.0:
            continue
        share = 0.0
        for p in range(n_parts):
            share += share_from[i, p]
            if share != 0.0 and (complete[i] > 0.0 or X[i] >= ends[p]):
                weighted = share / K[min(X[i], ends[p])]
                for c in range(n_components):
                    out[c] += weighted * blocks[i, p, c]
            if X[i] <= ends[p]:
                break
    for c in range(n_components):
        out[c] = out[c] / matched if matched > 0.0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def sum_influences(
    used: FloatArray,
    X: IntArray,
    complete: FloatArray,
    ends: IntArray,
    sets: int,
    case: IntArray,
    start: IntArray,
    member: IntArray,
    day: IntArray,
    part: IntArray,
    rest: FloatArray,
    own_rest: FloatArray,
    blocks: FloatArray,
    K: FloatArray,
    Y: FloatArray,
    hazard: FloatArray,
    w: FloatArray,
    later: FloatArray,
    set_own: FloatArray,
    set_control: FloatArray,
    size: FloatArray,
    difference: FloatArray,
    matched: float,
    variance: FloatArray,
) -> None:
    """Sum of squared influences of the patients: as cases, as controls, and through the curve of the censoring."""
    n, n_parts, n_components = blocks.shape
    days = Y.size
    influence = np.zeros((n, n_components))
    # Q: weighted costs whose weights contain the hazard of a day; built from what enters and leaves with each day
    Q = np.zeros((days + 1, n_components))
    factor_of = np.zeros((n, n_parts + 1))
    for s in range(sets):
        if size[s] == 0.0:
            continue
        t = day[s]
        p = part[s]
        i = case[s]
        scale = K[t] / matched
        factor_of[i, p + 1] += scale
        last = min(X[i], ends[p])
        for c in range(n_components):
            influence[i, c] += (set_own[s, c] - set_control[s, c] - difference[c]) / matched
            Q[t, c] += (set_own[s, c] - set_control[s, c]) / matched
            Q[last, c] -= scale * w[i, p] * own_rest[s, c]
        for place in range(start[s], start[s + 1]):
            j = member[place]
            share = scale / size[s]
            factor_of[j, p + 1] -= share
            last = min(X[j], ends[p])
            for c in range(n_components):
                value = w[j, p] * rest[place, c]
                influence[j, c] -= share * (value + later[j, p + 1, c]) - set_control[s, c] / (size[s] * matched)
                Q[last, c] += share * value
    for i in range(n):
        total = 0.0
        for p in range(n_parts):
            total += factor_of[i, p]
            if total != 0.0 and w[i, p] > 0.0:
                for c in range(n_components):
                    Q[min(X[i], ends[p]), c] -= total * w[i, p] * blocks[i, p, c]
    spent = np.zeros((days + 1, n_components))
    for d in range(days):
        for c in range(n_components):
            if d > 0:
                Q[d, c] += Q[d - 1, c]
            jump = Q[d, c] / (1.0 - hazard[d]) / Y[d] if hazard[d] > 0.0 else 0.0
            spent[d + 1, c] = spent[d, c] + jump * hazard[d]
    variance[:] = 0.0
    for i in range(n):
        if used[i] == 0.0:
            continue
        d = X[i]
        for c in range(n_components):
            own = Q[d, c] / (1.0 - hazard[d]) / Y[d] - spent[d + 1, c] if complete[i] == 0.0 else -spent[d, c]
            value = influence[i, c] + own
            variance[c] += value * value


@njit(cache=True, nogil=True, error_model="numpy")
def lay_out(cost: FloatArray, first_day: int, total: IntArray, money: FloatArray, spent: BoolArray) -> None:
    """Costs of one replicate (patients, days, components) from day 0 on, the sum of those in `total` before the others.

    `spent` says on which days there are any: most days cost nothing, and `money` is not written for them.
    """
    lead = 1 if total.size else 0
    for i in range(cost.shape[0]):
        for d in range(cost.shape[1]):
            nothing = True
            for c in range(cost.shape[2]):
                nothing &= cost[i, d, c] == 0.0
            spent[i, first_day + d] = not nothing
            if nothing:
                continue
            for c in range(cost.shape[2]):
                money[i, first_day + d, lead + c] = cost[i, d, c]
            if lead:
                added = 0.0
                for c in total:
                    added += cost[i, d, c]
                money[i, first_day + d, 0] = added


@njit(cache=True, nogil=True, error_model="numpy")
def attributable(
    cost: FloatArray,
    first_day: int,
    total_of: IntArray,
    index: FloatArray,
    last_day: IntArray,
    complete: FloatArray,
    used: FloatArray,
    key: IntArray,
    ends: IntArray,
    counts: FloatArray,
    with_influence: bool,
    own: FloatArray,
    control: FloatArray,
    variance: FloatArray,
    cases: IntArray,
    matched: IntArray,
    members: IntArray,
    supported: IntArray,
    resampled: FloatArray,
) -> None:
    """Every replicate: the estimate, its variance if asked, and `resampled` (replicates, samples, components).

    `cost` is (replicates, patients, days, components), its first entry that of `first_day`; `total_of` as of
    :func:`lay_out`; `counts` (replicates or 1, samples, patients).
    """
    n_replicates, n = index.shape
    days = first_day + cost.shape[2]
    n_components = own.shape[1]
    money = np.empty((n, days, n_components))
    spent = np.zeros((n, days), dtype=np.bool_)
    n_parts = ends.size
    n_samples = counts.shape[1]
    part_of_day = np.searchsorted(ends, np.arange(days))
    case = np.empty(n, dtype=np.int64)
    start = np.empty(n + 1, dtype=np.int64)
    member = np.empty(n * n, dtype=np.int64)
    day = np.empty(n, dtype=np.int64)
    part = np.empty(n, dtype=np.int64)
    own_rest = np.empty((n, n_components))
    blocks = np.empty((n, n_parts, n_components))
    K = np.empty(days + 1)
    Y = np.empty(days)
    hazard = np.empty(days)
    w = np.empty((n, n_parts))
    later = np.zeros((n, n_parts + 1, n_components))
    set_own = np.empty((n, n_components))
    set_control = np.empty((n, n_components))
    size = np.empty(n)
    weight = np.empty(n)
    share_from = np.empty((n, n_parts + 1))
    rest = np.empty((0, n_components))
    for r in range(n_replicates):
        X = last_day[r]
        own[r] = np.nan
        control[r] = np.nan
        variance[r] = np.nan
        resampled[r] = np.nan
        sets, found = match(index[r], X, used[r], key[r], case, start, member)
        cases[r] = sets
        members[r] = found
        matched[r] = 0
        supported[r] = censoring_by_day(X, complete[r], used[r], K, Y, hazard)
        for s in range(sets):
            matched[r] += start[s + 1] > start[s]
        if matched[r] == 0 or supported[r] == 0:
            continue
        lay_out(cost[r], first_day, total_of, money, spent)
        blocks[:] = 0.0
        for i in range(n):
            if used[r, i] > 0.0:
                first = 0
                for p in range(n_parts):
                    for d in range(first, min(ends[p], X[i]) + 1):
                        if spent[i, d]:
                            for c in range(n_components):
                                blocks[i, p, c] += money[i, d, c]
                    first = ends[p] + 1
        if found > rest.shape[0]:
            rest = np.empty((2 * found, n_components))
        for s in range(sets):
            t = int(index[r, case[s]])
            day[s] = t
            part[s] = part_of_day[t]
            own_rest[s] = 0.0
            for d in range(t, min(ends[part[s]], X[case[s]]) + 1):
                if spent[case[s], d]:
                    for c in range(n_components):
                        own_rest[s, c] += money[case[s], d, c]
            for place in range(start[s], start[s + 1]):
                j = member[place]
                rest[place] = 0.0
                for d in range(t, min(ends[part[s]], X[j]) + 1):
                    if spent[j, d]:
                        for c in range(n_components):
                            rest[place, c] += money[j, d, c]
        weigh(X, complete[r], ends, K, blocks, w, later)
        total = evaluate(
            used[r], sets, case, start, member, day, part, rest, own_rest, K, w, later, own[r], control[r], set_own,
            set_control, size,
        )  # fmt: skip
        if with_influence:
            sum_influences(
                used[r], X, complete[r], ends, sets, case, start, member, day, part, rest, own_rest, blocks, K, Y,
                hazard, w, later, set_own, set_control, size, own[r] - control[r], total, variance[r],
            )  # fmt: skip
        for b in range(n_samples):
            for i in range(n):
                weight[i] = used[r, i] * counts[r % counts.shape[0], b, i]
            if not censoring_by_day(X, complete[r], weight, K, Y, hazard):
                continue
            resample(
                weight, X, complete[r], ends, sets, case, start, member, day, part, rest, own_rest, blocks, K, share_from,
                resampled[r, b],
            )  # fmt: skip
