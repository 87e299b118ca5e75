"""Cumulative hazard at a horizon (Nelson-Aalen, Fleming-Harrington) and the survival exp(-H), batched.

``nelson-aalen`` adds d / Y at each event time with variance d / Y² (R survfit's ``ctype = 1``); ``fleming-harrington``
lets tied events leave one after the other (``ctype = 2``). Without an event the estimate is 0, status ``NO_EVENTS``,
and the upper limit exact: -log(alpha/2) / n*, the hazard at which n* patients (the effective size of
:mod:`cmvsim.estimators.competing`) would stay free of events with probability alpha/2.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import Estimates, IntArray, Status
from cmvsim.estimators.intervals import normal_quantile
from cmvsim.estimators.ordering import check_batch, sorted_keys

HazardTies = Literal["nelson-aalen", "fleming-harrington"]
HazardInterval = Literal["log", "plain"]


def cumulative_hazard(
    time: ArrayLike,
    cause: ArrayLike,
    horizon: float,
    *,
    event: int | None = 1,
    ties: HazardTies = "nelson-aalen",
    interval: HazardInterval = "log",
    level: float = 0.95,
) -> Estimates:
    """Cumulative (cause-specific) hazard up to and including a horizon, one per replicate.

    Parameters
    ----------
    time
        Time of event or censoring, shape (replicates, patients), any unit. NaN is not in the analysis.
    cause
        Booleans or integers of the same shape: 0 censored, 1, 2, ... the causes, -1 not in the analysis.
    horizon
        In the unit of `time`.
    event
        The cause of interest, every other censors; None: whatever cause.
    ties
        ``nelson-aalen`` or ``fleming-harrington``.
    interval
        Normal on the scale of ``log`` H, or ``plain``, clipped at 0.
    level
        Confidence level, two-sided.

    Returns
    -------
    Estimates
        Arrays of shape (replicates,). ``EMPTY`` (NaN) where nobody is in the analysis, ``NO_EVENTS`` as above.

    Raises
    ------
    ValueError
        If shapes do not fit or a name is unknown; never because of the data.

    Notes
    -----
    Nelson (1969); Aalen (1978); Fleming and Harrington (1984).
    """
    from cmvsim.estimators.kernels.areas import sweep_hazard

    for name, allowed in ((ties, HazardTies), (interval, HazardInterval)):
        if name not in get_args(allowed):
            raise ValueError(f"unknown name {name!r}; allowed: {', '.join(get_args(allowed))}")
    if event is not None and event < 1:
        raise ValueError(f"event must be a cause, 1 or above, not {event!r}")
    z = normal_quantile(level)
    batch = check_batch(time, _kinds(cause, event), None, None, None)
    replicates = batch.time.shape[0]
    hazard, variance, effective = (np.zeros(replicates) for _ in range(3))
    n, events = np.zeros((replicates, 1), dtype=np.int64), np.zeros(replicates, dtype=np.int64)
    for block in batch.blocks():
        keys = sorted_keys(batch, block, float(horizon), 1, n[block])
        out = (hazard[block], variance[block], events[block], effective[block])
        sweep_hazard(keys, n[block], ties == "fleming-harrington", *out)
    se = np.sqrt(variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        if interval == "log":
            low, high = hazard * np.exp(-z * se / hazard), hazard * np.exp(z * se / hazard)
        else:
            low, high = np.maximum(hazard - z * se, 0.0), hazard + z * se
        exact = -np.log((1.0 - level) / 2.0) / effective
    none, empty = events == 0, n[:, 0] == 0
    low[none], high[none] = 0.0, exact[none]
    status = np.where(none, int(Status.NO_EVENTS), int(Status.OK)).astype(np.int64)
    status[empty] = Status.EMPTY
    hazard, se, low, high = (np.where(empty, np.nan, v) for v in (hazard, se, low, high))
    return Estimates(hazard, se, low, high, n[:, 0], events, status, level, f"{ties}, {interval} interval")


def fleming_harrington_survival(
    time: ArrayLike,
    event: ArrayLike,
    horizon: float,
    *,
    ties: HazardTies = "fleming-harrington",
    level: float = 0.95,
) -> Estimates:
    """Survival as exp(-H) at a horizon, one per replicate; never 0, unlike Kaplan and Meier's.

    Parameters
    ----------
    time, horizon, level
        As for :func:`cumulative_hazard`.
    event
        Positive an event of whatever kind, 0 censored, -1 not in the analysis.
    ties
        Of the hazard; ``nelson-aalen`` gives Breslow's estimator.

    Returns
    -------
    Estimates
        Plain `se` (S times that of H); limits normal on the scale of H = -log S, clipped at 1 (R survfit's ``log``).

    Raises
    ------
    ValueError
        If shapes do not fit or a name is unknown; never because of the data.
    """
    hazard = cumulative_hazard(time, event, horizon, event=None, ties=ties, interval="plain", level=level)
    survival = np.exp(-hazard.estimate)
    numbers = (survival, survival * hazard.se, np.exp(-hazard.ci_high), np.exp(-hazard.ci_low))
    return Estimates(*numbers, hazard.n, hazard.events, hazard.status, level, f"exp(-H), {ties}, log interval")


def _kinds(cause: ArrayLike, event: int | None) -> IntArray:
    """1 for events of interest, 0 for those who leave otherwise, -1 for those not in the analysis."""
    causes = np.asarray(cause, dtype=np.int64)
    of_interest = causes > 0 if event is None else causes == event
    return np.where(causes < 0, -1, of_interest).astype(np.int64)
