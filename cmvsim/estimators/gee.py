"""Repeated measurements of patients: generalised estimating equations (Liang and Zeger 1986), identity link.

Independence (:func:`gee`, batched) is the primary analysis of quality of life: the baseline-adjusted difference
between visits with and without an earlier CMV reactivation, while alive, with an effect of each visit. Under
independence a visit after a patient's death, or missed, drops out without a model of what it would have been, and a
covariate that changes over time needs no assumption on the outcome's effect on it (Pepe and Anderson 1994); both
fail under any other working correlation. :func:`gee_working` fits exchangeable and autoregressive ones to one data
set, for sensitivity.

The standard errors
-------------------
``none``
    Liang and Zeger's sandwich, clusters are patients; no small-sample factor.
``mancl-derouen``
    Residuals of a patient multiplied by (I - H)⁻¹ (Mancl and DeRouen 2001), which removes the sandwich's downward
    bias when patients are few; somewhat conservative.
``fay-graubard``
    Scores of a patient divided by sqrt(1 - min(0.75, share of the information)) (Fay and Graubard 2001).

A covariate that only one patient ever varies in (one reactivation) makes that patient's residuals vanish, and the
sandwich with them: such data are ``NOT_ESTIMABLE``, found by leaving out the patient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import Estimates, FloatArray, IntArray, Status
from cmvsim.estimators.intervals import normal_quantile

VisitEffects = Literal["visit", "intercept", "none"]
Correction = Literal["none", "mancl-derouen", "fay-graubard"]
Reference = Literal["normal", "t"]
Structure = Literal["independence", "exchangeable", "ar1"]


@dataclass(frozen=True, slots=True)
class GeeFit:
    """Estimating equations, one fit per replicate; p counts the effects of visits first, then the covariates.

    Attributes
    ----------
    coef, se, ci_low, ci_high, p_value
        Coefficients, robust standard errors, limits and two-sided p-values, (replicates, p). NaN for the effect of
        a visit that fewer than two patients attended.
    covariance
        Robust covariance, (replicates, p, p).
    model_se
        Standard errors if the working correlation were true.
    scale
        Mean squared residual.
    correlation
        Working correlation (of neighbours under ``ar1``), 0 under independence.
    n, clusters
        Visits in the analysis, patients with at least one.
    iterations
        Updates of the correlation; 0 under independence.
    status
        :class:`~cmvsim.core.records.Status` codes: OK, ``EMPTY``, ``NOT_ESTIMABLE`` (a column is a combination of
        others, hangs on one patient, there are no more patients than columns, or nothing varies),
        ``NOT_CONVERGED``. All but OK have NaN coefficients.
    covariates
        Number of covariates: the last columns.
    level, method
        Confidence level; working correlation and variance by name.
    """

    coef: FloatArray
    se: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    p_value: FloatArray
    covariance: FloatArray
    model_se: FloatArray
    scale: FloatArray
    correlation: FloatArray
    n: IntArray
    clusters: IntArray
    iterations: IntArray
    status: IntArray
    covariates: int
    level: float
    method: str

    def term(self, covariate: int) -> Estimates:
        """The coefficient of one covariate (0 is the first) as `Estimates`: `n` patients, `events` visits."""
        at = self.coef.shape[1] - self.covariates + covariate
        return Estimates(
            self.coef[:, at],
            self.se[:, at],
            self.ci_low[:, at],
            self.ci_high[:, at],
            self.clusters,
            self.n,
            self.status,
            self.level,
            self.method,
        )


def gee(
    outcome: ArrayLike,
    covariates: ArrayLike,
    *,
    effects: VisitEffects = "visit",
    correction: Correction = "none",
    reference: Reference = "normal",
    level: float = 0.95,
) -> GeeFit:
    """Independence estimating equations, one fit per replicate.

    Parameters
    ----------
    outcome
        (replicates, patients, visits), NaN where there is no measurement.
    covariates
        (replicates, patients, visits, q), or without the leading axis for all replicates; a visit with a NaN is not
        in the analysis.
    effects
        ``visit``: a mean of each visit (saturated in time); ``intercept``: one; ``none``.
    correction, level
        See the module's docstring; two-sided level.
    reference
        ``normal`` quantiles, or those of ``t`` with patients - columns degrees of freedom.

    Returns
    -------
    GeeFit
        Arrays of leading shape (replicates,).

    Raises
    ------
    ValueError
        If shapes do not fit or a name is unknown; never because of the data.

    Notes
    -----
    Agreement with R's geepack is tested to 1e-8.
    """
    from cmvsim.estimators.kernels import gee as kernel

    codes = {"none": kernel.PLAIN, "mancl-derouen": kernel.MANCL_DEROUEN, "fay-graubard": kernel.FAY_GRAUBARD}
    groups = {"visit": kernel.GROUP_PER_VISIT, "intercept": kernel.ONE_GROUP, "none": kernel.NO_GROUPS}
    _check_names(effects, correction, reference)
    y = np.ascontiguousarray(outcome, dtype=np.float64)
    x = np.asarray(covariates, dtype=np.float64)
    if y.ndim == 3 and x.ndim == 3 and x.shape[:2] == y.shape[1:]:
        x = np.broadcast_to(x, (y.shape[0], *x.shape))
    if y.ndim != 3 or x.ndim != 4 or x.shape[:3] != y.shape:
        raise ValueError(f"outcome and covariates must be (replicates, patients, visits[, q]), not {y.shape}, {x.shape}")
    replicates, q = y.shape[0], x.shape[3]
    p = q + {"visit": y.shape[2], "intercept": 1, "none": 0}[effects]
    if p == 0:
        raise ValueError("nothing to estimate: no covariates and effects = 'none'")
    coef, scale = np.empty((replicates, p)), np.empty(replicates)
    covariance, naive = np.empty((replicates, p, p)), np.empty((replicates, p, p))
    n, clusters, status = (np.empty(replicates, dtype=np.int64) for _ in range(3))
    x = np.ascontiguousarray(x)
    kernel.fit_independence(y, x, groups[effects], codes[correction], coef, covariance, naive, scale, n, clusters, status)
    columns = np.isfinite(coef).sum(axis=1)
    return _fit(
        coef, covariance, naive, scale, np.zeros(replicates), n, clusters, np.zeros(replicates, dtype=np.int64), status,
        q, level, columns, reference, f"independence, {_VARIANCES[correction]}, {reference} interval",
    )  # fmt: skip


_VARIANCES = {"none": "robust variance", "mancl-derouen": "Mancl-DeRouen variance", "fay-graubard": "Fay-Graubard variance"}


def gee_working(
    outcome: ArrayLike,
    covariates: ArrayLike,
    *,
    structure: Structure = "exchangeable",
    times: ArrayLike | None = None,
    level: float = 0.95,
    max_iterations: int = 200,
) -> GeeFit:
    """Estimating equations of one data set with a working correlation; no effects are added to the covariates.

    Parameters
    ----------
    outcome
        (patients, visits), NaN where there is no measurement.
    covariates
        (patients, visits, p), the columns of an intercept or of visits among them.
    structure
        ``independence``, ``exchangeable``, or ``ar1``: correlation a^d of visits d apart.
    times
        Of the visits, (visits,), in units of the correlation's lag; None: 0, 1, 2, ...
    level
        Confidence level, two-sided.
    max_iterations
        Updates of the correlation before ``NOT_CONVERGED``.

    Returns
    -------
    GeeFit
        With a replicate axis of length 1. ``NOT_CONVERGED`` also where the moment equation of the correlation has no
        solution strictly between -1 and 1 (``ar1``: 0 and 1) for which the working matrix is positive definite.

    Raises
    ------
    ValueError
        If shapes do not fit or a name is unknown.

    Notes
    -----
    Moments as in R's geepack: the scale is the mean squared residual, the correlation solves the unweighted
    estimating equation of the products of pairs. Agreement is tested to 1e-6.
    """
    from cmvsim.estimators.working_correlation import fit_working

    if structure not in get_args(Structure):
        raise ValueError(f"unknown structure {structure!r}; allowed: {', '.join(get_args(Structure))}")
    y, x = np.asarray(outcome, dtype=np.float64), np.asarray(covariates, dtype=np.float64)
    if y.ndim != 2 or x.ndim != 3 or x.shape[:2] != y.shape or x.shape[2] == 0:
        raise ValueError(f"outcome and covariates must be (patients, visits[, p]), not {y.shape}, {x.shape}")
    lag = np.arange(y.shape[1], dtype=np.float64) if times is None else np.asarray(times, dtype=np.float64)
    if lag.shape != (y.shape[1],):
        raise ValueError(f"times must be one per visit, ({y.shape[1]},), not {lag.shape}")
    got = fit_working(y, x, structure, lag, max_iterations)
    p = x.shape[2]
    return _fit(
        got.coef[None], got.covariance[None], got.naive[None], np.array([got.scale]), np.array([got.correlation]),
        np.array([got.n]), np.array([got.clusters]), np.array([got.iterations]), np.array([int(got.status)]),
        p, level, np.array([p]), "normal", f"{structure}, robust variance, normal interval",
    )  # fmt: skip


def _fit(
    coef: FloatArray,
    covariance: FloatArray,
    naive: FloatArray,
    scale: FloatArray,
    correlation: FloatArray,
    n: IntArray,
    clusters: IntArray,
    iterations: IntArray,
    status: IntArray,
    covariates: int,
    level: float,
    columns: IntArray,
    reference: str,
    method: str,
) -> GeeFit:
    from scipy.special import erfc, stdtr, stdtrit

    # a variance of 0 may come out a rounding error below it
    se = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0.0))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.abs(coef / se)
        if reference == "t":
            freedom = np.where(status == Status.OK, clusters - columns, np.nan)[:, None].astype(np.float64)
            z = np.asarray(stdtrit(freedom, (1.0 + level) / 2.0))
            p_value = 2.0 * np.asarray(stdtr(freedom, -ratio))
        else:
            z = np.full((1, 1), normal_quantile(level))
            p_value = np.asarray(erfc(ratio / np.sqrt(2.0)))
    model_se = np.sqrt(np.diagonal(naive, axis1=1, axis2=2))
    return GeeFit(
        coef, se, coef - z * se, coef + z * se, p_value, covariance, model_se, scale, correlation, n, clusters,
        iterations, status, covariates, level, method,
    )  # fmt: skip


def _check_names(effects: str, correction: str, reference: str) -> None:
    for name, value, allowed in (
        ("effects", effects, get_args(VisitEffects)),
        ("correction", correction, get_args(Correction)),
        ("reference", reference, get_args(Reference)),
    ):
        if value not in allowed:
            raise ValueError(f"unknown {name} {value!r}; allowed: {', '.join(allowed)}")
