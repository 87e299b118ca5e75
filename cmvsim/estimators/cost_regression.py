"""Regressions of cost on an exposure and covariates, batched: Poisson quasi-likelihood and the two-part model.

Both are read through recycled predictions (Basu and Rathouz 2005 call it the incremental effect): the mean over the
patients of the cost predicted with the exposure minus without it, everything else as it is. The standard error takes
the patients as a sample: the sum of squared influences through the coefficients (robust, HC0) and through the mean
over patients, over n².

``poisson``
    Quasi-likelihood with log link and variance proportional to the mean (Gourieroux, Monfort and Trognon 1984): right
    in large samples whatever the distribution of cost, as long as the mean is. Costs of 0 are allowed.
``two-part``
    Logistic regression of any cost at all, times the Poisson quasi-likelihood of the cost of those who have one.

Neither handles censoring: pass weights of the complete histories (the inverse of
:func:`cmvsim.estimators.uncensored_probability`), which are then taken as known, conservative on average.

An exposure that a patient acquires during follow-up makes this the ever-never comparison, with its immortal time; the
covariates do not mend that. The primary analysis is :func:`cmvsim.estimators.attributable_cost`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import BoolArray, Estimates, FloatArray, IntArray, Status
from cmvsim.estimators.intervals import normal_quantile
from cmvsim.estimators.regression import check_covariates

CostModel = Literal["poisson", "two-part"]
Influence = Callable[[FloatArray], FloatArray]
"""From each patient's share of the mean to each patient's influence on it through the coefficients."""

TIGHT = 1e-20
"""Squared Newton decrement, per unit of mean cost, at which to stop."""
FLAT = 1e-10
"""A share of a column that is no combination of the others, below which the fit is not estimable."""


def cost_difference(
    cost: ArrayLike,
    exposed: ArrayLike,
    covariates: ArrayLike | None = None,
    *,
    model: CostModel = "poisson",
    weights: ArrayLike | None = None,
    level: float = 0.95,
    max_iterations: int = 100,
) -> Estimates:
    """Mean difference of cost by exposure in recycled predictions, one per replicate.

    Parameters
    ----------
    cost
        Totals, 0 or above, (replicates, patients); NaN is not in the analysis.
    exposed
        Booleans of the same shape.
    covariates
        (replicates, patients, p), or (patients, p) for all replicates, without an intercept; a patient with a NaN is
        not in the analysis. None: the difference of the (weighted) means.
    model
        See the module's docstring.
    weights
        Case weights, broadcast to `cost`; 0 is not in the analysis. Recycled predictions are averaged with them.
    level
        Confidence level of the normal limits, two-sided.
    max_iterations
        Newton steps before ``NOT_CONVERGED``.

    Returns
    -------
    Estimates
        Exposed minus not, in the unit of cost; `events` counts the exposed. Status ``EMPTY``; ``NOT_ESTIMABLE`` (a
        column is a combination of others, fewer than two exposed or not exposed, or a negative cost);
        ``SEPARATION`` (nobody in one of the two groups has any cost; for ``two-part`` also where the logistic
        regression has no maximum); ``NOT_CONVERGED``. All but OK have NaN.

    Raises
    ------
    ValueError
        If shapes do not fit or a name is unknown; never because of the data.
    """
    if model not in get_args(CostModel):
        raise ValueError(f"unknown model {model!r}; allowed: {', '.join(get_args(CostModel))}")
    y, group, x, w = _check(cost, exposed, covariates, weights)
    used = w > 0.0
    n, events = used.sum(axis=1), (used & group).sum(axis=1)
    status = _first_look(y, group, used)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        if model == "poisson":
            fit = _poisson(y, x, w, status, max_iterations)
            value, influence = _recycled(fit, x)
        else:
            value, influence = _two_part(y, x, w, status, max_iterations)
        # value: exposed minus not of each patient, (replicates, patients)
        share = w / w.sum(axis=1, keepdims=True)
        estimate = (share * value).sum(axis=1)
        phi = share * (value - estimate[:, None]) + influence(share)
        se = np.sqrt((phi**2).sum(axis=1))
    fine = (status == Status.OK) & np.isfinite(estimate) & np.isfinite(se)
    status[(status == Status.OK) & ~fine] = Status.NOT_CONVERGED
    estimate, se = np.where(fine, estimate, np.nan), np.where(fine, se, np.nan)
    half = normal_quantile(level) * se
    method = f"{model}, recycled predictions, robust variance"
    return Estimates(estimate, se, estimate - half, estimate + half, n, events, status, level, method)


@dataclass(frozen=True, slots=True)
class _Fit:
    """Coefficients of one part, (replicates, p), and each patient's influence on them, (replicates, patients, p)."""

    coef: FloatArray
    influence: FloatArray

    @classmethod
    def of(cls, coef: FloatArray, score: FloatArray, information: FloatArray) -> _Fit:
        return cls(coef, _solve(information, score))


def _solve(information: FloatArray, right: FloatArray) -> FloatArray:
    """Information⁻¹ times each row of `right`; NaN where singular."""
    p = information.shape[-1]
    good: BoolArray = np.asarray(np.isfinite(information).all(axis=(1, 2)))
    safe = np.where(good[:, None, None], information, np.eye(p))
    size = np.sqrt(np.maximum(np.diagonal(safe, axis1=1, axis2=2), np.finfo(float).tiny))
    scaled = safe / (size[:, :, None] * size[:, None, :])
    good &= np.linalg.eigvalsh(scaled)[:, 0] > FLAT
    scaled[~good] = np.eye(p)
    solved = np.linalg.solve(scaled, np.swapaxes(right / size[:, None, :], 1, 2))
    out = np.swapaxes(solved, 1, 2) / size[:, None, :]
    out[~good] = np.nan
    return np.asarray(out, dtype=np.float64)


def _poisson(y: FloatArray, x: FloatArray, w: FloatArray, status: IntArray, max_iterations: int) -> _Fit:
    """Newton's method with step halving for the log-link quasi-likelihood; marks failures in `status`."""
    replicates, _, p = x.shape
    total = w.sum(axis=1)
    mean = np.maximum((w * y).sum(axis=1) / np.where(total > 0.0, total, 1.0), np.finfo(float).tiny)
    coef = np.zeros((replicates, p))
    coef[:, 0] = np.log(mean)
    now = _quasi(coef, y, x, w)
    active = status == Status.OK
    for _ in range(max_iterations):
        mu = np.exp(np.einsum("rnp,rp->rn", x, coef))
        score = np.einsum("rn,rnp->rp", w * (y - mu), x)
        information = np.einsum("rnp,rn,rnq->rpq", x, w * mu, x, optimize=True)
        step = _solve(information, score[:, None, :])[:, 0]
        status[active & ~np.isfinite(step).all(axis=1)] = Status.NOT_ESTIMABLE
        active &= status == Status.OK
        decrement = np.einsum("rp,rp->r", step, score)
        # the last step is taken: the error it leaves is its square
        size = np.where(active, 1.0, 0.0)
        trial = coef + np.where(active[:, None], size[:, None] * step, 0.0)
        for _ in range(30):
            ahead = _quasi(trial, y, x, w)
            worse = active & ~(ahead >= now - 1e-12 * (np.abs(now) + 1.0))
            if not worse.any():
                break
            size = np.where(worse, 0.5 * size, size)
            trial = coef + np.where(active[:, None], size[:, None] * step, 0.0)
        coef, now = trial, np.where(active, _quasi(trial, y, x, w), now)
        active &= decrement > TIGHT * mean * total
        if not active.any():
            break
    status[active] = Status.NOT_CONVERGED
    mu = np.exp(np.einsum("rnp,rp->rn", x, coef))
    information = np.einsum("rnp,rn,rnq->rpq", x, w * mu, x, optimize=True)
    return _Fit.of(coef, (w * (y - mu))[:, :, None] * x, information)


def _quasi(coef: FloatArray, y: FloatArray, x: FloatArray, w: FloatArray) -> FloatArray:
    eta = np.einsum("rnp,rp->rn", x, coef)
    return np.asarray((w * (y * eta - np.exp(eta))).sum(axis=1), dtype=np.float64)


def _both_ways(x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Design with everybody exposed, and with nobody; the exposure is column 1."""
    on, off = x.copy(), x.copy()
    on[:, :, 1], off[:, :, 1] = 1.0, 0.0
    return on, off


def _recycled(fit: _Fit, x: FloatArray) -> tuple[FloatArray, Influence]:
    """Each patient's difference, and the function from shares to each patient's influence on their mean."""
    on, off = _both_ways(x)
    high, low = (np.exp(np.einsum("rnp,rp->rn", side, fit.coef)) for side in (on, off))

    def influence(share: FloatArray) -> FloatArray:
        gradient = np.einsum("rn,rnp->rp", share * high, on) - np.einsum("rn,rnp->rp", share * low, off)
        return np.asarray(np.einsum("rnp,rp->rn", fit.influence, gradient), dtype=np.float64)

    return high - low, influence


def _two_part(
    y: FloatArray, x: FloatArray, w: FloatArray, status: IntArray, max_iterations: int
) -> tuple[FloatArray, Influence]:
    """Logistic part times Poisson part, as :func:`_recycled`."""
    from cmvsim.estimators.logistic import logistic

    spends = y > 0.0
    everybody: BoolArray = np.asarray(np.where(w > 0.0, spends, True).all(axis=1))
    odds = logistic(np.where(w > 0.0, spends, -1), x, intercept=False, weights=w, max_iterations=max_iterations)
    ok = status == Status.OK
    trouble = ok & ~everybody & (odds.status != Status.OK)
    status[trouble] = odds.status[trouble]
    # where all have a cost the first part is 1 and says nothing more
    coef = np.where(everybody[:, None], 0.0, np.nan_to_num(odds.coef))
    p_spend = 1.0 / (1.0 + np.exp(-np.einsum("rnp,rp->rn", x, coef)))
    information = np.einsum("rnp,rn,rnq->rpq", x, w * p_spend * (1.0 - p_spend), x, optimize=True)
    first = _Fit.of(coef, (w * (spends - p_spend))[:, :, None] * x, information)
    first.influence[everybody] = 0.0
    second = _poisson(np.where(spends, y, 0.0), x, np.where(spends, w, 0.0), status, max_iterations)
    parts = []
    for side in _both_ways(x):
        chance = 1.0 / (1.0 + np.exp(-np.einsum("rnp,rp->rn", side, coef)))
        chance[everybody] = 1.0
        parts.append((side, chance, np.exp(np.einsum("rnp,rp->rn", side, second.coef))))
    (on, p1, m1), (off, p0, m0) = parts

    def influence(share: FloatArray) -> FloatArray:
        by_odds = np.einsum("rn,rnp->rp", share * p1 * (1 - p1) * m1, on) - np.einsum(
            "rn,rnp->rp", share * p0 * (1 - p0) * m0, off
        )
        by_mean = np.einsum("rn,rnp->rp", share * p1 * m1, on) - np.einsum("rn,rnp->rp", share * p0 * m0, off)
        total = np.einsum("rnp,rp->rn", first.influence, by_odds) + np.einsum("rnp,rp->rn", second.influence, by_mean)
        return np.asarray(total, dtype=np.float64)

    return p1 * m1 - p0 * m0, influence


def _first_look(y: FloatArray, group: BoolArray, used: BoolArray) -> IntArray:
    """What no iteration is needed for."""
    status = np.full(y.shape[0], int(Status.OK), dtype=np.int64)
    for side in (group, ~group):
        members = used & side
        status[~(members & (y > 0.0)).any(axis=1)] = Status.SEPARATION
        status[members.sum(axis=1) < 2] = Status.NOT_ESTIMABLE
    status[(used & (y < 0.0)).any(axis=1)] = Status.NOT_ESTIMABLE
    status[~used.any(axis=1)] = Status.EMPTY
    return status


def _check(
    cost: ArrayLike, exposed: ArrayLike, covariates: ArrayLike | None, weights: ArrayLike | None
) -> tuple[FloatArray, BoolArray, FloatArray, FloatArray]:
    """Costs, exposure, the design (1, exposure, covariates) and weights; 0 and weight 0 where not in the analysis."""
    y, group = np.asarray(cost, dtype=np.float64), np.asarray(exposed, dtype=bool)
    if y.ndim != 2 or group.shape != y.shape:
        raise ValueError(f"cost and exposed must both be (replicates, patients), not {y.shape}, {group.shape}")
    columns = [np.ones(y.shape)[:, :, None], group[:, :, None].astype(np.float64)]
    if covariates is not None:
        columns.append(check_covariates(covariates, y.shape))
    x = np.concatenate(columns, axis=2)
    w = np.ones(y.shape) if weights is None else np.array(np.broadcast_to(np.asarray(weights, dtype=np.float64), y.shape))
    used = np.isfinite(y) & np.isfinite(x).all(axis=2) & np.isfinite(w) & (w > 0.0)
    return np.where(used, y, 0.0), group, np.where(used[:, :, None], x, 0.0), np.where(used, w, 0.0)
