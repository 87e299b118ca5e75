"""Restricted mean survival time, and restricted mean time lost to a cause, batched.

The time lost to cause k up to tau is the area under its cumulative incidence (Andersen, Statistics in Medicine 32
(2013) 5278-5285); the times lost to all causes and the restricted mean survival time add up to tau. Where everybody is
censored before tau the curves go on flat, as with R's ``survfit`` and as with the incidence at a horizon here.

Variance: Greenwood-type (multinomial increments), which equals the infinitesimal jackknife; for survival it is
sum over event times of (area of S beyond t)² d / (Y (Y - d)), R's ``se(rmean)``.

Limits: plain normal, clipped to [0, tau]. Without an event (``NO_EVENTS``) nothing normal can be said: time lost is at
most tau times the incidence at tau, so its limits are [0, tau u] with the exact upper limit u of that incidence (see
:mod:`cmvsim.estimators.competing`). Events but a standard error of 0 (all at one time, nobody left): ``NOT_ESTIMABLE``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import Estimates, Status
from cmvsim.estimators.intervals import exact_margin, normal_quantile
from cmvsim.estimators.ordering import check_batch, sorted_keys


def restricted_mean_time_lost(
    time: ArrayLike,
    cause: ArrayLike,
    tau: float,
    *,
    event: int = 1,
    level: float = 0.95,
    nested: Sequence[int] | None = None,
) -> Estimates:
    """Mean time lost to one cause up to `tau`, one per replicate.

    Parameters
    ----------
    time
        Time of event or censoring, shape (replicates, patients), any unit. NaN is not in the analysis.
    cause
        Integers of the same shape: 0 censored, 1, 2, ... the causes, -1 not in the analysis.
    tau
        Positive, in the unit of `time`.
    event
        The cause of interest; every other competes.
    level
        Confidence level, two-sided.
    nested
        Ascending study sizes, as for :func:`cmvsim.estimators.aalen_johansen`.

    Returns
    -------
    Estimates
        In the unit of `time`, arrays of shape (replicates,), or (replicates, len(nested)); statuses as in the
        module's docstring, ``EMPTY`` where nobody is in the analysis.

    Raises
    ------
    ValueError
        If shapes do not fit, or `tau`, `event` or `level` is not allowed; never because of the data.
    """
    from cmvsim.estimators.kernels.areas import sweep_lost_time

    if not (np.isfinite(tau) and tau > 0.0):
        raise ValueError(f"tau must be positive and finite, not {tau!r}")
    if event < 1:
        raise ValueError(f"event must be a cause, 1 or above, not {event!r}")
    z = normal_quantile(level)
    batch = check_batch(time, cause, nested, None, None)
    shape = batch.shape
    estimate, variance, effective = (np.zeros(shape) for _ in range(3))
    n, events = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    first_size, tally = batch.tallies()
    for block in batch.blocks():
        keys = sorted_keys(batch, block, float(tau), event, n[block])
        times = np.ascontiguousarray(batch.time[block], dtype=np.float64)
        out = (estimate[block], variance[block], events[block], effective[block])
        sweep_lost_time(keys, times, n[block], batch.sizes, first_size, tally, float(tau), *out)
    se = np.sqrt(variance)
    low, high = np.maximum(estimate - z * se, 0.0), np.minimum(estimate + z * se, tau)
    none = events == 0
    low[none], high[none] = 0.0, tau * exact_margin(effective[none], level=level)
    status = np.where(se > 1e-12 * tau, int(Status.OK), int(Status.NOT_ESTIMABLE)).astype(np.int64)
    status[none], status[n == 0] = Status.NO_EVENTS, Status.EMPTY
    gone = (status == Status.EMPTY) | (status == Status.NOT_ESTIMABLE)
    estimate, se, low, high = (np.where(gone, np.nan, v) for v in (estimate, se, low, high))
    arrays = (estimate, se, low, high, n, events, status)
    if not batch.nested:
        arrays = tuple(a[:, 0] for a in arrays)  # type: ignore[assignment]
    return Estimates(*arrays, level=level, method=f"area to {tau:g}, greenwood variance, plain interval")


def restricted_mean_survival_time(
    time: ArrayLike,
    event: ArrayLike,
    tau: float,
    *,
    level: float = 0.95,
    nested: Sequence[int] | None = None,
) -> Estimates:
    """Mean event-free time up to `tau`, one per replicate.

    Parameters
    ----------
    time, tau, level, nested
        As for :func:`restricted_mean_time_lost`.
    event
        Booleans or integers of the shape of `time`: 0 censored, positive an event of whatever kind, -1 not in the
        analysis.

    Returns
    -------
    Estimates
        As for :func:`restricted_mean_time_lost`; under ``NO_EVENTS`` the estimate is tau.

    Raises
    ------
    ValueError
        If shapes do not fit, or `tau` or `level` is not allowed; never because of the data.
    """
    lost = restricted_mean_time_lost(time, np.minimum(np.asarray(event, dtype=np.int64), 1), tau, level=level, nested=nested)
    estimate, low, high = tau - lost.estimate, tau - lost.ci_high, tau - lost.ci_low
    return Estimates(estimate, lost.se, low, high, lost.n, lost.events, lost.status, level, lost.method)
