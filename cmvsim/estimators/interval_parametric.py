"""Parametric regression of interval-censored times: accelerated failure time models of one data set, as R's ``survreg``.

log T = x'b + sigma W, with W of the smallest extreme value (Weibull; exponential with sigma = 1), standard logistic
(log-logistic) or standard normal (log-normal) distribution. A time in (L, R] adds log(F(w_R) - F(w_L)), an exact one the log
of its density; L = 0 is left-censored at R, R infinite is right-censored at L (Kalbfleisch and Prentice 2002, section 3.6).
Newton's method in (b, log sigma) with step halving; covariance from the observed information.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import FloatArray, Status

Distribution = Literal["weibull", "exponential", "lognormal", "loglogistic"]
TIGHT = 1e-10
"""Newton decrement at which the climb ends."""


@dataclass(frozen=True, slots=True)
class IntervalRegressionFit:
    """An accelerated failure time model.

    Attributes
    ----------
    coef
        (p,) coefficients of log time, the intercept first if there is one.
    scale
        sigma; 1 for the exponential distribution.
    covariance
        Of the coefficients and log(sigma), without the latter for the exponential distribution.
    loglik
        Log-likelihood of the times.
    n
        Patients in the analysis.
    status
        OK, ``EMPTY``, ``NOT_ESTIMABLE`` (the information is singular) or ``NOT_CONVERGED``; numbers are NaN but for OK.
    """

    coef: FloatArray
    scale: float
    covariance: FloatArray
    loglik: float
    n: int
    status: Status


def interval_regression(
    left: ArrayLike,
    right: ArrayLike,
    covariates: ArrayLike,
    *,
    distribution: Distribution = "weibull",
    max_iterations: int = 100,
) -> IntervalRegressionFit:
    """Fit a parametric model to interval-censored times.

    Parameters
    ----------
    left, right
        (N,) ends of the intervals, 0 <= left <= right, right above 0; equal ends are exact times; NaN is not in the analysis.
    covariates
        (N, p), a column of ones for the intercept included.
    distribution
        Of the times.

    Raises
    ------
    ValueError
        If shapes do not fit, an interval is none, or the distribution is unknown.
    """
    low, high, x = (np.asarray(a, dtype=np.float64) for a in (left, right, covariates))
    if distribution not in get_args(Distribution):
        raise ValueError(f"distribution '{distribution}' (allowed: {', '.join(get_args(Distribution))})")
    if low.shape != high.shape or low.ndim != 1 or x.shape[:1] != low.shape or x.ndim != 2:
        raise ValueError(f"times {low.shape}, {high.shape} and covariates {x.shape} do not fit")
    inside = ~(np.isnan(low) | np.isnan(high) | np.isnan(x).any(axis=1))
    low, high, x = low[inside], high[inside], x[inside]
    if (low < 0).any() or (high < low).any() or (high <= 0).any():
        raise ValueError("an interval needs 0 <= left <= right and right above 0")
    p, fixed = x.shape[1], distribution == "exponential"
    nothing = IntervalRegressionFit(
        np.full(p, np.nan), np.nan, np.full((p + (not fixed),) * 2, np.nan), np.nan, low.size, Status.EMPTY
    )
    if low.size == 0:
        return nothing
    if not np.isfinite(high).any():  # nobody is known to have had the event: it rises without end
        return replace(nothing, status=Status.NOT_ESTIMABLE)
    with np.errstate(divide="ignore"):
        ends = np.log(low), np.log(high)
    return _climb(ends, x, distribution, max_iterations, nothing)


def _climb(
    ends: tuple[FloatArray, FloatArray], x: FloatArray, distribution: Distribution, limit: int, failed: IntervalRegressionFit
) -> IntervalRegressionFit:
    fixed = distribution == "exponential"
    known = np.where(
        np.isfinite(ends[0]) & np.isfinite(ends[1]), (ends[0] + ends[1]) / 2, np.where(np.isfinite(ends[0]), *ends)
    )
    theta = np.append(np.linalg.lstsq(x, known, rcond=None)[0], 0.0)
    free = theta.size - fixed
    now, score, information = _likelihood(theta, ends, x, distribution)
    for _ in range(limit):
        try:
            step = np.linalg.solve(information[:free, :free], score[:free])
        except np.linalg.LinAlgError:
            return replace(failed, status=Status.NOT_ESTIMABLE)
        if np.linalg.eigvalsh(information[:free, :free])[0] <= 0:  # not concave here: uphill along the score instead
            step = score[:free] / np.abs(np.diag(information[:free, :free])).max()
        elif score[:free] @ step < TIGHT:
            theta[:free] += step  # already at hand: the error it leaves is its square
            now, _, information = _likelihood(theta, ends, x, distribution)
            covariance = np.asarray(np.linalg.inv(information[:free, :free]), dtype=np.float64)
            return IntervalRegressionFit(theta[:-1], float(np.exp(theta[-1])), covariance, now, ends[0].size, Status.OK)
        for _ in range(40):
            trial = theta.copy()
            trial[:free] += step
            with np.errstate(invalid="ignore", over="ignore", divide="ignore"):  # a step too far has no likelihood
                ahead, *rest = _likelihood(trial, ends, x, distribution)
            if ahead >= now - 1e-13 * abs(now):
                break
            step = step / 2
        else:
            break
        theta, now, (score, information) = trial, ahead, rest
    return replace(failed, status=Status.NOT_CONVERGED)


def _likelihood(
    theta: FloatArray, ends: tuple[FloatArray, FloatArray], x: FloatArray, distribution: Distribution
) -> tuple[float, FloatArray, FloatArray]:
    """Log-likelihood, score and observed information in (b, log sigma)."""
    log_scale = theta[-1]
    slopes = x / np.exp(log_scale)
    at = [(end - x @ theta[:-1]) / np.exp(log_scale) for end in ends]
    exact = ends[0] == ends[1]
    # first and second derivatives of a patient's term by its two standardised ends; an exact time has only the first
    d, dd, cross, value = _derivatives(at, exact, distribution)
    value = np.where(exact, value - log_scale - np.where(exact, ends[0], 0.0), value)
    w = [np.where(np.isfinite(a), a, 0.0) for a in at]
    pull, turn = d[0] + d[1], d[0] * w[0] + d[1] * w[1]
    score = np.append(-(pull[:, None] * slopes).sum(axis=0), -(turn + exact).sum())
    second = dd[0] + dd[1] + 2 * cross
    mixed = dd[0] * w[0] + dd[1] * w[1] + cross * (w[0] + w[1]) + pull
    scale = (dd[0] * w[0] ** 2 + dd[1] * w[1] ** 2 + 2 * cross * w[0] * w[1] + turn).sum()
    of_b = (slopes * second[:, None]).T @ slopes
    of_both = (slopes * mixed[:, None]).sum(axis=0)
    hessian = np.block([[of_b, of_both[:, None]], [of_both[None, :], np.array([[scale]])]])
    return float(value.sum()), score, -hessian


def _derivatives(
    at: list[FloatArray], exact: FloatArray, distribution: Distribution
) -> tuple[list[FloatArray], list[FloatArray], FloatArray, FloatArray]:
    survivor, density, slope = zip(*(_law(a, distribution) for a in at), strict=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = np.where(exact, 1.0, survivor[0] - survivor[1])
        first = [-density[0] / between, density[1] / between]
        second = [-slope[0] / between - first[0] ** 2, slope[1] / between - first[1] ** 2]
        cross = -first[0] * first[1]
        value = np.where(exact, np.log(density[0]), np.log(between))
        ratio = slope[0] / density[0]
        curve = _curve(at[0], ratio, distribution)
    first = [np.where(exact, ratio, first[0]), np.where(exact, 0.0, first[1])]
    second = [np.where(exact, curve, second[0]), np.where(exact, 0.0, second[1])]
    return first, second, np.where(exact, 0.0, cross), value


def _law(w: FloatArray, distribution: Distribution) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Survivor function, density and its derivative; ends at infinity have none."""
    from scipy import special

    finite = np.isfinite(w)
    v = np.where(finite, np.clip(w, -700, 700), 0.0)
    if distribution in ("weibull", "exponential"):
        hazard = np.exp(v)
        survivor = np.exp(-hazard)
        density = hazard * survivor
        slope = density * (1 - hazard)
    elif distribution == "loglogistic":
        survivor = special.expit(-v)
        density = survivor * special.expit(v)
        slope = density * (2 * survivor - 1)
    else:
        survivor = special.ndtr(-v)
        density = np.exp(-v * v / 2) / np.sqrt(2 * np.pi)
        slope = -v * density
    survivor = np.where(finite, survivor, np.where(w < 0, 1.0, 0.0))
    return survivor, np.where(finite, density, 0.0), np.where(finite, slope, 0.0)


def _curve(w: FloatArray, ratio: FloatArray, distribution: Distribution) -> FloatArray:
    """Second derivative of the log density."""
    if distribution in ("weibull", "exponential"):
        return ratio - 1
    return -(1 - ratio**2) / 2 if distribution == "loglogistic" else np.full(w.shape, -1.0)
