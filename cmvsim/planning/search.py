"""The smallest N whose criterion reaches its target, from a nested curve, with its interval (planning.md).

Points of a nested curve are strongly correlated, so the raw first crossing is biased low and a fit with independent
errors is too sure of itself. N is read off the isotonic curve; its interval treats the replicate as the unit: the
binomial error of the curve over the slope of a probit in sqrt(N) when enough of the curve is between 0 and 1, else a
bootstrap of whole replicates on a fine local grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from cmvsim.core.records import BoolArray, FloatArray
from cmvsim.core.streams import Role, generator

INFORMATIVE = (0.15, 0.985)
ENOUGH_POINTS = 4
RESAMPLES = 1000
PROBIT = "binomial error over the slope of a probit in sqrt(N)"
_Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Crossing:
    """Where the curve reaches the target.

    Attributes
    ----------
    n
        Smallest integer at which the isotonic curve is at or above the target.
    low, high
        95% interval of the crossing; `method` says how.
    """

    n: int
    low: float
    high: float
    method: str


def isotonic(values: FloatArray) -> FloatArray:
    """Non-decreasing least-squares fit with equal weights (pool adjacent violators).

    Parameters
    ----------
    values
        (..., sizes); the fit is along the last axis.
    """
    flat = np.reshape(values, (-1, np.shape(values)[-1]))
    fitted = np.array([optimize.isotonic_regression(row).x for row in flat])
    return fitted.reshape(np.shape(values))


def crossing_of(sizes: FloatArray, curve: FloatArray, target: float) -> float:
    """Size at which a non-decreasing, linearly interpolated curve reaches the target; NaN if it does not."""
    above = np.flatnonzero(curve >= target)
    if above.size == 0:
        return float("nan")
    j = int(above[0])
    if j == 0:
        return float(sizes[0])
    rise = curve[j] - curve[j - 1]
    return float(sizes[j - 1] + (target - curve[j - 1]) / rise * (sizes[j] - sizes[j - 1]))


def find_crossing(sizes: Sequence[int], met: BoolArray, target: float, seed: int) -> Crossing | None:
    """Smallest size that reaches the target, with its interval.

    Parameters
    ----------
    sizes
        Fine ascending grid around the crossing.
    met
        (replicates, sizes) whether the criterion held; a failed replicate is not met.
    target
        Probability to reach.
    seed
        Of the run, for the bootstrap's own stream.

    Returns
    -------
    Crossing or None
        None if the curve does not reach the target on the grid.
    """
    grid = np.asarray(sizes, dtype=np.float64)
    curve = isotonic(met.mean(axis=0))
    at = crossing_of(grid, curve, target)
    if not np.isfinite(at):
        return None
    n = int(np.ceil(at - 1e-9))
    informative = (curve > INFORMATIVE[0]) & (curve < INFORMATIVE[1])
    if informative.sum() >= ENOUGH_POINTS:
        half = _probit_half_width(grid[informative], met.mean(axis=0)[informative], met.shape[0], target)
        if half is not None:
            root = np.sqrt(at)
            return Crossing(n, float(max(root - half, 0.0) ** 2), float((root + half) ** 2), PROBIT)
    return Crossing(n, *_bootstrap_interval(grid, met, target, seed), "bootstrap of whole replicates")


def _probit_half_width(sizes: FloatArray, share: FloatArray, replicates: int, target: float) -> float | None:
    """Half-width, in sqrt(N), of the crossing of the curve.

    At the crossing the curve has the variance p (1 - p) / R of R replicates, whatever the correlation between sizes; a
    probit in sqrt(N), P = Phi(a + b sqrt(N)), gives its slope there (delta method). The sandwich errors of the probit's own
    crossing would be too small, as N is read from the isotonic curve: 90% intervals where 95% were meant, in a check.
    None if the fitted curve does not rise through the target.
    """
    x = np.column_stack([np.ones(sizes.size), np.sqrt(sizes)])
    theta = np.linalg.lstsq(x, special.ndtri(np.clip(share, 1e-6, 1 - 1e-6)), rcond=None)[0]
    for _ in range(50):
        eta = x @ theta
        p, density = special.ndtr(eta), np.exp(-eta * eta / 2) / np.sqrt(2 * np.pi)
        weight = density / np.maximum(p * (1 - p), 1e-12)
        information = (x * (weight * density)[:, None]).T @ x
        step = np.linalg.solve(information, x.T @ (weight * (share - p)))
        theta = theta + step
        if np.abs(step).max() < 1e-10:
            break
    level = special.ndtri(target)
    slope = theta[1] * np.exp(-level * level / 2) / np.sqrt(2 * np.pi)
    if theta[1] <= 0 or level <= theta[0]:
        return None
    return _Z95 * float(np.sqrt(target * (1 - target) / replicates) / slope)


def _bootstrap_interval(sizes: FloatArray, met: BoolArray, target: float, seed: int) -> tuple[float, float]:
    """Percentile interval of the crossing over resampled replicates; an end outside the grid is put at its edge."""
    replicates = met.shape[0]
    rng = generator(seed, Role.ANALYSIS, 0, "analysis.bootstrap")
    outcomes = met.astype(np.float64)
    found = np.empty(RESAMPLES)
    for b in range(RESAMPLES):
        drawn = np.floor(rng.random(replicates) * replicates).astype(np.int64)
        curve = np.bincount(drawn, minlength=replicates) @ outcomes / replicates
        at = crossing_of(sizes, isotonic(curve), target)
        found[b] = at if np.isfinite(at) else sizes[-1]
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)
