"""Quantiles of the Kaplan-Meier curve, e.g. the median time to event, batched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import FloatArray, IntArray, Status
from cmvsim.estimators.intervals import limits
from cmvsim.estimators.ordering import check_batch, sorted_keys
from cmvsim.estimators.regression import NO_HORIZON
from cmvsim.estimators.survival import SCALE_OF_S, SurvivalInterval

LEVEL_TOLERANCE = 1e-9
"""Survivals this near to the one asked for count as equal to it: products of many factors are not exact."""


@dataclass(frozen=True, slots=True)
class SurvivalQuantile:
    """Quantiles of the time to event, one per replicate and probability.

    Attributes
    ----------
    probabilities
        As asked.
    estimate, ci_low, ci_high
        (replicates, probabilities), in the unit of time. A limit is where the limits of the curve cross; infinite
        where they do not within the follow-up.
    n, events
        Patients in the analysis and events among them, (replicates,).
    status
        Codes, (replicates, probabilities): OK; ``EMPTY``; ``NO_EVENTS``; ``NOT_ESTIMABLE`` where the curve does not
        come down so far. All but OK have an estimate of NaN; in the last case the limits stay, for "later than
        ci_low" is then all that is known.
    level, method
        Confidence level; variance and scale of the curve's limits by name.
    """

    probabilities: FloatArray
    estimate: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    n: IntArray
    events: IntArray
    status: IntArray
    level: float
    method: str


def survival_quantile(
    time: ArrayLike,
    event: ArrayLike,
    probabilities: Sequence[float] = (0.5,),
    *,
    interval: SurvivalInterval = "cloglog",
    level: float = 0.95,
) -> SurvivalQuantile:
    """Times by which given shares have had the event, one per replicate and share.

    Parameters
    ----------
    time
        Time of event or censoring, shape (replicates, patients), any unit. NaN or infinite is not in the analysis.
    event
        Booleans or integers of the same shape: 0 censored, positive an event, -1 not in the analysis.
    probabilities
        Shares with the event, strictly between 0 and 1; 0.5 is the median.
    interval
        Scale of the curve's limits, as for :func:`cmvsim.estimators.kaplan_meier` (R's ``conf.type``).
    level
        Confidence level, two-sided.

    Returns
    -------
    SurvivalQuantile
        Where the curve is level at exactly the survival asked for, the middle of that stretch, as R's
        ``quantile.survfit``; the last stretch ends with the follow-up.

    Raises
    ------
    ValueError
        If shapes do not fit, or an argument is not allowed; never because of the data.

    Notes
    -----
    Brookmeyer and Crowley (1982), with Greenwood's variance.
    """
    from cmvsim.estimators.kernels.areas import survival_steps

    asked = np.asarray(probabilities, dtype=np.float64)
    if asked.ndim != 1 or not np.all((asked > 0.0) & (asked < 1.0)):
        raise ValueError(f"probabilities must be between 0 and 1, not {probabilities!r}")
    if interval not in SCALE_OF_S:
        raise ValueError(f"unknown interval {interval!r}; allowed: {', '.join(SCALE_OF_S)}")
    times = np.asarray(time, dtype=np.float64)
    finite = np.isfinite(times)
    batch = check_batch(np.where(finite, times, np.nan), np.asarray(event, dtype=np.int64), None, None, None)
    at, survival, variance = (np.empty(times.shape) for _ in range(3))
    n = np.zeros((times.shape[0], 1), dtype=np.int64)
    for block in batch.blocks():
        keys = sorted_keys(batch, block, NO_HORIZON, 1, n[block])
        rows = np.ascontiguousarray(batch.time[block])
        survival_steps(keys, rows, n[block], at[block], survival[block], variance[block])
    counts = finite & (batch.cause >= 0)
    follow_up = np.where(counts, times, -np.inf).max(axis=1, initial=-np.inf)
    with np.errstate(invalid="ignore"):
        low_curve, high_curve = limits(survival, np.sqrt(variance), interval=SCALE_OF_S[interval], level=level)
    estimate, low, high = (
        np.stack([_crossing(at, curve, 1.0 - p, follow_up) for p in asked], axis=1)
        for curve in (survival, low_curve, high_curve)
    )
    events = (counts & (batch.cause > 0)).sum(axis=1)
    status = np.where(np.isfinite(estimate), int(Status.OK), int(Status.NOT_ESTIMABLE)).astype(np.int64)
    status[events == 0] = Status.NO_EVENTS
    status[n[:, 0] == 0] = Status.EMPTY
    estimate[status != Status.OK] = np.nan
    nothing = (status == Status.EMPTY) | (status == Status.NO_EVENTS)
    low, high = np.where(nothing, np.nan, low), np.where(nothing, np.nan, high)
    name = f"greenwood variance, {interval} interval"
    return SurvivalQuantile(asked, estimate, low, high, n[:, 0], events.astype(np.int64), status, level, name)


def _crossing(at: FloatArray, curve: FloatArray, height: float, follow_up: FloatArray) -> FloatArray:
    """First time at which each curve is at or below `height`, the middle of a stretch at exactly that; else inf."""
    with np.errstate(invalid="ignore"):
        down = curve <= height + LEVEL_TOLERANCE
    found, rows = down.any(axis=1), np.arange(at.shape[0])
    if at.shape[1] == 0:
        return np.full(at.shape[0], np.inf)
    first = down.argmax(axis=1)
    when = at[rows, first]
    onward = np.column_stack([at[:, 1:], np.full(at.shape[0], np.nan)])[rows, first]
    until = np.where(np.isnan(onward), follow_up, onward)
    with np.errstate(invalid="ignore"):
        is_level = np.abs(curve[rows, first] - height) <= LEVEL_TOLERANCE
    return np.where(found, np.where(is_level, (when + until) / 2.0, when), np.inf)
