"""Risk ratios adjusted for covariates: Poisson regression of a binary outcome with robust variance, batched.

A log-binomial model often has no maximum inside its bounds; the Poisson likelihood estimates the same risk ratios, and
the sandwich variance (HC0) is right for a binary outcome (Zou, Am J Epidemiol 159 (2004) 702-706).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import BoolArray, Estimates, FloatArray, IntArray, Status
from cmvsim.estimators.ordering import BLOCK
from cmvsim.estimators.regression import Wald, check_covariates, one_term

CONVERGED = 1e-18
"""Squared length of the step in standard errors: 1e-9 of one."""
SEPARATED = 1e-6


@dataclass(frozen=True, slots=True)
class RelativeRiskFit:
    """Modified Poisson regressions, one per replicate; p coefficients, the intercept first.

    Attributes
    ----------
    coef, se, ci_low, ci_high, p_value
        Log risk ratios, robust standard errors, Wald limits and two-sided p-values, (replicates, p).
    covariance, model_se
        Robust covariance, (replicates, p, p); the Poisson model's standard errors, too large for a binary outcome.
    n, events
        Patients in the analysis and events among them.
    iterations
        Newton steps of the whole batch.
    status
        OK, ``EMPTY``, ``NO_EVENTS``, ``NOT_ESTIMABLE`` (a covariate is a combination of others), ``SEPARATION`` (a
        combination of covariates is level over the events and elsewhere only lower), ``NOT_CONVERGED``. All but OK
        have NaN.
    level, method
        Confidence level; method by name.
    """

    coef: FloatArray
    se: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    p_value: FloatArray
    covariance: FloatArray
    model_se: FloatArray
    n: IntArray
    events: IntArray
    iterations: int
    status: IntArray
    level: float
    method: str

    def term(self, index: int, *, exponentiate: bool = False) -> Estimates:
        """One coefficient, or with `exponentiate` risk ratio (its `se` on the log scale), as `Estimates`."""
        return one_term(self, index, exponentiate=exponentiate)


def relative_risk(
    outcome: ArrayLike,
    covariates: ArrayLike,
    *,
    level: float = 0.95,
    max_iterations: int = 60,
) -> RelativeRiskFit:
    """Modified Poisson regression, one per replicate.

    Parameters
    ----------
    outcome
        Integers or booleans, shape (replicates, patients): 0 no, positive yes, -1 not in the analysis.
    covariates
        (replicates, patients, p), or (patients, p) for all replicates; a patient with a NaN is not in the analysis.
    level
        Confidence level of the Wald limits.
    max_iterations
        Newton steps before ``NOT_CONVERGED``.

    Returns
    -------
    RelativeRiskFit
        Arrays of leading shape (replicates,).

    Raises
    ------
    ValueError
        If shapes do not fit; never because of the data.
    """
    coded = np.asarray(outcome, dtype=np.int64)
    x = check_covariates(covariates, coded.shape)
    step = max(1, BLOCK // max(coded.shape[1], 1))
    blocks = [slice(first, first + step) for first in range(0, max(coded.shape[0], 1), step)]
    parts = [_fit(coded[block], x[block], max_iterations) for block in blocks]
    coef, covariance, model, n, events, status = (np.concatenate(p) for p in list(zip(*parts, strict=True))[:-1])
    wald = Wald.of(coef, covariance, level)
    model_se = np.sqrt(np.diagonal(model, axis1=1, axis2=2))
    numbers = (coef, wald.se, wald.ci_low, wald.ci_high, wald.p_value, covariance, model_se)
    iterations = max(p[-1] for p in parts)
    return RelativeRiskFit(*numbers, n, events, iterations, status, level, "Poisson, robust variance")


_Part = tuple[FloatArray, FloatArray, FloatArray, IntArray, IntArray, IntArray, int]


def _fit(coded: IntArray, x: FloatArray, max_iterations: int) -> _Part:
    """Coefficients, robust and model covariance, counts, status and steps of a block of replicates."""
    counts = (coded >= 0) & np.isfinite(x).all(axis=2)
    y = (counts & (coded > 0)).astype(np.float64)
    n, events = counts.sum(axis=1), y.sum(axis=1).astype(np.int64)
    design, centre, scale = _standardised(x, counts)
    status = np.full(n.shape, int(Status.NOT_CONVERGED), dtype=np.int64)
    status[_singular(np.matmul(design.transpose(0, 2, 1), design))] = Status.NOT_ESTIMABLE
    status[events == 0], status[n == 0] = Status.NO_EVENTS, Status.EMPTY
    beta, inverse, iterations = _newton(design, y, counts, n, events, status, max_iterations)
    mean = np.where(counts, np.exp(np.matmul(design, beta[:, :, None])[:, :, 0]), 0.0)
    residual = design * (y - mean)[:, :, None]
    robust = inverse @ np.matmul(residual.transpose(0, 2, 1), residual) @ inverse
    # back from the standardised covariates: coef = T beta
    back = np.zeros_like(inverse)
    back[:, 0, 0] = 1.0
    p = np.arange(1, beta.shape[1])
    back[:, p, p] = 1.0 / scale
    back[:, 0, 1:] = -centre / scale
    coef = np.matmul(back, beta[:, :, None])[:, :, 0]
    covariance, model = (back @ v @ back.transpose(0, 2, 1) for v in (robust, inverse))
    gone = status != Status.OK
    coef[gone], covariance[gone], model[gone] = np.nan, np.nan, np.nan
    return coef, covariance, model, n.astype(np.int64), events, status, iterations


def _standardised(x: FloatArray, counts: BoolArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Intercept and centred, scaled covariates, zero where not in the analysis; centres and scales."""
    inside, size = counts[:, :, None], np.maximum(counts.sum(axis=1), 1)[:, None]
    kept = np.where(inside, x, 0.0)
    centre = kept.sum(axis=1) / size
    centred = np.where(inside, kept - centre[:, None, :], 0.0)
    scale = np.sqrt((centred**2).sum(axis=1) / size)
    constant = scale <= 1e-13 * np.abs(kept).max(axis=1, initial=0.0)
    scale = np.where(constant, 1.0, scale)
    centred = np.where(constant[:, None, :], 0.0, centred / scale[:, None, :])
    return np.concatenate([inside.astype(np.float64), centred], axis=2), centre, scale


def _singular(matrix: FloatArray) -> BoolArray:
    """Whether the smallest eigenvalue is zero but for rounding."""
    values = np.linalg.eigvalsh(matrix)
    return np.asarray(values[:, 0] <= 1e-11 * np.maximum(values[:, -1], 1e-300))


def _newton(
    design: FloatArray,
    y: FloatArray,
    counts: BoolArray,
    n: IntArray,
    events: IntArray,
    status: IntArray,
    max_iterations: int,
) -> tuple[FloatArray, FloatArray, int]:
    """Newton with halving for every replicate still open; sets its status. Coefficients and inverse informations."""
    p = design.shape[2]
    beta, inverse = np.zeros((n.size, p)), np.full((n.size, p, p), np.nan)
    with np.errstate(divide="ignore"):
        beta[:, 0] = np.log(np.maximum(events, 1) / np.maximum(n, 1))
    active, steps = np.flatnonzero(status == Status.NOT_CONVERGED), 0
    while active.size and steps < max_iterations:
        steps += 1
        x, inside = design[active], counts[active]
        mean = np.where(inside, np.exp(np.matmul(x, beta[active][:, :, None])[:, :, 0]), 0.0)
        information = np.matmul(x.transpose(0, 2, 1), x * mean[:, :, None])
        score = np.matmul((y[active] - mean)[:, None, :], x)[:, 0, :]
        broken = _singular(information)
        information[broken] = np.eye(p)
        step = np.linalg.solve(information, score[:, :, None])[:, :, 0]
        decrement = (score * step).sum(axis=1)
        runaway = broken | (steps > 8) & _separates(x, y[active] > 0.0, inside, step)
        done = ~runaway & (decrement <= CONVERGED)
        inverse[active[done]] = np.linalg.inv(information[done])
        status[active[done]], status[active[runaway]] = Status.OK, Status.SEPARATION
        # the step at hand is taken once more: its error is its square
        size = _halved(x, y[active], inside, beta[active], step)
        beta[active] += np.where(runaway, 0.0, size)[:, None] * step
        active = active[~(done | runaway)]
    return beta, inverse, steps


def _halved(x: FloatArray, y: FloatArray, inside: BoolArray, beta: FloatArray, step: FloatArray) -> FloatArray:
    """Share of the step that does not lower the log-likelihood, by halving."""

    def loglik(b: FloatArray) -> FloatArray:
        eta = np.matmul(x, b[:, :, None])[:, :, 0]
        with np.errstate(over="ignore"):
            return np.asarray(np.where(inside, y * eta - np.exp(eta), 0.0).sum(axis=1))

    now, size = loglik(beta), np.ones(beta.shape[0])
    for _ in range(30):
        worse = ~(loglik(beta + size[:, None] * step) >= now - 1e-12 * (np.abs(now) + 1.0))
        if not worse.any():
            break
        size[worse] /= 2.0
    return size


def _separates(x: FloatArray, event: BoolArray, inside: BoolArray, direction: FloatArray) -> BoolArray:
    """Whether the likelihood rises for ever along the direction: level over the events, elsewhere never higher."""
    along = np.where(inside, np.matmul(x, direction[:, :, None])[:, :, 0], 0.0)
    largest = np.abs(along).max(axis=1)
    worst = np.where(event, np.abs(along), np.maximum(along, 0.0)).max(axis=1)
    return np.asarray((largest > 1e-6) & (worst <= SEPARATED * largest))
