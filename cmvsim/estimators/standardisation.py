"""Risks standardised over the covariates of all patients (g-computation), from a logistic regression, batched.

Every patient's risk is predicted as if exposed and as if not, and averaged. Standard errors are the delta method's from
the regression's covariance, the covariates taken as fixed; a bootstrap over patients lets them vary too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import Estimates, FloatArray, IntArray, Status
from cmvsim.estimators.intervals import normal_quantile
from cmvsim.estimators.logistic import Method, logistic
from cmvsim.estimators.regression import check_covariates


@dataclass(frozen=True, slots=True)
class StandardisedRisks:
    """Standardised risks, one per replicate.

    Attributes
    ----------
    risk_exposed, risk_unexposed
        Mean predicted risks.
    difference, ratio
        Their difference (limits clipped to [-1, 1]) and their ratio (standard error and limits on the log scale).
    """

    risk_exposed: FloatArray
    risk_unexposed: FloatArray
    difference: Estimates
    ratio: Estimates


def standardised_risks(
    outcome: ArrayLike,
    covariates: ArrayLike,
    *,
    exposure: int = 0,
    method: Method = "ml",
    robust: bool = False,
    level: float = 0.95,
) -> StandardisedRisks:
    """Marginal risks with and without an exposure, their difference and ratio, one per replicate.

    Parameters
    ----------
    outcome
        Integers or booleans, shape (replicates, patients): 0 no, positive yes, -1 not in the analysis.
    covariates
        (replicates, patients, p), or (patients, p) for all replicates, without intercept; a patient with a NaN is not
        in the analysis.
    exposure
        Column that is set to 1 and to 0.
    method, robust
        Of the regression; see :func:`cmvsim.estimators.logistic`.
    level
        Confidence level, two-sided.

    Returns
    -------
    StandardisedRisks
        Status that of the regression (``SEPARATION`` and so on), with NaN.

    Raises
    ------
    ValueError
        If shapes do not fit or an option is not allowed; never because of the data.

    Notes
    -----
    Robins (1986); Localio, Margolis and Berlin, J Clin Epidemiol 60 (2007) 874-882.
    """
    y = np.asarray(outcome, dtype=np.int64)
    x = check_covariates(covariates, y.shape)
    if not 0 <= exposure < x.shape[2]:
        raise ValueError(f"exposure must be a column, 0 to {x.shape[2] - 1}, not {exposure!r}")
    fit = logistic(y, x, method=method, robust=robust, level=level)
    counts = (y >= 0) & np.isfinite(x).all(axis=2)
    size = np.maximum(counts.sum(axis=1), 1)[:, None]
    risks, gradients = [], []
    for setting in (1.0, 0.0):
        design = np.concatenate([np.ones((*y.shape, 1)), np.where(counts[:, :, None], x, 0.0)], axis=2)
        design[:, :, exposure + 1] = setting
        eta = np.matmul(design, fit.coef[:, :, None])[:, :, 0]
        small = np.exp(-np.abs(eta))
        p = np.where(eta > 0.0, 1.0, small) / (1.0 + small)
        risks.append(np.where(counts, p, 0.0).sum(axis=1) / size[:, 0])
        slope = np.where(counts, p * (1.0 - p), 0.0)
        gradients.append(np.matmul(slope[:, None, :], design)[:, 0, :] / size)
    (p1, p0), (g1, g0) = risks, gradients
    z = normal_quantile(level)
    fine = fit.status == Status.OK
    difference, se = p1 - p0, _delta(g1 - g0, fit.covariance)
    bounds = np.maximum(difference - z * se, -1.0), np.minimum(difference + z * se, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio, log_se = p1 / p0, _delta(g1 / p1[:, None] - g0 / p0[:, None], fit.covariance)
        ratio_bounds = ratio * np.exp(-z * log_se), ratio * np.exp(z * log_se)

    def packed(values: tuple[FloatArray, ...], scale: str) -> Estimates:
        estimate, error, low, high = (np.where(fine, v, np.nan) for v in values)
        counted = (fit.n, fit.events, _status(fit.status))
        return Estimates(estimate, error, low, high, *counted, level, f"standardised, {fit.method}", se_scale=scale)

    return StandardisedRisks(
        np.where(fine, p1, np.nan),
        np.where(fine, p0, np.nan),
        packed((difference, se, *bounds), "plain"),
        packed((ratio, log_se, *ratio_bounds), "log"),
    )


def _delta(gradient: FloatArray, covariance: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(np.einsum("ra,rab,rb->r", gradient, covariance, gradient)), dtype=np.float64)


def _status(status: IntArray) -> IntArray:
    """`Estimates` promises an exact bound under ``NO_EVENTS``; there is none here."""
    return np.where(status == Status.NO_EVENTS, int(Status.NOT_ESTIMABLE), status).astype(np.int64)
