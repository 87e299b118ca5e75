"""Fisher's exact test and the conditional odds ratio of 2 x 2 tables, batched.

Given both margins x1 is noncentral hypergeometric with the odds ratio as its only parameter. Distributions are
computed once per distinct margin and looked up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import FloatArray, IntArray, Status
from cmvsim.estimators.intervals import normal_quantile
from cmvsim.estimators.two_proportions import Tables

# R's fisher.test counts tables as "as unlikely" up to this rounding
AS_UNLIKELY = 1.0 + 1e-7
LOG_ODDS_BOUND = 60.0


@dataclass(frozen=True, slots=True)
class FisherTest:
    """Fisher's exact test, one per replicate.

    Attributes
    ----------
    p_value
        Two-sided: the sum of the probabilities of all tables that are no more likely than the one seen.
    odds_ratio, ci_low, ci_high
        Conditional maximum-likelihood odds ratio and exact (Cornfield) limits; 0 and infinite where x1 is the
        smallest or largest its margins allow. NaN unless asked for.
    n, events
        Patients and events of both arms.
    status
        OK; ``EMPTY`` where an arm has nobody; ``NOT_ESTIMABLE`` where nobody or everybody had the event: the p-value
        is then 1, and the odds ratio and its limits, on which such a table says nothing, are NaN.
    level
        Confidence level of the limits.
    """

    p_value: FloatArray
    odds_ratio: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    n: IntArray
    events: IntArray
    status: IntArray
    level: float


def fisher_exact(
    x1: ArrayLike,
    n1: ArrayLike,
    x2: ArrayLike,
    n2: ArrayLike,
    *,
    odds: bool = False,
    level: float = 0.95,
) -> FisherTest:
    """Fisher's exact test, one per replicate.

    Parameters
    ----------
    x1, n1, x2, n2
        Events and patients of each arm, integers of shapes that broadcast.
    odds
        Whether the conditional odds ratio and its exact limits are wanted too (slower).
    level
        Confidence level, two-sided.

    Returns
    -------
    FisherTest
        Of the shape of the counts.

    Raises
    ------
    ValueError
        If counts are impossible or `level` is not allowed.

    Notes
    -----
    Fisher (1935); Cornfield (1956). Agrees with R's ``fisher.test``.
    """
    normal_quantile(level)
    tables = Tables.of(x1, n1, x2, n2)
    (p_value,) = tables.looked_up(_p_values)
    if odds:
        odds_ratio, low, high = tables.looked_up(lambda a, m, b, k: _odds(a, m, b, k, level))
    else:
        odds_ratio, low, high = (np.full(p_value.shape, np.nan) for _ in range(3))
    status = np.full(p_value.shape, int(Status.OK), dtype=np.int64)
    status[(tables.events == 0) | (tables.events == tables.n)] = Status.NOT_ESTIMABLE
    status[tables.empty] = Status.EMPTY
    for values in (odds_ratio, low, high):
        values[status != Status.OK] = np.nan
    return FisherTest(p_value, odds_ratio, low, high, tables.n, tables.events, status, level)


@lru_cache(maxsize=4096)
def _log_weights(n1: int, n2: int, events: int) -> tuple[int, FloatArray]:
    """Smallest x1 of a margin and the log of choose(n1, x) choose(n2, events - x) from there on."""
    from scipy.special import gammaln

    first = max(0, events - n2)
    x = np.arange(first, min(n1, events) + 1)
    log_weight = -(gammaln(x + 1) + gammaln(n1 - x + 1) + gammaln(events - x + 1) + gammaln(n2 - events + x + 1))
    return first, np.asarray(log_weight - log_weight.max(), dtype=np.float64)


@lru_cache(maxsize=4096)
def _p_values_of_margin(n1: int, n2: int, events: int) -> FloatArray:
    _, log_weight = _log_weights(n1, n2, events)
    weight = np.exp(log_weight)
    order = np.argsort(weight)
    up_to = np.concatenate(([0.0], np.cumsum(weight[order])))
    as_unlikely = np.searchsorted(weight[order], weight * AS_UNLIKELY, side="right")
    return np.asarray(np.minimum(up_to[as_unlikely] / up_to[-1], 1.0), dtype=np.float64)


def _p_values(x1: IntArray, n1: IntArray, x2: IntArray, n2: IntArray) -> tuple[FloatArray]:
    found = np.empty(x1.size)
    for i, (a, m, b, k) in enumerate(zip(x1.tolist(), n1.tolist(), x2.tolist(), n2.tolist(), strict=True)):
        found[i] = _p_values_of_margin(m, k, a + b)[a - max(0, a + b - k)]
    return (found,)


def _odds(x1: IntArray, n1: IntArray, x2: IntArray, n2: IntArray, level: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Conditional odds ratio and exact limits of each table by halving on the log scale, all tables together."""
    margins = [_log_weights(m, k, e) for m, k, e in zip(n1.tolist(), n2.tolist(), (x1 + x2).tolist(), strict=True)]
    width = max(w.size for _, w in margins)
    log_weight = np.full((x1.size, width), -np.inf)
    for i, (_, w) in enumerate(margins):
        log_weight[i, : w.size] = w
    place = x1 - np.array([first for first, _ in margins])
    last = np.array([w.size - 1 for _, w in margins])
    steps = np.arange(width)
    tail = (1.0 - level) / 2.0
    at_most, at_least = steps <= place[:, None], steps >= place[:, None]

    def solve(value: FloatArray, target: FloatArray, sign: float) -> FloatArray:
        low, high = np.full(x1.size, -LOG_ODDS_BOUND), np.full(x1.size, LOG_ODDS_BOUND)
        for _ in range(60):
            middle = (low + high) / 2.0
            tilted = log_weight + middle[:, None] * steps
            mass = np.exp(tilted - tilted.max(axis=1, keepdims=True))
            rises = sign * ((mass * value).sum(axis=1) / mass.sum(axis=1) - target) < 0
            low, high = np.where(rises, middle, low), np.where(rises, high, middle)
        return np.asarray(np.exp((low + high) / 2.0))

    estimate = solve(np.broadcast_to(steps, log_weight.shape).astype(np.float64), place.astype(np.float64), 1.0)
    lower = solve(at_least.astype(np.float64), np.full(x1.size, tail), 1.0)
    upper = solve(at_most.astype(np.float64), np.full(x1.size, tail), -1.0)
    smallest, largest = place == 0, place == last
    estimate = np.where(smallest, 0.0, np.where(largest, np.inf, estimate))
    return estimate, np.where(smallest, 0.0, lower), np.where(largest, np.inf, upper)
