"""Fine-Gray regression of a subdistribution hazard, batched; conventions of R's ``cmprsk::crr``.

Conventions
-----------
A patient with a competing event stays in the risk set with weight G(t-) / G(T-), G the Kaplan-Meier of the
censoring time and both values left limits (Fine and Gray 1999). Tied events as Breslow; a patient whose
competing event is tied with an event counts as at risk with weight 1; everybody with T >= u is at risk of
being censored at u. G is one for all: crr's ``cengroup`` is not offered.

Standard errors are crr's sandwich, which accounts for the estimation of G. On tied data it is reproduced by
one rule only: the term q(u) of the censoring takes event times s >= u and competing rows strictly before u. It is
computed in one backward and one forward sweep, O(n p²), where crr needs O(n²).

Newton's method until the next step would move no combination of coefficients by more than 1e-9 of its standard
error: crr itself may stop near 1e-6. Where the likelihood has no maximum the status is ``SEPARATION``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import Estimates, FloatArray, IntArray
from cmvsim.estimators.ordering import check_batch
from cmvsim.estimators.regression import Wald, check_covariates, one_term, time_order


@dataclass(frozen=True, slots=True)
class FineGrayFit:
    """Fine-Gray regressions, one per replicate; p is the number of covariates.

    Attributes
    ----------
    coef, se, ci_low, ci_high, p_value
        Log subdistribution hazard ratios, sandwich standard errors, Wald limits and two-sided p-values,
        (replicates, p).
    covariance, model_se
        Sandwich covariance, (replicates, p, p); standard errors from the information alone, which ignore that
        weights and residuals are dependent: for comparison, not for inference.
    loglik_null, loglik
        Log weighted partial likelihood at 0 and at the estimate (its supremum under separation).
    score, likelihood_ratio, wald
        Statistics of "all coefficients are 0". Only `wald`, which uses the sandwich, is chi-square on p degrees
        of freedom; the other two are crr's pseudo-likelihood numbers.
    n, events
        Patients in the analysis and events of interest among them.
    iterations
        Newton steps.
    status
        :class:`~cmvsim.core.records.Status` codes as in :class:`~cmvsim.estimators.cox.CoxFit`.
    level, method
        Confidence level; the variance by name.
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
    n: IntArray
    events: IntArray
    iterations: IntArray
    status: IntArray
    level: float
    method: str

    def term(self, index: int, *, exponentiate: bool = False) -> Estimates:
        """One coefficient, or with `exponentiate` subdistribution hazard ratio (`se` on the log scale).

        ``NO_EVENTS`` becomes ``NOT_ESTIMABLE``: `Estimates` promises an exact bound under the former.
        """
        return one_term(self, index, exponentiate=exponentiate)


def fine_gray(
    time: ArrayLike,
    cause: ArrayLike,
    covariates: ArrayLike,
    *,
    event: int = 1,
    level: float = 0.95,
    max_iterations: int = 60,
) -> FineGrayFit:
    """Fine-Gray regression of one cause, one per replicate.

    Parameters
    ----------
    time
        Time of event or censoring, shape (replicates, patients). NaN or infinite is not in the analysis.
    cause
        Integers of the same shape: 0 censored, 1, 2, ... the causes, -1 not in the analysis.
    covariates
        (replicates, patients, p), or (patients, p) for all replicates; a patient with a NaN is not in the
        analysis.
    event
        The cause of interest; every other competes.
    level
        Confidence level of the Wald limits.
    max_iterations
        Newton steps before ``NOT_CONVERGED``.

    Returns
    -------
    FineGrayFit
        Arrays of leading shape (replicates,).

    Raises
    ------
    ValueError
        If shapes do not fit; never because of the data.

    Notes
    -----
    Fine and Gray (1999). Agreement with R's cmprsk is tested to 1e-7.
    """
    from cmvsim.estimators.kernels.fine_gray import fit_fine_gray

    if event < 1:
        raise ValueError(f"event must be a cause, 1 or above, not {event!r}")
    batch = check_batch(time, cause, None, None, None)
    shape = batch.time.shape
    x = check_covariates(covariates, shape)
    times = np.ascontiguousarray(batch.time, dtype=np.float64)
    causes = np.ascontiguousarray(batch.cause, dtype=np.int64)
    replicates, p = shape[0], x.shape[2]
    coef, covariance, naive = np.empty((replicates, p)), np.empty((replicates, p, p)), np.empty((replicates, p, p))
    loglik, tests = np.empty((replicates, 2)), np.empty((replicates, 3))
    n, events, iterations, status = (np.empty(replicates, dtype=np.int64) for _ in range(4))
    for block in batch.blocks():
        fit_fine_gray(
            time_order(times[block], causes[block], event),
            times[block],
            causes[block],
            x[block],
            event,
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
    return FineGrayFit(
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
        n,
        events,
        iterations,
        status,
        level,
        "Fine-Gray sandwich variance",
    )
