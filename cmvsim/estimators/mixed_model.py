"""Linear mixed model of repeated measurements with a random intercept, or intercept and slope, of one data set.

The deviance is profiled over the fixed effects and the residual variance (Bates, Maechler, Bolker and Walker 2015), so
that the optimiser sees only the relative Cholesky factor of the random effects: one number for an intercept, three
with a slope. A variance of the random effects that is estimated as 0 lies on the edge of that space; it is found
there like any other and marked ``singular``.

A missing visit is missing at random given the patient's other visits. Visits after death are no such thing: the model
then describes what a patient would have reported had nobody died. While-alive questions belong to
:func:`cmvsim.estimators.gee`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import FloatArray, Status
from cmvsim.estimators.regression import Wald

Random = Literal["intercept", "slope"]

SINGULAR = 1e-5
"""A relative standard deviation of the random effects below this counts as 0, as lme4 does."""


@dataclass(frozen=True, slots=True)
class MixedModelFit:
    """One linear mixed model; p fixed effects, q random ones (intercept, slope).

    Attributes
    ----------
    coef, se, ci_low, ci_high, p_value
        Fixed effects, model-based standard errors, normal limits and two-sided p-values, (p,).
    covariance
        Covariance of the fixed effects, (p, p), random effects' variances taken as known.
    random_covariance
        Covariance of a patient's random effects, (q, q).
    residual_variance
        Variance of a measurement around its patient's line.
    loglik
        Log-likelihood, or restricted log-likelihood, constants included.
    n, patients
        Measurements in the analysis, patients with at least one.
    iterations
        Evaluations of the deviance.
    singular
        Whether the random effects' covariance is estimated on its edge.
    status
        OK, ``EMPTY``, ``NOT_ESTIMABLE`` (fixed effects not identified, no more measurements than fixed effects, no
        patient measured twice, or no residual variation), ``NOT_CONVERGED``. All but OK have NaN numbers.
    level, method
        Confidence level; likelihood and random effects by name.
    """

    coef: FloatArray
    se: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    p_value: FloatArray
    covariance: FloatArray
    random_covariance: FloatArray
    residual_variance: float
    loglik: float
    n: int
    patients: int
    iterations: int
    singular: bool
    status: Status
    level: float
    method: str


def mixed_model(
    outcome: ArrayLike,
    covariates: ArrayLike,
    *,
    random: Random = "intercept",
    slope: ArrayLike | None = None,
    reml: bool = True,
    level: float = 0.95,
) -> MixedModelFit:
    """Linear mixed model of one data set.

    Parameters
    ----------
    outcome
        (patients, visits), NaN where there is no measurement.
    covariates
        Fixed effects, (patients, visits, p), the column of an intercept among them; a visit with a NaN is not in the
        analysis.
    random
        ``intercept``, or ``slope``: intercept and slope of `slope`, correlated.
    slope
        (visits,) or (patients, visits); with ``slope`` only.
    reml
        Restricted maximum likelihood, else maximum likelihood.
    level
        Confidence level, two-sided.

    Returns
    -------
    MixedModelFit

    Raises
    ------
    ValueError
        If shapes do not fit or a name is unknown; never because of the data.

    Notes
    -----
    Laird and Ware (1982). Agreement with R's lme4 is tested to 1e-6. A random intercept is the same model as
    compound symmetry with a correlation of at least 0.
    """
    y, x, z = _check(outcome, covariates, random, slope)
    used = np.isfinite(y) & np.isfinite(x).all(axis=2) & np.isfinite(z).all(axis=2)
    p, q = x.shape[2], z.shape[2]
    likelihood = "REML" if reml else "ML"
    method = f"{likelihood}, random {'intercept' if q == 1 else 'intercept and slope'}, normal interval"
    n, visits = int(used.sum()), used.sum(axis=1)
    patients = int((visits > 0).sum())
    rows = x[used]
    failed = None
    if n == 0:
        failed = Status.EMPTY
    elif n <= p + q or visits.max() < 2 or np.linalg.matrix_rank(rows) < p or not _residual_share(y[used], rows) > 1e-20:
        failed = Status.NOT_ESTIMABLE
    if failed is not None:
        return _nothing(p, q, n, patients, 0, failed, level, method)
    profile = _Profile.of(y, x, z, used, reml=reml)
    theta, evaluations, converged = _minimise(profile, q)
    if not converged:
        return _nothing(p, q, n, patients, evaluations, Status.NOT_CONVERGED, level, method)
    return _report(profile, theta, n, patients, evaluations, level, method)


@dataclass(frozen=True, slots=True)
class _Profile:
    """Cross-products of each patient: all that the deviance needs."""

    zz: FloatArray  # (patients, q, q)
    zx: FloatArray  # (patients, q, p + 1), the outcome is the last column
    xx: FloatArray  # (p + 1, p + 1), over all
    n: int
    reml: bool

    @classmethod
    def of(cls, y: FloatArray, x: FloatArray, z: FloatArray, used: np.ndarray, *, reml: bool) -> _Profile:
        both = np.where(used[:, :, None], np.concatenate([x, y[:, :, None]], axis=2), 0.0)
        z = np.where(used[:, :, None], z, 0.0)
        return cls(
            np.einsum("nva,nvb->nab", z, z),
            np.einsum("nva,nvb->nab", z, both),
            np.einsum("nva,nvb->ab", both, both),
            int(used.sum()),
            reml,
        )

    def solve(self, theta: FloatArray) -> tuple[FloatArray, FloatArray, float, float]:
        """Fixed effects, their X'V⁻¹X, residual sum of squares and the log-determinants of the deviance."""
        relative = _factor(theta, self.zz.shape[1])
        inner = np.eye(relative.shape[0]) + relative.T @ self.zz @ relative
        right = relative.T @ self.zx
        cross = self.xx - np.einsum("nab,nac->bc", right, np.linalg.solve(inner, right))
        information, score = cross[:-1, :-1], cross[:-1, -1]
        coef = np.linalg.solve(information, score)
        log_det = float(np.linalg.slogdet(inner)[1].sum())
        if self.reml:
            log_det += float(np.linalg.slogdet(information)[1])
        return coef, information, float(cross[-1, -1] - score @ coef), log_det

    def deviance(self, theta: FloatArray) -> float:
        """Minus twice the profiled log-likelihood."""
        _, _, squares, log_det = self.solve(theta)
        freedom = self.n - (self.xx.shape[0] - 1 if self.reml else 0)
        return log_det + freedom * (1.0 + float(np.log(2.0 * np.pi * squares / freedom)))


def _factor(theta: FloatArray, q: int) -> FloatArray:
    lower = np.zeros((q, q))
    lower[np.tril_indices(q)] = theta
    return lower


def _minimise(profile: _Profile, q: int) -> tuple[FloatArray, int, bool]:
    """Relative Cholesky factor: a search without derivatives, repeated from where it ends, then Newton steps."""
    from scipy.optimize import minimize

    start = np.eye(q)[np.tril_indices(q)]
    # the size of the intercepts is unknown by orders of magnitude, and far from it the deviance is flat
    starts = [scale * start for scale in (0.1, 1.0, 10.0)]
    theta = min(starts, key=profile.deviance)
    evaluations, converged = len(starts), False
    for _ in range(3):
        got = minimize(profile.deviance, theta, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9, "maxfev": 4000})
        evaluations, converged = evaluations + int(got.nfev), bool(got.success)
        moved = float(np.max(np.abs(got.x - theta)))
        theta = np.asarray(got.x, dtype=np.float64)
        if moved < 1e-6 * (1.0 + float(np.max(np.abs(theta)))):
            break
    # a factor and itself with the signs of a column turned are the same covariance
    lower = _factor(theta, q)
    lower = lower * np.where(np.diag(lower) < 0.0, -1.0, 1.0)[None, :]
    theta, more = _newton(profile, lower[np.tril_indices(q)])
    return theta, evaluations + more, converged


def _newton(profile: _Profile, theta: FloatArray) -> tuple[FloatArray, int]:
    """A few Newton steps by central differences: the search alone stops where the deviance's rounding hides it."""
    k = theta.size
    h = 1e-4 * np.maximum(np.abs(theta), 1e-2)
    evaluations = 0
    for _ in range(3):
        steps = np.diag(h)
        gradient, hessian = np.empty(k), np.empty((k, k))
        for a in range(k):
            up, down = (profile.deviance(theta + s * steps[a]) for s in (1.0, -1.0))
            gradient[a] = (up - down) / (2.0 * h[a])
            for b in range(a + 1):
                pp, pm, mp, mm = (
                    profile.deviance(theta + s * steps[a] + t * steps[b]) for s, t in ((1, 1), (1, -1), (-1, 1), (-1, -1))
                )
                hessian[a, b] = hessian[b, a] = (pp - pm - mp + mm) / (4.0 * h[a] * h[b])
        evaluations += 2 * k + 2 * k * (k + 1)
        if np.linalg.eigvalsh(hessian).min() <= 0.0:
            break  # on the edge: the search's answer stands
        step = np.linalg.solve(hessian, gradient)
        if np.max(np.abs(step)) > 1e-3 * (1.0 + np.max(np.abs(theta))):
            break
        theta = theta - step
    return theta, evaluations


def _report(
    profile: _Profile, theta: FloatArray, n: int, patients: int, evaluations: int, level: float, method: str
) -> MixedModelFit:
    coef, information, squares, _ = profile.solve(theta)
    freedom = profile.n - (coef.size if profile.reml else 0)
    variance = squares / freedom
    covariance: FloatArray = np.asarray(variance * np.linalg.inv(information), dtype=np.float64)
    relative = _factor(theta, profile.zz.shape[1])
    table = Wald.of(coef, covariance, level)
    return MixedModelFit(
        coef, table.se, table.ci_low, table.ci_high, table.p_value, covariance, variance * relative @ relative.T,
        variance, -0.5 * profile.deviance(theta), n, patients, evaluations,
        bool(np.min(np.abs(np.diag(relative))) < SINGULAR), Status.OK, level, method,
    )  # fmt: skip


def _nothing(
    p: int, q: int, n: int, patients: int, evaluations: int, status: Status, level: float, method: str
) -> MixedModelFit:
    row, square = np.full(p, np.nan), np.full((p, p), np.nan)
    return MixedModelFit(
        row, row, row, row, row, square, np.full((q, q), np.nan), np.nan, np.nan, n, patients, evaluations, False,
        status, level, method,
    )  # fmt: skip


def _residual_share(y: FloatArray, x: FloatArray) -> float:
    residual = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    return float(residual @ residual) / max(float(y @ y), np.finfo(float).tiny)


def _check(
    outcome: ArrayLike, covariates: ArrayLike, random: str, slope: ArrayLike | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    if random not in get_args(Random):
        raise ValueError(f"unknown random {random!r}; allowed: {', '.join(get_args(Random))}")
    if (random == "slope") != (slope is not None):
        raise ValueError("slope values come with random = 'slope', and only then")
    y, x = np.asarray(outcome, dtype=np.float64), np.asarray(covariates, dtype=np.float64)
    if y.ndim != 2 or x.ndim != 3 or x.shape[:2] != y.shape or x.shape[2] == 0:
        raise ValueError(f"outcome and covariates must be (patients, visits[, p]), not {y.shape}, {x.shape}")
    ones = np.ones((*y.shape, 1))
    if slope is None:
        return y, x, ones
    along = np.broadcast_to(np.asarray(slope, dtype=np.float64), y.shape)
    return y, x, np.concatenate([ones, along[:, :, None]], axis=2)
