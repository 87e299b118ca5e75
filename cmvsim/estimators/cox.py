"""Cox regression of a cause-specific hazard, batched; conventions of R's ``survival::coxph``.

Conventions
-----------
At risk at t: entry < t <= time, so that a row that ends at t and the same patient's next, which begins there,
are never both at risk. Every cause but the one of interest censors. Ties are Efron's (1977) by default or
Breslow's (1974). Strata have their own baseline hazards. Weights multiply a row's terms; tied deaths under
Efron share their mean weight, as in R.

Standard errors are from the observed information, or robust: Lin and Wei (1989), the sum of squared (weighted)
score residuals over rows or, with `cluster`, over clusters; no small-sample factor. `wald` uses the variance
of the fit, `score` and `likelihood_ratio` are model-based, `robust_score` is R's robust score test.

Newton's method with step halving on standardised covariates, until the next step would move no combination of
coefficients by more than 1e-9 of its standard error. Where the likelihood has no maximum (Bryson and Johnson
1981) the status is ``SEPARATION``: the direction in which it keeps rising is checked risk set by risk set. The
score test, and the likelihood ratio at the supremum, are then still given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import Estimates, FloatArray, IntArray
from cmvsim.estimators.ordering import check_batch
from cmvsim.estimators.regression import Wald, check_covariates, one_term, per_row, time_order

Ties = Literal["efron", "breslow"]
SPARSE = 0.9
"""Share of rows in the analysis below which the others are left out before anything is sorted."""
WHOLE = float(1 << 40)
"""Whole numbers below this can be packed with the index of their row."""


@dataclass(frozen=True, slots=True)
class CoxFit:
    """Cox regressions, one per replicate; p is the number of covariates.

    Attributes
    ----------
    coef, se, ci_low, ci_high, p_value
        Log hazard ratios, their standard errors (robust if asked), Wald limits and two-sided p-values,
        (replicates, p).
    covariance, model_se
        Covariance behind `se`, (replicates, p, p); standard errors from the information, whatever `se` is.
    loglik_null, loglik
        Log partial likelihood at 0 and at the estimate (its supremum under separation).
    score, likelihood_ratio, wald, robust_score
        Chi-square statistics on p degrees of freedom of "all coefficients are 0"; `robust_score` NaN unless
        robust.
    n, events
        Rows in the analysis and events of interest among them.
    iterations
        Newton steps.
    status
        :class:`~cmvsim.core.records.Status` codes: OK, ``EMPTY``, ``NO_EVENTS``, ``NOT_ESTIMABLE`` (a covariate
        is constant, or a combination of others, in the risk sets), ``SEPARATION``, ``NOT_CONVERGED``. All but
        OK have NaN coefficients.
    level, method
        Confidence level; ties and variance by name.
    """

    coef: FloatArray
    se: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    p_value: FloatArray
    covariance: FloatArray
    model_se: FloatArray
    loglik_null: FloatArray
    loglik: FloatArray
    score: FloatArray
    likelihood_ratio: FloatArray
    wald: FloatArray
    robust_score: FloatArray
    n: IntArray
    events: IntArray
    iterations: IntArray
    status: IntArray
    level: float
    method: str

    def term(self, index: int, *, exponentiate: bool = False) -> Estimates:
        """One coefficient, or with `exponentiate` hazard ratio (its `se` on the log scale), as `Estimates`.

        ``NO_EVENTS`` becomes ``NOT_ESTIMABLE``: `Estimates` promises an exact bound under the former.
        """
        return one_term(self, index, exponentiate=exponentiate)


def cox(
    time: ArrayLike,
    cause: ArrayLike,
    covariates: ArrayLike,
    *,
    event: int = 1,
    ties: Ties = "efron",
    entry: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    robust: bool = False,
    cluster: ArrayLike | None = None,
    level: float = 0.95,
    max_iterations: int = 60,
) -> CoxFit:
    """Cox regression of one cause, one per replicate.

    Parameters
    ----------
    time
        Time of event or censoring, or end of a start-stop row, shape (replicates, rows). NaN or infinite is not
        in the analysis.
    cause
        Integers of the same shape: 0 censored, 1, 2, ... the causes, -1 not in the analysis.
    covariates
        (replicates, rows, p), or (rows, p) for all replicates; a row with a NaN is not in the analysis.
    event
        The cause of interest; every other censors.
    ties
        ``efron`` or ``breslow``.
    entry
        Delayed entry or start of a start-stop row, broadcast to `time`; a row that begins at or after its end
        is not in the analysis.
    strata
        Non-negative integers, broadcast to `time`; negative is not in the analysis.
    weights
        Case weights, broadcast to `time`; weight 0 is not in the analysis.
    robust
        Lin-Wei standard errors; implied by `cluster`.
    cluster
        Integers or floats that rows of the same cluster share, broadcast to `time`.
    level
        Confidence level of the Wald limits.
    max_iterations
        Newton steps before ``NOT_CONVERGED``.

    Returns
    -------
    CoxFit
        Arrays of leading shape (replicates,).

    Raises
    ------
    ValueError
        If shapes do not fit or a name is unknown; never because of the data.

    Notes
    -----
    Cox (1972). Agreement with R's survival is tested to 1e-8.
    """
    from cmvsim.estimators.kernels.cox import fit_cox

    if ties not in get_args(Ties):
        raise ValueError(f"unknown ties {ties!r}; allowed: {', '.join(get_args(Ties))}")
    if event < 1:
        raise ValueError(f"event must be a cause, 1 or above, not {event!r}")
    batch = check_batch(time, cause, None, entry, weights)
    shape = batch.time.shape
    x = check_covariates(covariates, shape)
    times = np.ascontiguousarray(batch.time, dtype=np.float64)
    stratum = per_row(strata, shape, np.int64)
    begins, weight = per_row(entry, shape, np.float64), per_row(weights, shape, np.float64)
    causes = _causes(np.asarray(batch.cause, dtype=np.int64), times, begins, stratum, weight)
    groups = per_row(cluster, shape, np.float64)
    place = _in_the_analysis(causes)
    if place is not None:
        at = (np.arange(shape[0])[:, np.newaxis], place)
        times, causes, x = times[at], causes[at], x[at]
        begins, weight, stratum, groups = (a[at] if a.shape[1] else a for a in (begins, weight, stratum, groups))
    robust = robust or cluster is not None
    replicates, p = shape[0], x.shape[2]
    coef, covariance, naive = np.empty((replicates, p)), np.empty((replicates, p, p)), np.empty((replicates, p, p))
    loglik, tests = np.empty((replicates, 2)), np.empty((replicates, 4))
    n, events, iterations, status = (np.empty(replicates, dtype=np.int64) for _ in range(4))
    for block in batch.blocks():
        by_exit, by_entry = _orders(times[block], causes[block], begins[block], stratum[block], event)
        fit_cox(
            by_exit,
            by_entry,
            times[block],
            causes[block],
            begins[block],
            weight[block],
            stratum[block],
            groups[block],
            x[block],
            event,
            ties == "efron",
            robust,
            max_iterations,
            coef[block],
            covariance[block],
            naive[block],
            loglik[block],
            tests[block],
            n[block],
            events[block],
            iterations[block],
            status[block],
        )
    table = Wald.of(coef, covariance, level)
    return CoxFit(
        coef,
        table.se,
        table.ci_low,
        table.ci_high,
        table.p_value,
        covariance,
        np.sqrt(np.diagonal(naive, axis1=1, axis2=2)),
        loglik[:, 0],
        loglik[:, 1],
        tests[:, 0],
        tests[:, 1],
        tests[:, 2],
        tests[:, 3],
        n,
        events,
        iterations,
        status,
        level,
        f"{ties} ties, {'robust' if robust else 'model'} variance",
    )


def _causes(cause: IntArray, time: FloatArray, entry: FloatArray, stratum: IntArray, weight: FloatArray) -> IntArray:
    """Causes with -1 for every row that is not in the analysis, whatever the reason."""
    counts = np.isfinite(time)
    if entry.shape[1]:
        counts &= np.isfinite(entry) & (entry < time)
    if stratum.shape[1]:
        counts &= stratum >= 0
    if weight.shape[1]:
        counts &= np.isfinite(weight) & (weight > 0.0)
    return np.ascontiguousarray(cause if counts.all() else np.where(counts, cause, -1))


def _in_the_analysis(cause: IntArray) -> IntArray | None:
    """Rows that are in the analysis, in their order, before others; as many as any replicate has. None: nothing to leave out.

    Start-stop tables have room for as many rows of each patient as the one with most needs.
    """
    counts = cause >= 0
    width = max(int(counts.sum(axis=1).max(initial=0)), 1)
    return np.argsort(~counts, axis=1, kind="stable")[:, :width] if width < SPARSE * cause.shape[1] else None


def _orders(time: FloatArray, cause: IntArray, entry: FloatArray, stratum: IntArray, event: int) -> tuple[IntArray, IntArray]:
    """Rows by (stratum, exit) and by (stratum, entry); the second without columns if nobody enters late."""
    nothing = np.empty((time.shape[0], 0), dtype=np.int64)
    if not entry.shape[1] and not stratum.shape[1]:
        return time_order(time, cause, event), nothing
    if not stratum.shape[1]:
        return _ascending(time, cause), _ascending(entry, cause)
    by_exit = np.lexsort((time, stratum), axis=-1)
    return by_exit, np.lexsort((entry, stratum), axis=-1) if entry.shape[1] else nothing


def _ascending(values: FloatArray, cause: IntArray) -> IntArray:
    """Rows in ascending order of values, ties by index; whole numbers, as days are, by the sort of packed keys."""
    known = np.where(cause >= 0, values, 0.0)
    if (np.abs(known) < WHOLE).all() and (known == np.floor(known)).all():
        keys = known.astype(np.int64) * values.shape[1] + np.arange(values.shape[1])
        keys.sort(axis=1)
        return np.asarray(keys % values.shape[1])
    return np.argsort(values, axis=1, kind="stable")
