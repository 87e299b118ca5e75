"""Interval-censored times: the nonparametric maximum likelihood estimate (Turnbull 1976) of one data set.

A first qualifying sample shows that the load crossed the level in the gap since the last negative one: in (L, R]. The
likelihood only depends on the mass in the inner intervals, those that begin at some L, end at some R and hold no other
end; where the mass lies within one is not decided by the data. The incidence at a horizon inside an inner interval is
therefore an interval itself, from its mass counted out to its mass counted in.

L == R is an exact time; R infinite is right-censored; L is 0 (or minus infinity) if positive from the first sample on.

The algorithm is Wang's (2008) constrained Newton method: nonnegative least squares for the quadratic approximation on
the simplex (Dax 1990), then a line search; the last digits by Newton steps within the support. It stops by the conditions
of Karush, Kuhn and Tucker: the mean of 1{i can be in interval j} / P(i) is at most 1 in every inner interval, so that
no mass anywhere could add to the likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import FloatArray, IntArray, Status

TIGHT = 1e-10
"""Largest violation of the optimality conditions, in log-likelihood per patient."""


@dataclass(frozen=True, slots=True)
class IntervalCensoredFit:
    """Mass of the inner intervals (left, right], or of exact times where the two are equal.

    Attributes
    ----------
    left, right, mass
        Inner intervals with positive mass, ascending; `mass` adds up to 1. `right` may be infinite.
    loglik
        Log-likelihood, unweighted data counting 1 each.
    n
        Patients in the analysis.
    iterations
        Newton steps.
    violation
        Largest violation of the optimality conditions per patient; below 1e-10 if the status is OK.
    status
        OK, ``EMPTY`` or ``NOT_CONVERGED``; arrays are empty and numbers NaN but for OK.
    """

    left: FloatArray
    right: FloatArray
    mass: FloatArray
    loglik: float
    n: int
    iterations: int
    violation: float
    status: Status

    def incidence(self, horizon: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Smallest and largest incidence up to and including each horizon that the estimate allows; NaN unless OK."""
        at = np.asarray(horizon, dtype=np.float64)[..., None]
        if self.status != Status.OK:
            return np.full(at.shape[:-1], np.nan), np.full(at.shape[:-1], np.nan)
        surely = np.where(self.right <= at, self.mass, 0.0).sum(axis=-1)
        exact = self.left == self.right
        possibly = np.where(np.where(exact, self.left <= at, self.left < at), self.mass, 0.0).sum(axis=-1)
        return surely, possibly


def interval_censored(
    left: ArrayLike, right: ArrayLike, *, weights: ArrayLike | None = None, max_iterations: int = 500
) -> IntervalCensoredFit:
    """Nonparametric maximum likelihood estimate from intervals (left, right].

    Parameters
    ----------
    left, right
        (patients,); NaN is not in the analysis, nor is an interval with left above right.
    weights
        Case weights, broadcast to `left`; 0 is not in the analysis.
    max_iterations
        Newton steps before ``NOT_CONVERGED``.

    Returns
    -------
    IntervalCensoredFit
        The masses are unique where the rows of the incidence matrix of the inner intervals are of full rank; the
        probabilities of the patients' intervals and the likelihood always are.

    Raises
    ------
    ValueError
        If shapes do not fit; never because of the data.

    Notes
    -----
    Agreement with R's npsurv is tested to 1e-6. Deaths and other competing events have no place here: the caller
    says what they mean, e.g. free of the event since the last negative sample (right-censored there).
    """
    low, high = np.asarray(left, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if low.ndim != 1 or high.shape != low.shape:
        raise ValueError(f"left and right must both be (patients,), not {low.shape}, {high.shape}")
    weight = np.broadcast_to(np.asarray(1.0 if weights is None else weights, dtype=np.float64), low.shape)
    used = (low <= high) & (weight > 0.0) & np.isfinite(weight) & (low < np.inf) & (high > -np.inf)
    low, high, weight = low[used], high[used], weight[used]
    nothing = np.empty(0)
    if low.size == 0:
        return IntervalCensoredFit(nothing, nothing, nothing, np.nan, 0, 0, np.nan, Status.EMPTY)
    # patients with the same interval are one row with their summed weight
    pairs, row = np.unique(np.c_[low, high], axis=0, return_inverse=True)
    count = np.bincount(row.ravel(), weights=weight)
    begins, ends = _order(pairs)
    inner_left, inner_right = _inner(begins, ends)
    can = (begins[:, None] <= inner_left[None, :]) & (inner_right[None, :] <= ends[:, None])
    mass, iterations, violation = _maximise(can.astype(np.float64), count / count.sum(), max_iterations)
    if not violation < TIGHT:
        return IntervalCensoredFit(nothing, nothing, nothing, np.nan, low.size, iterations, violation, Status.NOT_CONVERGED)
    loglik = float(count @ np.log(can @ mass))
    keep = mass > 0.0
    times = np.unique(pairs)
    return IntervalCensoredFit(
        times[inner_left[keep] // 3], times[inner_right[keep] // 3], mass[keep], loglik, low.size, iterations, violation,
        Status.OK,
    )  # fmt: skip


def _order(pairs: FloatArray) -> tuple[IntArray, IntArray]:
    """Integer places of the ends on one line: at a time v an exact v begins, then (·, v] ends, then (v, ·] begins."""
    times = np.unique(pairs)
    exact = pairs[:, 0] == pairs[:, 1]
    begins = 3 * np.searchsorted(times, pairs[:, 0]) + np.where(exact, 0, 2)
    return begins.astype(np.int64), (3 * np.searchsorted(times, pairs[:, 1]) + 1).astype(np.int64)


def _inner(begins: IntArray, ends: IntArray) -> tuple[IntArray, IntArray]:
    """Places at which an end directly follows a begin: the inner intervals."""
    places = np.concatenate([np.unique(begins), np.unique(ends)])
    is_end = np.concatenate([np.zeros(np.unique(begins).size, dtype=bool), np.ones(np.unique(ends).size, dtype=bool)])
    order = np.argsort(places)
    places, is_end = places[order], is_end[order]
    at = np.flatnonzero(~is_end[:-1] & is_end[1:])
    return places[at], places[at + 1]


def _maximise(can: FloatArray, share: FloatArray, max_iterations: int) -> tuple[FloatArray, int, float]:
    """Masses of the inner intervals, Newton steps, and the violation of optimality left."""
    mass = np.full(can.shape[1], 1.0 / can.shape[1])
    violation, near = np.inf, False
    for iteration in range(max_iterations):
        ratio = can / (can @ mass)[:, None]
        violation = float((share @ ratio).max() - 1.0)
        if violation < TIGHT:
            return mass, iteration, violation
        if not near:
            mass, near = _step_on_simplex(can, share, mass, ratio)
        else:
            mass = _step_on_support(share, mass, ratio)
    return mass, max_iterations, violation


def _step_on_simplex(can: FloatArray, share: FloatArray, mass: FloatArray, ratio: FloatArray) -> tuple[FloatArray, bool]:
    """Newton step over all inner intervals with a line search; true once rounding hides the gain."""
    from scipy.optimize import nnls

    # least squares of sqrt(share) (ratio m - 2) over the simplex, as one problem without the constraint
    table = np.vstack([np.sqrt(share)[:, None] * (ratio - 2.0), np.ones(mass.size)])
    found, _ = nnls(table, np.r_[np.zeros(share.size), 1.0], maxiter=50 * mass.size)
    direction = found / found.sum() - mass
    slope = float(share @ (ratio @ direction))
    if slope < 1e-9:
        return mass, True
    now, size = float(share @ np.log(can @ mass)), 1.0
    while size > 1e-10:
        trial = can @ (mass + size * direction)
        if np.all(trial > 0.0) and float(share @ np.log(trial)) >= now + 1e-4 * size * slope:
            mass = np.maximum(mass + size * direction, 0.0)
            return mass / mass.sum(), False
        size *= 0.5
    return mass, True


def _step_on_support(share: FloatArray, mass: FloatArray, ratio: FloatArray) -> FloatArray:
    """Newton step within the intervals that have mass, once these agree with the one that violates most.

    Least squares over all intervals cannot tell a violation of 1e-8 from none; this can.
    """
    gradient = share @ ratio
    support = mass > 0.0
    if np.max(np.abs(gradient[support] - 1.0)) < 1e-11:
        support[np.argmax(gradient)] = True
    k = int(support.sum())
    system = np.ones((k + 1, k + 1))
    system[:k, :k] = ratio[:, support].T @ (share[:, None] * ratio[:, support])
    system[k, k] = 0.0
    direction = np.zeros(mass.size)
    direction[support] = np.linalg.lstsq(system, np.r_[gradient[support], 0.0], rcond=1e-13)[0][:k]
    shrinking = direction < 0.0
    room = np.where(shrinking, mass / np.where(shrinking, -direction, 1.0), np.inf)
    size = min(1.0, float(room.min()))
    mass = mass + size * direction
    mass[(room <= size) | (mass < 0.0)] = 0.0
    return np.asarray(mass / mass.sum(), dtype=np.float64)
