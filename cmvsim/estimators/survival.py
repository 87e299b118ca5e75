"""Kaplan-Meier survival: batched at a horizon, and as a curve; conventions of R's ``survival::survfit``.

``greenwood`` is S² Σ d / (Y (Y - d)) on the plain scale; ``ij``, the infinitesimal jackknife (R's ``robust =
TRUE``), equals it without late entry and weights and differs with them. Case weights enter ``greenwood`` as
counts.

Where S reaches 0 Greenwood's sum is infinite and R prints a standard error of NaN; here it is 0, the limit of
the product (and what R's own multi-state survfit prints). The limits there, and where S = 1, are the exact
fallback of :mod:`cmvsim.estimators.competing` seen from the other side: [1 - u, 1] without events
(``NO_EVENTS``, the estimate is then 1) and [0, u] where everybody had one (``ALL_EVENTS``, estimate 0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import Estimates, FloatArray, IntArray, Status
from cmvsim.estimators.competing import Swept, sweep_curve, sweep_general_batch
from cmvsim.estimators.intervals import Interval, exact_margin, limits
from cmvsim.estimators.ordering import Batch, check_batch, sorted_keys

SurvivalVariance = Literal["greenwood", "ij"]
SurvivalInterval = Literal["cloglog", "log", "plain", "logit", "arcsin"]

# R's "log-log" of S is the complementary log-log of the risk 1 - S: one scale, named for the event
SCALE_OF_S: dict[str, Interval] = {
    "cloglog": "loglog",
    "log": "log",
    "plain": "plain",
    "logit": "logit",
    "arcsin": "arcsin",
}


@dataclass(frozen=True, slots=True)
class SurvivalCurve:
    """Kaplan-Meier survival of one data set at many times; every array has the length of `times`.

    Attributes
    ----------
    times
        As asked.
    estimate, se, ci_low, ci_high
        Survival beyond each time, plain standard error, limits; NaN if nobody entered.
    n_at_risk
        (Weighted) number at risk at the first exit time at or after each time, as R's ``summary(survfit)``
        prints it; 0 after the last.
    events
        Events so far, unweighted.
    status
        :class:`~cmvsim.core.records.Status` codes, per time.
    n
        Patients in the analysis.
    level, method
        Confidence level; variance and interval by name.
    """

    times: FloatArray
    estimate: FloatArray
    se: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    n_at_risk: FloatArray
    events: IntArray
    status: IntArray
    n: int
    level: float
    method: str


def kaplan_meier(
    time: ArrayLike,
    event: ArrayLike,
    horizon: float,
    *,
    variance: SurvivalVariance = "greenwood",
    interval: SurvivalInterval = "cloglog",
    level: float = 0.95,
    entry: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    nested: Sequence[int] | None = None,
) -> Estimates:
    """Probability of no event up to and including a horizon, one per replicate.

    Parameters
    ----------
    time
        Time of event or censoring, shape (replicates, patients), any unit. NaN is not in the analysis.
    event
        Booleans or integers of the same shape: 0 censored, positive an event of whatever kind, -1 not in the
        analysis.
    horizon
        In the unit of `time`.
    variance
        ``greenwood`` or ``ij``; see the module's docstring.
    interval
        ``cloglog`` (R's ``"log-log"``), ``log``, ``plain``, ``logit`` or ``arcsin``.
    level
        Confidence level, two-sided.
    entry, weights, nested
        As for :func:`cmvsim.estimators.aalen_johansen`.

    Returns
    -------
    Estimates
        Arrays of shape (replicates,), or (replicates, len(nested)); statuses as in the module's docstring.

    Raises
    ------
    ValueError
        If shapes do not fit or a name is unknown; never because of the data.

    Notes
    -----
    Kaplan and Meier (1958); Greenwood (1926).
    """
    _check_names(variance, interval)
    batch = check_batch(time, event, nested, entry, weights)
    if batch.plain:
        swept = _sweep_plain(batch, float(horizon))
    else:
        swept = sweep_general_batch(batch, float(horizon), variance, None, survival=True)
    estimate, se, low, high, status = _finish(swept, interval, level)
    arrays = (estimate, se, low, high, swept.n, swept.events, status)
    if not batch.nested:
        arrays = tuple(a[:, 0] for a in arrays)  # type: ignore[assignment]
    return Estimates(*arrays, level=level, method=f"{variance} variance, {interval} interval")


def survival_curve(
    time: ArrayLike,
    event: ArrayLike,
    times: ArrayLike,
    *,
    variance: SurvivalVariance = "greenwood",
    interval: SurvivalInterval = "cloglog",
    level: float = 0.95,
    entry: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> SurvivalCurve:
    """Kaplan-Meier survival of one data set at many times.

    Parameters
    ----------
    time, event, entry, weights
        As for :func:`kaplan_meier`, one-dimensional.
    times
        Where to evaluate, in any order.
    variance, interval, level
        As for :func:`kaplan_meier`.

    Returns
    -------
    SurvivalCurve
        With the exact fallback and a status at each time.

    Raises
    ------
    ValueError
        If shapes do not fit or a name is unknown.
    """
    _check_names(variance, interval)
    swept, at_risk = sweep_curve(time, event, times, None, variance, entry, weights, survival=True)
    estimate, se, low, high, status = _finish(swept, interval, level)
    return SurvivalCurve(
        np.asarray(times, dtype=np.float64),
        estimate,
        se,
        low,
        high,
        at_risk,
        swept.events,
        status,
        int(swept.n[0]) if swept.n.size else 0,
        level,
        f"{variance} variance, {interval} interval",
    )


def _sweep_plain(batch: Batch, horizon: float) -> Swept:
    from cmvsim.estimators.kernels.survival import sweep_survival

    swept = Swept.empty(batch.shape)
    first_size, tally = batch.tallies()
    for block in batch.blocks():
        keys = sorted_keys(batch, block, horizon, 1, swept.n[block])
        sweep_survival(
            keys,
            swept.n[block],
            batch.sizes,
            first_size,
            tally,
            swept.estimate[block],
            swept.variance[block],
            swept.events[block],
            swept.effective[block],
        )
    return swept


def _finish(swept: Swept, interval: str, level: float) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, IntArray]:
    """Estimate, se, limits and status, with the exact fallback at 1 and 0."""
    empty, none, everybody = swept.n == 0, swept.events == 0, swept.estimate == 0.0
    estimate, se = swept.estimate, np.sqrt(swept.variance)
    se[everybody] = 0.0
    low, high = limits(estimate, se, interval=SCALE_OF_S[interval], level=level)
    low[none], high[none] = 1.0 - exact_margin(swept.effective[none], level=level), 1.0
    low[everybody], high[everybody] = 0.0, exact_margin(swept.effective[everybody], level=level)
    status = np.full(estimate.shape, int(Status.OK), dtype=np.int64)
    status[none], status[everybody], status[empty] = Status.NO_EVENTS, Status.ALL_EVENTS, Status.EMPTY
    for values in (estimate, se, low, high):
        values[empty] = np.nan
    return estimate, se, low, high, status


def _check_names(variance: str, interval: str) -> None:
    if variance not in get_args(SurvivalVariance):
        raise ValueError(f"unknown variance {variance!r}; allowed: {', '.join(get_args(SurvivalVariance))}")
    if interval not in SCALE_OF_S:
        raise ValueError(f"unknown interval {interval!r}; allowed: {', '.join(SCALE_OF_S)}")
