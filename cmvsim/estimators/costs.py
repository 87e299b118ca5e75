"""Mean cost per patient over a period when follow-up may end early, batched.

A cost history is known up to X = min(death, censoring, end of the period). It is complete if the patient died or
reached the end before being censored: after death nothing more is spent. Costs accumulate at rates that differ between
patients, so that the cost at censoring and the cost at the end are dependent and Kaplan-Meier methods on the scale of
cost are wrong (Lin, Feuer, Etzioni and Wax 1997).

The estimators, by name
-----------------------
``simple``
    Complete histories weighted by 1 / K(X-), where K is the Kaplan-Meier estimate of being uncensored (Bang and
    Tsiatis 2000). Ignores what the censored cost until they were censored.
``partitioned``
    The same interval by interval: an interval's cost counts if it is complete, with the weight of its own end.
``lin``
    Kaplan-Meier survival at an interval's start times the mean cost in it of those observed beyond the start (Lin et
    al. 1997, first method). Right where censoring only happens at the intervals' ends, else too low.
``naive-complete``
    The mean of the complete histories: favours those who die early.
``naive-all``
    The mean of everything observed: misses what the censored cost later.

Standard errors are from influences: of the weighted means with the censorings' martingale part (Bang and Tsiatis
2000), of Lin's with the survival's; the plain standard error of a mean for the naive ones.

At a tie deaths, and the ends of intervals, come before censorings: K(X-) is the left limit, and who dies at t is not at
risk of being censored at t. (In whole days that is not a trifle: with the dead of the day at risk as well, K would be too
high by the product of the two hazards, day after day.)
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import BoolArray, Estimates, FloatArray, IntArray, Status
from cmvsim.estimators.intervals import normal_quantile

CostMethod = Literal["simple", "partitioned", "lin", "naive-complete", "naive-all"]


def uncensored_probability(time: ArrayLike, complete: ArrayLike) -> FloatArray:
    """Kaplan-Meier probability of being uncensored just before each patient's own time, K(X-).

    Parameters
    ----------
    time
        X, (replicates, patients); NaN is not in the analysis.
    complete
        Whether the history is complete to X; false is a censoring. Same shape.

    Returns
    -------
    FloatArray
        (replicates, patients); its inverse is the weight. NaN where not in the analysis.

    Raises
    ------
    ValueError
        If shapes do not fit.
    """
    from cmvsim.estimators.kernels.costs import uncensored_before

    times, known, used = _histories(time, complete)
    out = np.empty(times.shape)
    uncensored_before(times, known, used, out)
    return out


def mean_cost(
    costs: ArrayLike,
    time: ArrayLike,
    complete: ArrayLike,
    *,
    method: CostMethod = "partitioned",
    boundaries: ArrayLike | None = None,
    level: float = 0.95,
) -> Estimates:
    """Mean cost per patient over the whole period, one per replicate.

    Parameters
    ----------
    costs
        Observed costs by interval, (replicates, patients, intervals), or totals, (replicates, patients). Costs of a
        component are passed as a call of their own.
    time
        X, (replicates, patients); NaN is not in the analysis, and a patient with a NaN cost is not either.
    complete
        Whether the history is complete, of the same shape: death, or observed to the end of the period.
    method
        See the module's docstring.
    boundaries
        Where intervals begin and end, (intervals + 1,), ascending, in the unit of `time`; needed for ``partitioned``
        and ``lin``. Interval k is (boundary k, boundary k + 1]; costs at time 0 belong to the first.
    level
        Confidence level of the normal limits, two-sided. They are not cut off at 0.

    Returns
    -------
    Estimates
        Arrays of shape (replicates,); `events` counts the complete histories. ``EMPTY`` if nobody is in the analysis;
        ``NOT_ESTIMABLE`` (NaN) where the longest history is censored before the end, so that nobody speaks for those
        who went on; for ``lin`` where nobody is observed beyond an interval's start; where fewer than two patients
        (for ``naive-complete``: complete ones) are in the analysis.

    Raises
    ------
    ValueError
        If shapes do not fit or a name is unknown; never because of the data.
    """
    if method not in get_args(CostMethod):
        raise ValueError(f"unknown method {method!r}; allowed: {', '.join(get_args(CostMethod))}")
    times, known, used = _histories(time, complete)
    money = np.asarray(costs, dtype=np.float64)
    if money.ndim == 2:
        money = money[:, :, None]
    if money.ndim != 3 or money.shape[:2] != times.shape or money.shape[2] == 0:
        raise ValueError(
            f"costs must be (replicates, patients[, intervals]) with patients as in time, not {money.shape}, {times.shape}"
        )
    used[~np.isfinite(money).all(axis=2)] = 0.0
    money = np.where(used[:, :, None] > 0.0, money, 0.0)
    n = used.sum(axis=1).astype(np.int64)
    finished = ((known > 0.0) & (used > 0.0)).sum(axis=1).astype(np.int64)
    if method.startswith("naive"):
        counts = (used > 0.0) & ((known > 0.0) | (method == "naive-all"))
        estimate, variance = _plain(money.sum(axis=2), counts)
        supported = counts.sum(axis=1) > 1
    else:
        edges = _edges(boundaries, money.shape[2], method)
        estimate, variance, supported = _weighted(money, times, known, used, edges, method)
    se = np.sqrt(variance)
    z = normal_quantile(level)
    fine = supported & (n > 1)
    status = np.where(n == 0, int(Status.EMPTY), np.where(fine, int(Status.OK), int(Status.NOT_ESTIMABLE)))
    estimate, se = np.where(fine, estimate, np.nan), np.where(fine, se, np.nan)
    half = z * se
    return Estimates(
        estimate,
        se,
        estimate - half,
        estimate + half,
        n,
        finished,
        status.astype(np.int64),
        level,
        f"{method}, normal interval",
    )


def ever_never_difference(cost: ArrayLike, ever: ArrayLike, *, level: float = 0.95) -> Estimates:
    """Difference of mean costs between patients who ever and never had the event: the naive comparison.

    Who has an event must have lived to have it (immortal time), and costs before the event are counted as its
    consequence. Shown to be compared with, never to be believed.

    Parameters
    ----------
    cost
        Totals, (replicates, patients); NaN is not in the analysis.
    ever
        Booleans of the same shape.
    level
        Confidence level of the normal limits, two-sided.

    Returns
    -------
    Estimates
        Ever minus never, Welch's standard error; `events` counts the ever. ``NOT_ESTIMABLE`` with fewer than two
        patients in a group.

    Raises
    ------
    ValueError
        If shapes do not fit.
    """
    money, group = np.asarray(cost, dtype=np.float64), np.asarray(ever, dtype=bool)
    if money.ndim != 2 or group.shape != money.shape:
        raise ValueError(f"cost and ever must both be (replicates, patients), not {money.shape}, {group.shape}")
    used = np.isfinite(money)
    money = np.where(used, money, 0.0)
    means, variances = zip(*(_plain(money, used & (group == side)) for side in (True, False)), strict=True)
    n, events = used.sum(axis=1), (used & group).sum(axis=1)
    fine = (events > 1) & (n - events > 1)
    difference, se = np.where(fine, means[0] - means[1], np.nan), np.where(fine, np.sqrt(variances[0] + variances[1]), np.nan)
    status = np.where(n == 0, int(Status.EMPTY), np.where(fine, int(Status.OK), int(Status.NOT_ESTIMABLE))).astype(np.int64)
    half = normal_quantile(level) * se
    return Estimates(
        difference,
        se,
        difference - half,
        difference + half,
        n,
        events,
        status,
        level,
        "naive ever-never difference, Welch variance",
    )


def _plain(total: FloatArray, counts: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Mean and its variance over the rows that count."""
    n = counts.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(counts, total, 0.0).sum(axis=1) / n
        squares = np.where(counts, (total - mean[:, None]) ** 2, 0.0).sum(axis=1)
        return mean, squares / (n - 1) / n


def _weighted(
    money: FloatArray, times: FloatArray, known: FloatArray, used: FloatArray, edges: FloatArray, method: str
) -> tuple[FloatArray, FloatArray, BoolArray]:
    from cmvsim.estimators.kernels.costs import survival_weighted_means, weighted_means

    if method == "simple":
        money = money.sum(axis=2, keepdims=True)
    shape = (times.shape[0], money.shape[2])
    estimate, variance, by_interval = np.empty(shape[0]), np.empty(shape[0]), np.empty(shape)
    supported = np.empty(shape[0], dtype=np.int64)
    fit, edge = (survival_weighted_means, edges[:-1]) if method == "lin" else (weighted_means, edges[1:])
    fit(np.ascontiguousarray(money), times, known, used, np.ascontiguousarray(edge), estimate, variance, by_interval, supported)
    return estimate, variance, supported > 0


def _edges(boundaries: ArrayLike | None, intervals: int, method: str) -> FloatArray:
    if method == "simple":
        return np.array([0.0, np.inf])
    if boundaries is None:
        raise ValueError(f"method {method!r} needs the boundaries of the intervals")
    edges = np.asarray(boundaries, dtype=np.float64)
    if edges.shape != (intervals + 1,) or np.any(np.diff(edges) <= 0.0):
        raise ValueError(f"boundaries must be {intervals + 1} ascending times, not {edges.tolist()!r}")
    return edges


def _histories(time: ArrayLike, complete: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Times (0 where not in the analysis), 1 if complete, 1 if in the analysis."""
    times, known = np.ascontiguousarray(time, dtype=np.float64), np.ascontiguousarray(complete)
    if times.ndim != 2 or known.shape != times.shape:
        raise ValueError(f"time and complete must both be (replicates, patients), not {times.shape}, {known.shape}")
    used = np.isfinite(times).astype(np.float64)
    return np.where(used > 0.0, times, 0.0), np.ascontiguousarray(known, dtype=np.float64), used


def daily_costs(
    row: IntArray, first: IntArray, last: IntArray, component: IntArray, per_day: FloatArray, shape: tuple[int, int, int]
) -> FloatArray:
    """Costs that are spread over days, added up by row, day and component.

    Parameters
    ----------
    row, first, last, component
        Integers, one entry per use: whose, on which days (counted from 0, `last` included), and as what.
    per_day
        Cost of each of these days.
    shape
        (rows, days, components) of the result.
    """
    from cmvsim.estimators.kernels.costs import spread

    daily = np.zeros(shape)
    row, first, last, component = (np.asarray(a, dtype=np.int64) for a in (row, first, last, component))
    spread(row, first, last, component, per_day, daily)
    return daily
