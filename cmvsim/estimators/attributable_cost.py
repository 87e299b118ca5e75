"""Cost attributable to CMV reactivation by risk-set matching, batched: the primary analysis of the cost of illness.

What is estimated
-----------------
For a reactivator whose first qualifying sample is on day t, the controls are the patients who on day t are alive and
under observation, have had no reactivation up to and including day t, and share the matching key of day t (stratum,
inpatient or not, exposed to steroids or not). Both are costed from day t, day t included, to the horizon, the last
day of the cost array. The estimate is the mean, over the reactivators who have a control, of their own cost minus the
mean cost of their controls; a control counts 1 / m among the m controls of a set, and may serve in many sets.

A control who reactivates later remains a control of the earlier day, with the cost of that later reactivation. The
comparison is thus reactivation now against none until now, at the days and in the states in which reactivations
occur: not against never. It is causal as far as reactivators and controls of the same day and key are alike in all
else that drives cost, and follow-up ends for reasons that do not depend on cost.

A reactivator without any control is excluded from the estimate and counted (`cases` - `matched`). Reactivators of the
same day are no controls of each other. A death on day t comes after the sample of that day: who dies on day t is at
risk on it.

Censoring
---------
A death is not a censoring of cost: nothing is spent after it, and the history is complete. Who is censored on day X
before the horizon is known through day X. The cost of each partition (of `partition_days` days since day 0) counts if
the partition is complete, with weight K(t-) / K(min(X, end)-), where K is the Kaplan-Meier estimate of being
uncensored among all patients, deaths of a day before its censorings (Bang and Tsiatis 2000, their partitioned
estimator, from day t on). Where the longest
history of all is censored nobody speaks for those who went on, and nothing is estimable.

Standard errors
---------------
Without resampling: the sum of squared influences of the patients, each as a case, as a control of all its sets, and
through K. With `counts` (how often each patient was drawn in each bootstrap sample; the estimator draws nothing
itself) the standard deviation of the bootstrap estimates, and percentile or BCa limits (Efron 1987, acceleration by
the jackknife over patients). A patient drawn k times counts k times, as a case and as a control.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import Estimates, FloatArray, IntArray, Status
from cmvsim.estimators.intervals import normal_quantile

CostInterval = Literal["normal", "percentile", "bca"]


@dataclass(frozen=True, slots=True)
class AttributableCost:
    """Attributable costs, one per replicate and component.

    Attributes
    ----------
    estimate, se, ci_low, ci_high
        (replicates, components), in the unit of the costs, standard errors and limits as asked.
    own, control
        Means over the matched reactivators of their own cost and of their controls' mean cost; `estimate` is the
        difference.
    n
        Patients in the analysis.
    cases, matched
        Reactivators observed at their reactivation; those of them with a control.
    controls
        Mean number of controls of the matched; NaN if there are none.
    samples
        Bootstrap samples that gave an estimate; 0 without resampling.
    status
        :class:`~cmvsim.core.records.Status` codes: OK, ``EMPTY``, ``NO_EVENTS`` (no reactivator), ``NOT_ESTIMABLE``
        (fewer than two matched, the longest history censored, a cost that is no number, or fewer than half of the
        bootstrap samples estimable). All but OK have NaN numbers.
    level, method
        Confidence level; variance and interval by name.
    """

    estimate: FloatArray
    se: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    own: FloatArray
    control: FloatArray
    n: IntArray
    cases: IntArray
    matched: IntArray
    controls: FloatArray
    samples: IntArray
    status: IntArray
    level: float
    method: str

    def component(self, index: int) -> Estimates:
        """One component as `Estimates`: `n` patients, `events` the matched reactivators.

        ``NO_EVENTS`` becomes ``NOT_ESTIMABLE``: `Estimates` promises an exact bound under the former.
        """
        status = np.where(self.status == Status.NO_EVENTS, int(Status.NOT_ESTIMABLE), self.status).astype(np.int64)
        return Estimates(
            self.estimate[:, index],
            self.se[:, index],
            self.ci_low[:, index],
            self.ci_high[:, index],
            self.n,
            self.matched,
            status,
            self.level,
            self.method,
        )


def attributable_cost(
    cost: ArrayLike,
    index_day: ArrayLike,
    exit_day: ArrayLike,
    death_day: ArrayLike,
    keys: ArrayLike,
    *,
    first_day: int = 0,
    total: Sequence[int] = (),
    partition_days: int = 7,
    counts: ArrayLike | None = None,
    interval: CostInterval = "normal",
    level: float = 0.95,
) -> AttributableCost:
    """Mean cost attributable to a first reactivation, from its day to the horizon, one per replicate and component.

    Parameters
    ----------
    cost
        Cost of each day 0, 1, ..., horizon, (replicates, patients, horizon + 1, components). What lies after a
        patient's last known day is not read.
    index_day
        Day of the first qualifying sample, (replicates, patients), NaN where there is none. A day after the exit or
        the horizon is not a case, and free of CMV until then. Parts of days are cut off, here and below.
    exit_day
        Last day under observation, same shape; at or after the horizon is complete. NaN or before day 0 is not in
        the analysis: patients who were never free of CMV belong there.
    death_day
        Same shape, NaN where there is none; a death after the exit was not seen and changes nothing.
    keys
        Matching key of each day, integers (replicates, patients, horizon + 1); a reactivator and a control match
        where they have the same key on the day. Negative matches nobody.
    first_day
        Day of the first entry of `cost`; the days before it, which `keys` holds, cost nothing.
    total
        Components whose sum is estimated too, with its own limits, as a component before the others. None: no sum.
    partition_days
        Length of the partitions for the censoring weights.
    counts
        How often each patient is in each bootstrap sample, (samples, patients) for all replicates or
        (replicates, samples, patients). None: influences.
    interval
        ``normal`` (the only one without `counts`), ``percentile`` or ``bca``.
    level
        Confidence level, two-sided.

    Returns
    -------
    AttributableCost
        Arrays of leading shape (replicates,).

    Raises
    ------
    ValueError
        If shapes do not fit or options exclude each other; never because of the data.
    """
    from cmvsim.estimators.kernels.attributable_cost import attributable

    money, index, last, complete, used, key = _check(cost, index_day, exit_day, death_day, keys, first_day)
    draws = _check_counts(counts, index.shape, interval, partition_days)
    summed = _check_total(total, money.shape[3])
    replicates, n, days = key.shape
    components = money.shape[3] + (summed.size > 0)
    ends = np.unique(np.minimum(np.arange(1, days // partition_days + 2) * partition_days - 1, days - 1))
    own, control, variance = (np.empty((replicates, components)) for _ in range(3))
    cases, matched, members, supported = (np.empty(replicates, dtype=np.int64) for _ in range(4))
    n_samples = draws.shape[1]
    if interval == "bca":
        left_out = np.broadcast_to(1.0 - np.eye(n), (draws.shape[0], n, n))
        draws = np.concatenate([draws, left_out], axis=1)
    resampled = np.empty((replicates, draws.shape[1], components))
    attributable(
        money, first_day, summed, index, last, complete, used, key, ends.astype(np.int64), np.ascontiguousarray(draws),
        counts is None,
        own, control, variance, cases, matched, members, supported, resampled,
    )  # fmt: skip
    estimate = own - control
    boot, jackknife = resampled[:, :n_samples], resampled[:, n_samples:]
    samples = np.isfinite(boot).all(axis=2).sum(axis=1).astype(np.int64)
    se, low, high = _limits(estimate, variance, boot, jackknife, interval, level)
    size = used.sum(axis=1).astype(np.int64)
    fine = (matched > 1) & (supported > 0) & np.isfinite(estimate).all(axis=1) & (2 * samples >= n_samples)
    status = np.where(fine, int(Status.OK), int(Status.NOT_ESTIMABLE))
    status[cases == 0] = Status.NO_EVENTS
    status[size == 0] = Status.EMPTY
    for values in (estimate, se, low, high, own, control):
        values[status != Status.OK] = np.nan
    with np.errstate(invalid="ignore", divide="ignore"):
        controls = members / matched
    name = "influence variance" if counts is None else "bootstrap variance"
    return AttributableCost(
        estimate, se, low, high, own, control, size, cases, matched, controls, samples, status.astype(np.int64), level,
        f"risk-set matching, partitioned weights, {name}, {interval} interval",
    )  # fmt: skip


def _limits(
    estimate: FloatArray, variance: FloatArray, boot: FloatArray, jackknife: FloatArray, interval: str, level: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    if boot.shape[1] == 0:
        se = np.sqrt(variance)
        return se, estimate - normal_quantile(level) * se, estimate + normal_quantile(level) * se
    se, low, high = (np.full(estimate.shape, np.nan) for _ in range(3))
    for r, c in np.ndindex(*estimate.shape):
        values = boot[r, :, c]
        values = values[np.isfinite(values)]
        if values.size < 2:
            continue
        se[r, c] = values.std(ddof=1)
        tails = _tails(float(estimate[r, c]), values, jackknife[r, :, c], interval, level)
        low[r, c], high[r, c] = np.quantile(values, tails)
    if interval == "normal":
        return se, estimate - normal_quantile(level) * se, estimate + normal_quantile(level) * se
    return se, low, high


def _tails(estimate: float, boot: FloatArray, jackknife: FloatArray, interval: str, level: float) -> FloatArray:
    """Probabilities at which to read the bootstrap distribution."""
    from scipy.special import ndtr, ndtri

    plain = np.array([(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    if interval != "bca":
        return plain
    below = (np.sum(boot < estimate) + 0.5 * np.sum(boot == estimate)) / boot.size
    edge = 0.5 / boot.size
    shift = ndtri(min(max(below, edge), 1.0 - edge))
    around = np.nanmean(jackknife) - jackknife[np.isfinite(jackknife)] if np.isfinite(jackknife).any() else np.zeros(1)
    squares = float((around**2).sum())
    acceleration = float((around**3).sum()) / (6.0 * squares**1.5) if squares > 0.0 else 0.0
    z = shift + ndtri(plain)
    return np.asarray(ndtr(shift + z / (1.0 - acceleration * z)), dtype=np.float64)


def _check(
    cost: ArrayLike, index_day: ArrayLike, exit_day: ArrayLike, death_day: ArrayLike, keys: ArrayLike, first_day: int
) -> tuple[FloatArray, FloatArray, IntArray, FloatArray, FloatArray, IntArray]:
    money = np.asarray(cost)
    index, leaves, dies = (np.ascontiguousarray(a, dtype=np.float64) for a in (index_day, exit_day, death_day))
    key = np.asarray(keys)
    if money.ndim != 4 or 0 in money.shape[2:]:
        raise ValueError(f"cost must be (replicates, patients, days, components), not {money.shape}")
    if first_day < 0:
        raise ValueError(f"first_day must be 0 or later, not {first_day!r}")
    days = first_day + money.shape[2]
    if any(a.shape != money.shape[:2] for a in (index, leaves, dies)) or key.shape != (*money.shape[:2], days):
        shapes = ", ".join(str(a.shape) for a in (index, leaves, dies, key))
        raise ValueError(f"days must be (replicates, patients) and keys (replicates, patients, days) as in cost, not {shapes}")
    horizon = days - 1
    used = leaves >= 0.0  # NaN is not
    seen = dies <= leaves
    last = np.floor(np.minimum(np.where(seen, dies, leaves), horizon))
    used &= ~(last < 0.0)
    complete = (seen & (dies <= horizon)) | (leaves >= horizon)
    return (
        np.ascontiguousarray(money, dtype=np.float64),
        np.floor(index),
        np.where(used, last, 0.0).astype(np.int64),
        complete.astype(np.float64),
        used.astype(np.float64),
        np.ascontiguousarray(key, dtype=np.int64),
    )


def _check_total(total: Sequence[int], components: int) -> IntArray:
    if len(set(total)) != len(total) or not all(0 <= place < components for place in total):
        raise ValueError(f"total must be different places among the {components} components, not {tuple(total)!r}")
    return np.array(total, dtype=np.int64)


def _check_counts(counts: ArrayLike | None, shape: tuple[int, ...], interval: str, partition_days: int) -> FloatArray:
    if interval not in get_args(CostInterval):
        raise ValueError(f"unknown interval {interval!r}; allowed: {', '.join(get_args(CostInterval))}")
    if partition_days < 1:
        raise ValueError(f"partition_days must be 1 or more, not {partition_days!r}")
    if counts is None:
        if interval != "normal":
            raise ValueError(f"interval {interval!r} needs the counts of bootstrap samples")
        return np.empty((1, 0, shape[1]))
    draws = np.asarray(counts, dtype=np.float64)
    draws = draws[None] if draws.ndim == 2 else draws
    if draws.ndim != 3 or draws.shape[0] not in (1, shape[0]) or draws.shape[2] != shape[1] or draws.shape[1] == 0:
        raise ValueError(f"counts must be ([{shape[0]},] samples, {shape[1]}), not {draws.shape}")
    if not draws.min(initial=0.0) >= 0.0:
        raise ValueError("counts must not be negative")
    return draws
