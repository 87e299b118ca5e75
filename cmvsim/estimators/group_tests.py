"""Comparing groups: the log-rank test and Gray's test of cumulative incidences, batched.

Conventions
-----------
At risk at t: time >= t; censoring tied with an event comes after it; events at time 0 count. Both tests are
weighted by ``rho`` and stratified by adding up scores and covariances over strata. Two-sided by nature: the
p-value is the upper tail of chi-square with (groups - 1) degrees of freedom.

``log-rank``
    Of one cause, the others counting as censored: hypergeometric variance, weights S(t-)^rho with S the pooled
    Kaplan-Meier of the stratum (Harrington and Fleming 1982), as R's ``survival::survdiff``. A group none of
    which is at risk at any event takes no part, and the degrees of freedom are fewer.
``gray``
    Gray (1988), weights (1 - F(t-))^rho, as R's ``cmprsk::cuminc`` including its finite-sample factors at ties.
    Groups of whom nobody is in the analysis take no part. Where cmprsk prints -1 (singular variance) the
    status is ``NOT_ESTIMABLE``.

No event of the cause in any group is status ``NO_EVENTS`` with a statistic of NaN: no evidence is not the same
as a statistic of 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmvsim.core.records import FloatArray, IntArray, Status
from cmvsim.estimators.ordering import Batch, check_batch, sorted_keys
from cmvsim.estimators.regression import NO_HORIZON


@dataclass(frozen=True, slots=True)
class GroupTest:
    """Result of a test between groups, one per replicate (and nested size).

    Attributes
    ----------
    statistic, p_value
        Chi-square and its upper tail; NaN unless the status is OK.
    df
        Degrees of freedom: groups that take part, minus 1.
    score
        Observed minus expected (weighted) events, last axis the groups.
    covariance
        Of `score`, last two axes the groups.
    observed, expected
        (Weighted) events by group, last axis the groups; empty for Gray's test, which has no such pair.
    n, events
        Patients in the analysis and events of interest among them.
    status
        :class:`~cmvsim.core.records.Status` codes: OK, ``NO_EVENTS``, ``EMPTY``, ``NOT_ESTIMABLE`` (fewer than
        two groups take part, or the variance is singular).
    method
        The test by name.
    """

    statistic: FloatArray
    df: IntArray
    p_value: FloatArray
    score: FloatArray
    covariance: FloatArray
    observed: FloatArray
    expected: FloatArray
    n: IntArray
    events: IntArray
    status: IntArray
    method: str


def logrank(
    time: ArrayLike,
    cause: ArrayLike,
    group: ArrayLike,
    *,
    event: int = 1,
    rho: float = 0.0,
    strata: ArrayLike | None = None,
    n_groups: int | None = None,
    nested: Sequence[int] | None = None,
) -> GroupTest:
    """(Weighted, stratified) log-rank test of one cause, one per replicate.

    Parameters
    ----------
    time
        Time of event or censoring, shape (replicates, patients). NaN or infinite is not in the analysis.
    cause
        Integers of the same shape: 0 censored, 1, 2, ... the causes, -1 not in the analysis.
    group
        Integers 0, 1, ..., broadcast to `time`; negative is not in the analysis.
    event
        The cause of interest; every other counts as censored.
    rho
        Exponent of the weight S(t-)^rho: 0 log-rank, 1 Peto and Peto's Wilcoxon.
    strata
        Non-negative integers, broadcast to `time`; negative is not in the analysis. None: one stratum.
    n_groups
        Length of the groups' axis; by default the largest group in the batch plus 1.
    nested
        Ascending study sizes, as for :func:`cmvsim.estimators.aalen_johansen`.

    Returns
    -------
    GroupTest
        Arrays of leading shape (replicates,), or (replicates, len(nested)).

    Raises
    ------
    ValueError
        If shapes do not fit or a code is out of range; never because of the data.

    Notes
    -----
    Mantel (1966); Harrington and Fleming (1982). Agreement with R's survival is tested to 1e-8.
    """
    from cmvsim.estimators.kernels.group_tests import sweep_logrank

    plan = _plan(time, cause, group, strata, n_groups, nested, event)
    out = _Out.empty(plan)
    observed, expected = np.zeros(out.score.shape), np.zeros(out.score.shape)
    for block in plan.batch.blocks():
        sweep_logrank(
            plan.keys(block, event),
            plan.group[block],
            plan.strata[block],
            plan.n_strata,
            plan.batch.sizes,
            float(rho),
            out.statistic[block],
            out.df[block],
            observed[block],
            expected[block],
            out.covariance[block],
            out.n[block],
            out.events[block],
        )
    np.subtract(observed, expected, out=out.score)
    return _finish(out, observed, expected, plan, f"log-rank, rho = {rho:g}")


def gray(
    time: ArrayLike,
    cause: ArrayLike,
    group: ArrayLike,
    *,
    event: int = 1,
    rho: float = 0.0,
    strata: ArrayLike | None = None,
    n_groups: int | None = None,
    nested: Sequence[int] | None = None,
) -> GroupTest:
    """Gray's test that the cumulative incidence of one cause is the same in all groups, one per replicate.

    Parameters
    ----------
    time, cause, group, strata, n_groups, nested
        As for :func:`logrank`.
    event
        The cause of interest; every other competes.
    rho
        Exponent of the weight (1 - F(t-))^rho.

    Returns
    -------
    GroupTest
        Arrays of leading shape (replicates,), or (replicates, len(nested)).

    Raises
    ------
    ValueError
        If shapes do not fit or a code is out of range; never because of the data.

    Notes
    -----
    Gray (1988). Agreement with R's cmprsk is tested to 1e-8.
    """
    from cmvsim.estimators.kernels.group_tests import sweep_gray

    plan = _plan(time, cause, group, strata, n_groups, nested, event)
    out = _Out.empty(plan)
    for block in plan.batch.blocks():
        sweep_gray(
            plan.keys(block, event),
            plan.group[block],
            plan.strata[block],
            plan.n_strata,
            plan.batch.sizes,
            float(rho),
            out.statistic[block],
            out.df[block],
            out.score[block],
            out.covariance[block],
            out.n[block],
            out.events[block],
        )
    nothing = np.empty((*out.n.shape, 0))
    return _finish(out, nothing, nothing, plan, f"Gray, rho = {rho:g}")


@dataclass(frozen=True, slots=True)
class _Plan:
    """Checked arguments of one test."""

    batch: Batch
    group: IntArray
    strata: IntArray
    n_groups: int
    n_strata: int

    def keys(self, block: slice, event: int) -> NDArray[np.int64]:
        """Sorted packed keys of a block of replicates."""
        entered = np.empty((len(range(*block.indices(self.batch.shape[0]))), self.batch.sizes.size), dtype=np.int64)
        return sorted_keys(self.batch, block, NO_HORIZON, event, entered)


@dataclass(frozen=True, slots=True)
class _Out:
    """Arrays for a sweep to fill."""

    statistic: FloatArray
    df: IntArray
    score: FloatArray
    covariance: FloatArray
    n: IntArray
    events: IntArray

    @classmethod
    def empty(cls, plan: _Plan) -> _Out:
        shape, k = plan.batch.shape, plan.n_groups
        counts = [np.zeros(shape, dtype=np.int64) for _ in range(3)]
        return cls(np.empty(shape), counts[0], np.zeros((*shape, k)), np.zeros((*shape, k, k)), counts[1], counts[2])


def _plan(
    time: ArrayLike,
    cause: ArrayLike,
    group: ArrayLike,
    strata: ArrayLike | None,
    n_groups: int | None,
    nested: Sequence[int] | None,
    event: int,
) -> _Plan:
    if event < 1:
        raise ValueError(f"event must be a cause, 1 or above, not {event!r}")
    batch = check_batch(time, cause, nested, None, None)
    groups = np.ascontiguousarray(np.broadcast_to(np.asarray(group, dtype=np.int64), batch.time.shape))
    k = int(groups.max(initial=0)) + 1
    if n_groups is not None and k > n_groups:
        raise ValueError(f"group {k - 1} is out of range: n_groups is {n_groups}")
    out_of_analysis = groups < 0
    if strata is None:
        levels = np.zeros((batch.time.shape[0], 1), dtype=np.int64)  # never read
    else:
        levels = np.ascontiguousarray(np.broadcast_to(np.asarray(strata, dtype=np.int64), batch.time.shape))
        out_of_analysis |= levels < 0
    if out_of_analysis.any():
        batch = check_batch(batch.time, np.where(out_of_analysis, -1, batch.cause), nested, None, None)
    return _Plan(batch, groups, levels, k if n_groups is None else n_groups, int(levels.max(initial=0)) + 1)


def _finish(out: _Out, observed: FloatArray, expected: FloatArray, plan: _Plan, method: str) -> GroupTest:
    """p-values and statuses."""
    from scipy.special import chdtrc

    none, empty = out.events == 0, out.n == 0
    # rounding may leave a spark of a negative statistic where the score is zero
    statistic = np.maximum(out.statistic, 0.0)
    status = np.where(np.isfinite(statistic), int(Status.OK), int(Status.NOT_ESTIMABLE)).astype(np.int64)
    status[none], status[empty] = Status.NO_EVENTS, Status.EMPTY
    statistic[status != Status.OK] = np.nan
    with np.errstate(invalid="ignore"):
        p_value = np.asarray(chdtrc(np.maximum(out.df, 1), statistic), dtype=np.float64)
    arrays = (statistic, out.df, p_value, out.score, out.covariance, observed, expected, out.n, out.events, status)
    if not plan.batch.nested:
        arrays = tuple(a[:, 0] for a in arrays)  # type: ignore[assignment]
    return GroupTest(*arrays, method=method if plan.n_strata == 1 else f"{method}, stratified")
