"""Recurrent events: the mean number of events per patient up to a horizon, batched.

Without deaths this is the Nelson-Aalen type estimator of the mean cumulative function, the sum of dN(t) / Y(t)
(Nelson 1988; Lawless and Nadeau 1995), as R's ``survfit`` prints it under ``cumhaz``. A death ends the counting
for good, which is not the same as censoring: with `died` the increments are multiplied by the Kaplan-Meier
probability of being alive just before t (Cook and Lawless 1997; Ghosh and Lin 2000), so that the estimate is the
mean number of events of a patient who may die, not of one who cannot.

At risk at t: entry < t <= exit. On a day on which both happen the event comes before the death, and both before a
censoring.

The variances, by name
----------------------
``robust``
    The sum of squared influences of the patients (infinitesimal jackknife), which needs no Poisson assumption: the
    variance of Lawless and Nadeau up to their n / (n - 1), of Ghosh and Lin with deaths, in the form that is exact
    for tied times. Where nobody is censored it is the plain variance of the patients' counts over n².
``poisson``
    The sum of S² dN / Y²: right only if a patient's events are independent of each other; with deaths it takes the
    survival as known.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import Estimates, FloatArray, IntArray, Status
from cmvsim.estimators.intervals import normal_quantile
from cmvsim.estimators.regression import per_row

RecurrentVariance = Literal["robust", "poisson"]
RecurrentInterval = Literal["log", "plain"]


def mean_cumulative(
    events: ArrayLike,
    exit_time: ArrayLike,
    horizon: float,
    *,
    died: ArrayLike | None = None,
    entry: ArrayLike | None = None,
    variance: RecurrentVariance = "robust",
    interval: RecurrentInterval = "log",
    level: float = 0.95,
) -> Estimates:
    """Mean number of events per patient up to and including a horizon, one per replicate.

    Parameters
    ----------
    events
        Times of the events, shape (replicates, patients, k), NaN where a patient has fewer than k. Those outside
        (entry, exit] do not count.
    exit_time
        End of observation, (replicates, patients), by death or by censoring. NaN or infinite is not in the analysis.
    horizon
        Above 0, in the unit of the times.
    died
        Whether the exit is a death, broadcast to `exit_time`. None: every exit censors.
    entry
        Delayed entry, broadcast to `exit_time`; at or after the exit is not in the analysis. None: from the start.
    variance, interval, level
        See the module's docstring; ``log`` limits are estimate times exp(± z se / estimate), ``plain`` ones are cut
        off at 0.

    Returns
    -------
    Estimates
        Arrays of shape (replicates,); `events` counts all events up to the horizon, several of a patient included.
        Without any the status is ``NO_EVENTS``, the estimate 0 and the upper limit -log(alpha/2) / E, exact for a
        Poisson process of constant rate, where E is the number of patient times to the horizon observed (a death
        counts as observed to the horizon; infinite where E is 0). ``EMPTY`` and NaN if nobody is in the analysis;
        ``NOT_ESTIMABLE`` if the estimate stands but its variance is 0, which only happens where all patients have
        the same number of events: estimate without limits.

    Raises
    ------
    ValueError
        If shapes do not fit or a name is unknown; never because of the data.
    """
    from cmvsim.estimators.kernels.recurrent import sweep_recurrent

    _check_names(variance, interval, horizon)
    last = np.asarray(exit_time, dtype=np.float64)
    times = np.asarray(events, dtype=np.float64)
    if last.ndim != 2 or times.ndim != 3 or times.shape[:2] != last.shape:
        raise ValueError(
            f"events must be (replicates, patients, k) and exits (replicates, patients), not {times.shape}, {last.shape}"
        )
    replicates = last.shape[0]
    estimate, variances, exposure = (np.empty(replicates) for _ in range(3))
    n, counted = (np.empty(replicates, dtype=np.int64) for _ in range(2))
    sweep_recurrent(
        np.ascontiguousarray(times),
        np.ascontiguousarray(last),
        per_row(entry, last.shape, np.float64),
        np.zeros(last.shape, dtype=np.int64) if died is None else per_row(died, last.shape, np.int64),
        float(horizon),
        variance == "robust",
        estimate,
        variances,
        exposure,
        n,
        counted,
    )
    low, high, se, status = _finish(estimate, variances, exposure, n, counted, interval, level)
    return Estimates(estimate, se, low, high, n, counted, status, level, f"{variance} variance, {interval} interval")


def _finish(
    estimate: FloatArray,
    variances: FloatArray,
    exposure: FloatArray,
    n: IntArray,
    events: IntArray,
    interval: str,
    level: float,
) -> tuple[FloatArray, FloatArray, FloatArray, IntArray]:
    z = normal_quantile(level)
    se = np.sqrt(variances)
    none, empty = (events == 0) & (n > 0), n == 0
    # influences that cancel leave rounding, not information
    flat = (events > 0) & ~(se > 1e-12 * estimate)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if interval == "log":
            factor = np.exp(z * se / estimate)
            low, high = estimate / factor, estimate * factor
        else:
            low, high = np.maximum(estimate - z * se, 0.0), estimate + z * se
        low[none], high[none] = 0.0, -np.log((1.0 - level) / 2.0) / exposure[none]
    for values in (se, low, high):
        values[flat | empty] = np.nan
    status = np.full(estimate.shape, int(Status.OK), dtype=np.int64)
    status[none], status[flat], status[empty] = Status.NO_EVENTS, Status.NOT_ESTIMABLE, Status.EMPTY
    return low, high, se, status


def _check_names(variance: str, interval: str, horizon: float) -> None:
    if variance not in get_args(RecurrentVariance):
        raise ValueError(f"unknown variance {variance!r}; allowed: {', '.join(get_args(RecurrentVariance))}")
    if interval not in get_args(RecurrentInterval):
        raise ValueError(f"unknown interval {interval!r}; allowed: {', '.join(get_args(RecurrentInterval))}")
    if not 0.0 < horizon < np.inf:
        raise ValueError(f"horizon must be positive and finite, not {horizon!r}")
