"""Estimating equations with a working correlation, one data set: alternate coefficients and correlation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmvsim.core.records import BoolArray, FloatArray, Status

TIGHT = 1e-12
"""Change of the correlation at which to stop."""


@dataclass(frozen=True, slots=True)
class WorkingFit:
    """What :func:`cmvsim.estimators.gee_working` wraps; NaN unless the status is OK."""

    coef: FloatArray
    covariance: FloatArray
    naive: FloatArray
    scale: float
    correlation: float
    n: int
    clusters: int
    iterations: int
    status: Status


def fit_working(y: FloatArray, x: FloatArray, structure: str, times: FloatArray, max_iterations: int) -> WorkingFit:
    """Alternate generalised least squares and the moment equation of the correlation."""
    used = np.isfinite(y) & np.isfinite(x).all(axis=2)
    n, clusters, p = int(used.sum()), int(used.any(axis=1).sum()), x.shape[2]
    lag = np.abs(times[:, None] - times[None, :])
    failed = Status.EMPTY if n == 0 else Status.NOT_ESTIMABLE
    # rows out of the analysis count as zeros with correlation 0 to everything
    y, x = np.where(used, y, 0.0), np.where(used[:, :, None], x, 0.0)
    if clusters <= p or np.linalg.matrix_rank(x.reshape(-1, p)) < p:
        return _nothing(p, n, clusters, 0, failed)
    correlation, iterations = 0.0, 0
    coef, bread, residual, inverse = _least_squares(y, x, used, correlation, lag, structure)
    for iterations in range(1, max_iterations + 1):
        scale = float((residual**2).sum() / n)
        if not scale > 1e-24 * float((y**2).sum()):
            return _nothing(p, n, clusters, iterations, Status.NOT_ESTIMABLE)
        found = _correlation(residual / np.sqrt(scale), used, lag, structure)
        if found is None or not _positive(used, found, lag, structure):
            return _nothing(p, n, clusters, iterations, Status.NOT_CONVERGED)
        change, correlation = abs(found - correlation), found
        coef, bread, residual, inverse = _least_squares(y, x, used, correlation, lag, structure)
        if change < TIGHT:
            break
    else:
        return _nothing(p, n, clusters, iterations, Status.NOT_CONVERGED)
    scores = np.einsum("nvp,nvw,nw->np", x, inverse, residual)
    covariance = bread @ (scores.T @ scores) @ bread
    scale = float((residual**2).sum() / n)
    return WorkingFit(coef, covariance, scale * bread, scale, correlation, n, clusters, iterations, Status.OK)


def _nothing(p: int, n: int, clusters: int, iterations: int, status: Status) -> WorkingFit:
    square = np.full((p, p), np.nan)
    return WorkingFit(np.full(p, np.nan), square, square, np.nan, np.nan, n, clusters, iterations, status)


def _matrices(used: BoolArray, correlation: float, lag: FloatArray, structure: str) -> FloatArray:
    """Working correlation of each patient, (patients, visits, visits), the identity in visits not made."""
    whole = np.where(lag == 0.0, 1.0, correlation if structure == "exchangeable" else np.abs(correlation) ** lag)
    if structure == "independence":
        whole = np.eye(lag.shape[0])
    pair = used[:, :, None] & used[:, None, :]
    return np.where(pair, whole, np.eye(lag.shape[0]))


def _positive(used: BoolArray, correlation: float, lag: FloatArray, structure: str) -> bool:
    patterns = np.unique(used, axis=0)
    return bool(np.linalg.eigvalsh(_matrices(patterns, correlation, lag, structure)).min() > 1e-10)


def _least_squares(
    y: FloatArray, x: FloatArray, used: BoolArray, correlation: float, lag: FloatArray, structure: str
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    inverse = np.linalg.inv(_matrices(used, correlation, lag, structure))
    weighted = np.einsum("nvw,nwp->nvp", inverse, x)
    bread = np.linalg.inv(np.einsum("nvp,nvq->pq", x, weighted))
    coef: FloatArray = np.asarray(bread @ np.einsum("nvp,nv->p", weighted, y), dtype=np.float64)
    residual: FloatArray = np.where(used, y - x @ coef, 0.0)
    return coef, np.asarray(bread, dtype=np.float64), residual, np.asarray(inverse, dtype=np.float64)


def _correlation(standardised: FloatArray, used: BoolArray, lag: FloatArray, structure: str) -> float | None:
    """Root of the unweighted estimating equation of the products of pairs; None where there is none."""
    from scipy.optimize import brentq

    if structure == "independence":
        return 0.0
    j, k = np.triu_indices(lag.shape[0], 1)
    both = used[:, j] & used[:, k]
    if not both.any():
        return None
    product = (standardised[:, j] * standardised[:, k])[both]
    if structure == "exchangeable":
        return float(product.mean())
    distance = np.broadcast_to(lag[j, k], both.shape)[both]

    def equation(a: float) -> float:
        return float((distance * a ** (distance - 1.0) * (product - a**distance)).sum())

    low, high = 1e-6, 1.0 - 1e-9
    if not equation(low) > 0.0 > equation(high):
        return None
    return float(brentq(equation, low, high, xtol=1e-14, rtol=1e-14))
