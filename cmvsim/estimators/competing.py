"""Cumulative incidence under competing risks: the Aalen-Johansen estimator, batched and as a curve.

Conventions
-----------
At risk at t: entry < t <= time. Censoring tied with an event comes after it; events at time 0 count; events
at the horizon count. Where everybody is censored before the horizon the incidence is that at the last time
seen (R's ``extend = TRUE``). Each cause other than the one of interest competes.

The variances, by name
----------------------
``aalen``
    As R's ``cmprsk::cuminc`` (Aalen 1978) with its finite-sample tie form: the sum over event times t <= h of
    s1 (1 - c)² + s2 c², where c = (F(h) - F(t)) / S(t) (0 where S(t) = 0) and
    s_k = S(t-)² d_k / Y² (1 - (d_k - 1) / (Y - 1) when d_k > 1).
``ij``
    Infinitesimal jackknife, as R's ``survival::survfit`` version 3: the sum of squared influences of the
    patients. Without late entry and weights it equals the Greenwood-type variance exactly (influences at
    different event times are then uncorrelated in the sample), and is computed so.
``greenwood``
    Multinomial increments, as R's ``etm`` (Andersen, Borgan, Gill and Keiding 1993, formula 4.4.20).

Case weights: ``ij`` takes them as case weights (R's survfit); ``aalen`` and ``greenwood`` as counts of
identical patients.

The exact fallback
------------------
At an estimate of 0 or 1 no normal approximation means anything: log scales are undefined (R prints NA), and
the plain scale gives a width of 0. Whatever `interval` asks for, the limits are then [0, u] or [1 - u, 1]
with Clopper-Pearson's u = 1 - (alpha/2)^(1/n*), flagged by ``NO_EVENTS`` and ``ALL_EVENTS``. n* is the number
of patients if nobody was censored before the horizon: u is then exactly Clopper-Pearson. Otherwise n* is
Kish's (1965) effective size, (Σw)² / Σw², of the patients whose outcome at the horizon is known (still
observed at the horizon, or with an event of any cause before it), weighted by w = 1 / (Kaplan-Meier
probability of being uncensored just before that moment). These are the weights with which the incidence is an
average of known outcomes, so n* is the size of the equally precise plain sample. Without competing events it
is the number still at risk at the horizon: the censored earn no credit at all, which is conservative. If
nobody's outcome is known n* = 0 and the limits are [0, 1]. With late entry such weights do not exist (nobody
is observed from the start); n* is then the observed share of the time between the first entry and the
horizon, summed over patients (exact where the hazard is constant), a competing event counting as observed to
the horizon. With case weights v, Kish's formula takes w v. From a single event on, the normal approximation
is returned as R returns it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmvsim.core.records import Estimates, FloatArray, IntArray, Status
from cmvsim.estimators.intervals import Interval, exact_margin, limits
from cmvsim.estimators.ordering import Batch, check_batch, ordered, sorted_keys

Variance = Literal["aalen", "ij", "greenwood"]
VARIANCES: tuple[str, ...] = get_args(Variance)


@dataclass(frozen=True, slots=True)
class CumulativeIncidenceCurve:
    """Cumulative incidence of one data set at many times; every array has the length of `times`.

    Attributes
    ----------
    times
        As asked.
    estimate, se, ci_low, ci_high
        Incidence up to and including each time, plain standard error, limits; NaN if nobody entered.
    n_at_risk
        (Weighted) number at risk at the first exit time at or after each time, as R's ``summary(survfit)``
        prints it; 0 after the last.
    events
        Events of interest so far, unweighted.
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


def aalen_johansen(
    time: ArrayLike,
    cause: ArrayLike,
    horizon: float,
    *,
    variance: Variance = "aalen",
    interval: Interval = "cloglog",
    level: float = 0.95,
    event: int = 1,
    entry: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    nested: Sequence[int] | None = None,
) -> Estimates:
    """Cumulative incidence of one cause at a horizon, one per replicate.

    Parameters
    ----------
    time
        Time of event or censoring, shape (replicates, patients), any unit. NaN is not in the analysis.
    cause
        Integers of the same shape: 0 censored, 1, 2, ... the causes, -1 not in the analysis.
    horizon
        In the unit of `time`; events up to and including it count.
    variance
        ``aalen``, ``ij`` or ``greenwood``; see the module's docstring.
    interval
        Scale of the limits; see :mod:`cmvsim.estimators.intervals`.
    level
        Confidence level, two-sided.
    event
        The cause of interest.
    entry
        Delayed entry (left truncation), broadcast to `time`; a patient who enters at or after the exit is not
        in the analysis. None: everybody is observed from the start.
    weights
        Case weights, broadcast to `time`; weight 0 is not in the analysis.
    nested
        Ascending study sizes n1, n2, ...; the study of size n is the first n columns. One sort serves all
        sizes, and each result is bit-identical to that of a call with only those columns.

    Returns
    -------
    Estimates
        Arrays of shape (replicates,), or (replicates, len(nested)). `n` counts the patients in the analysis
        and `events` the events of interest up to the horizon, both unweighted. Status ``EMPTY`` (NaN) where
        nobody is in the analysis; ``NO_EVENTS`` and ``ALL_EVENTS`` with exact limits where the estimate is 0
        or 1.

    Raises
    ------
    ValueError
        If shapes do not fit or a name is unknown; never because of the data.

    Notes
    -----
    Aalen and Johansen (1978). Agreement with R's survival, cmprsk and etm is tested to 1e-8.
    """
    _check_names(variance, event)
    batch = check_batch(time, cause, nested, entry, weights)
    sweep = _sweep_plain if batch.plain else _sweep_general
    swept = sweep(batch, float(horizon), variance, event)
    estimate, se, low, high, status = _finish(swept, interval, level)
    arrays = (estimate, se, low, high, swept.n, swept.events, status)
    if not batch.nested:
        arrays = tuple(a[:, 0] for a in arrays)  # type: ignore[assignment]
    return Estimates(*arrays, level=level, method=_method(variance, interval))


def cumulative_incidence_curve(
    time: ArrayLike,
    cause: ArrayLike,
    times: ArrayLike,
    *,
    event: int = 1,
    variance: Variance = "aalen",
    interval: Interval = "cloglog",
    level: float = 0.95,
    entry: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> CumulativeIncidenceCurve:
    """Cumulative incidence of one cause in one data set at many times.

    Parameters
    ----------
    time, cause, entry, weights
        As for :func:`aalen_johansen`, one-dimensional.
    times
        Where to evaluate, in any order.
    event, variance, interval, level
        As for :func:`aalen_johansen`, whose results at each single horizon these are.

    Returns
    -------
    CumulativeIncidenceCurve
        With the exact fallback and a status at each time.

    Raises
    ------
    ValueError
        If shapes do not fit or a name is unknown.
    """
    _check_names(variance, event)
    swept, at_risk = sweep_curve(time, cause, times, event, variance, entry, weights, survival=False)
    estimate, se, low, high, status = _finish(swept, interval, level)
    return CumulativeIncidenceCurve(
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
        _method(variance, interval),
    )


@dataclass(frozen=True, slots=True)
class Swept:
    """What a kernel leaves behind: raw estimate and variance, counts, and the size behind an exact bound."""

    estimate: FloatArray
    variance: FloatArray
    n: IntArray
    events: IntArray
    certain: NDArray[np.bool_]
    effective: FloatArray

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> Swept:
        """Arrays for a kernel to fill."""
        return cls(
            np.empty(shape),
            np.empty(shape),
            np.empty(shape, dtype=np.int64),
            np.empty(shape, dtype=np.int64),
            np.zeros(shape, dtype=np.bool_),
            np.zeros(shape),
        )


def sweep_curve(
    time: ArrayLike,
    cause: ArrayLike,
    times: ArrayLike,
    event: int | None,
    variance: str,
    entry: ArrayLike | None,
    weights: ArrayLike | None,
    *,
    survival: bool,
) -> tuple[Swept, FloatArray]:
    """General loop over one data set at many times: (raw results, number at risk), in the order of `times`.

    `event` None takes every cause as the event; `survival` returns S and its variance in place of the
    incidence.
    """
    from cmvsim.estimators.kernels import general

    single = [None if a is None else np.asarray(a)[np.newaxis] for a in (time, cause, entry, weights)]
    batch = check_batch(single[0], single[1], None, single[2], single[3])  # type: ignore[arg-type]
    at = np.asarray(times, dtype=np.float64)
    if at.ndim != 1:
        raise ValueError(f"times must be one-dimensional, not of shape {at.shape}")
    rows = ordered(batch, slice(0, 1), event)
    order = np.argsort(at)
    swept, incidence_or_survival, at_risk = Swept.empty(at.shape), np.empty(at.shape), np.empty(at.shape)
    general.sweep_general(
        rows.time[0],
        rows.kind[0],
        rows.entry[0],
        rows.weight[0],
        rows.by_exit[0],
        rows.by_entry[0],
        rows.time.shape[1],
        at[order],
        _general_code(variance, plain=batch.plain),
        rows.late_entry,
        swept.estimate,
        incidence_or_survival,
        swept.variance,
        at_risk,
        swept.events,
        swept.certain,
        swept.effective,
    )
    swept.n[:] = rows.entered(batch.sizes)[0, 0]
    back = np.argsort(order)
    estimate = incidence_or_survival if survival else swept.estimate
    return Swept(
        estimate[back],
        swept.variance[back],
        swept.n,
        swept.events[back],
        swept.certain[back],
        swept.effective[back],
    ), at_risk[back]


def sweep_general_batch(batch: Batch, horizon: float, variance: str, event: int | None, *, survival: bool) -> Swept:
    """General loop over a batch; `event` and `survival` as for :func:`sweep_curve`."""
    from cmvsim.estimators.kernels import general

    swept = Swept.empty(batch.shape)
    other = np.empty(batch.shape)
    incidence, survivors = (other, swept.estimate) if survival else (swept.estimate, other)
    for block in batch.blocks():
        rows = ordered(batch, block, event)
        swept.n[block] = rows.entered(batch.sizes)
        general.sweep_general_batch(
            rows.time,
            rows.kind,
            rows.entry,
            rows.weight,
            rows.by_exit,
            rows.by_entry,
            batch.sizes,
            horizon,
            _general_code(variance, plain=batch.plain),
            rows.late_entry,
            incidence[block],
            survivors[block],
            swept.variance[block],
            swept.events[block],
            swept.certain[block],
            swept.effective[block],
        )
    return swept


def _sweep_plain(batch: Batch, horizon: float, variance: str, event: int) -> Swept:
    from cmvsim.estimators.kernels.incidence import sweep_incidence

    swept = Swept.empty(batch.shape)
    first_size, tally = batch.tallies()
    for block in batch.blocks():
        keys = sorted_keys(batch, block, horizon, event, swept.n[block])
        sweep_incidence(
            keys,
            swept.n[block],
            batch.sizes,
            first_size,
            tally,
            variance == "aalen",
            swept.estimate[block],
            swept.variance[block],
            swept.events[block],
            swept.certain[block],
            swept.effective[block],
        )
    return swept


def _sweep_general(batch: Batch, horizon: float, variance: str, event: int) -> Swept:
    return sweep_general_batch(batch, horizon, variance, event, survival=False)


def _general_code(variance: str, *, plain: bool) -> int:
    from cmvsim.estimators.kernels import general

    if variance == "aalen":
        return general.AALEN
    # the identity that spares the per-patient sum, see the module's docstring
    return general.JACKKNIFE if variance == "ij" and not plain else general.GREENWOOD


def _finish(swept: Swept, interval: Interval, level: float) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, IntArray]:
    """Estimate, se, limits and status, with the exact fallback at 0 and 1."""
    none, everybody, empty = swept.events == 0, swept.certain, swept.n == 0
    estimate, se = swept.estimate, np.sqrt(swept.variance)
    estimate[everybody] = 1.0
    low, high = limits(estimate, se, interval=interval, level=level)
    low[none], high[none] = 0.0, exact_margin(swept.effective[none], level=level)
    low[everybody], high[everybody] = 1.0 - exact_margin(swept.effective[everybody], level=level), 1.0
    status = np.full(estimate.shape, int(Status.OK), dtype=np.int64)
    status[none], status[everybody], status[empty] = Status.NO_EVENTS, Status.ALL_EVENTS, Status.EMPTY
    for values in (estimate, se, low, high):
        values[empty] = np.nan
    return estimate, se, low, high, status


def _method(variance: str, interval: str) -> str:
    return f"{variance} variance, {interval} interval"


def _check_names(variance: str, event: int) -> None:
    if variance not in VARIANCES:
        raise ValueError(f"unknown variance {variance!r}; allowed: {', '.join(VARIANCES)}")
    if event < 1:
        raise ValueError(f"event must be a cause, 1 or above, not {event!r}")
