"""Patient bootstrap of any statistic of weighted patients: percentile, BCa, basic and normal limits.

Nothing is drawn here: resamples come in as indices, or as uniform variates of the stream ``analysis.bootstrap`` (role
``ANALYSIS`` of :mod:`cmvsim.core.streams`), so that an interval is as reproducible as the trial. A statistic sees each
resample as the number of times that each patient is in it; estimators with case weights take those as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import FloatArray, IntArray, Status
from cmvsim.estimators.intervals import normal_quantile

Statistic = Callable[[FloatArray], ArrayLike]
BootstrapInterval = Literal["percentile", "bca", "basic", "normal"]
QuantileRule = Literal["type-7", "normal-scale"]

ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Bootstrap of one data set; every array has the statistic's own shape (a scalar statistic: 0-dimensional).

    Attributes
    ----------
    estimate
        The statistic of the data themselves.
    se
        Standard deviation over the resamples (divisor B - 1).
    ci_low, ci_high
        Limits.
    bias_correction, acceleration
        z0 and a of BCa; NaN for other intervals.
    n_resamples, n_failed
        Resamples, and those among them whose statistic is not finite. The latter take no part in anything; many of
        them make an interval doubtful, so they are counted, never redrawn.
    status
        OK; ``NOT_ESTIMABLE`` (NaN) where the statistic of the data is not finite, fewer than two resamples are, all
        are equal, or, for BCa, all are on one side of the estimate or the jackknife has no spread.
    level, method
        Confidence level; interval and quantile rule by name.
    """

    estimate: FloatArray
    se: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    bias_correction: FloatArray
    acceleration: FloatArray
    n_resamples: int
    n_failed: IntArray
    status: IntArray
    level: float
    method: str


def resampling_indices(uniform: ArrayLike, n: int) -> IntArray:
    """Patients 0..n-1 drawn with replacement, from uniform variates in [0, 1) of shape (resamples, n)."""
    u = np.asarray(uniform, dtype=np.float64)
    if u.ndim != 2 or u.shape[1] != n:
        raise ValueError(f"uniform variates must be (resamples, {n}), not {u.shape}")
    return np.minimum((u * n).astype(np.int64), n - 1)


def resampling_counts(indices: ArrayLike, n: int) -> FloatArray:
    """How often each of n patients is in each resample, (resamples, n), from indices of shape (resamples, size)."""
    drawn = np.asarray(indices, dtype=np.int64)
    if drawn.ndim != 2 or (drawn.size and (drawn.min() < 0 or drawn.max() >= n)):
        raise ValueError(f"indices must be (resamples, size) and between 0 and {n - 1}")
    flat = drawn + n * np.arange(drawn.shape[0])[:, None]
    return np.bincount(flat.ravel(), minlength=n * drawn.shape[0]).reshape(drawn.shape[0], n).astype(np.float64)


def bootstrap(
    statistic: Statistic,
    counts: ArrayLike,
    *,
    interval: BootstrapInterval = "bca",
    quantile: QuantileRule = "type-7",
    level: float = 0.95,
) -> Bootstrap:
    """Bootstrap limits of a statistic of one data set.

    Parameters
    ----------
    statistic
        Takes weights (resamples, patients) and gives (resamples,) or (resamples, ...): the statistic of each weighted
        data set.
    counts
        Resamples as counts, (resamples, patients); see :func:`resampling_counts`.
    interval
        ``bca`` (bias-corrected and accelerated, acceleration by the jackknife over patients), ``percentile``,
        ``basic`` or ``normal`` (bias-corrected estimate ± z se).
    quantile
        ``type-7`` (numpy's and R's default) or ``normal-scale`` (order statistics interpolated on the normal scale, as
        R's package boot).
    level
        Confidence level, two-sided.

    Returns
    -------
    Bootstrap
        See there for what becomes of resamples without a value.

    Raises
    ------
    ValueError
        If shapes do not fit or a name is unknown.

    Notes
    -----
    Efron, JASA 82 (1987) 171-200; Davison and Hinkley (1997) chapter 5. z0 uses the share strictly below the estimate.
    """
    z = normal_quantile(level)
    for given, allowed in ((interval, BootstrapInterval), (quantile, QuantileRule)):
        if given not in get_args(allowed):
            raise ValueError(f"unknown name {given!r}; allowed: {', '.join(get_args(allowed))}")
    weights = np.asarray(counts, dtype=np.float64)
    if weights.ndim != 2:
        raise ValueError(f"counts must be (resamples, patients), not {weights.shape}")
    n = weights.shape[1]
    values = np.asarray(statistic(weights), dtype=np.float64)
    shape = values.shape[1:]
    values = values.reshape(weights.shape[0], -1)
    whole = np.asarray(statistic(np.ones((1, n))), dtype=np.float64).reshape(-1)
    left_out = np.empty((0, whole.size))
    if interval == "bca":
        left_out = np.asarray(statistic(1.0 - np.eye(n)), dtype=np.float64).reshape(n, -1)
    out = np.full((6, whole.size), np.nan)
    failed, status = np.zeros(whole.size, dtype=np.int64), np.full(whole.size, int(Status.NOT_ESTIMABLE))
    for k, estimate in enumerate(whole):
        good = np.sort(values[np.isfinite(values[:, k]), k])
        failed[k] = values.shape[0] - good.size
        if not np.isfinite(estimate) or good.size < 2 or good[-1] - good[0] <= ROUNDING * abs(estimate):
            continue
        limits = _limits(interval, quantile, estimate, good, left_out[:, k], z, level)
        if np.isfinite(limits[:2]).all():
            out[:, k] = estimate, good.std(ddof=1), *limits
            status[k] = Status.OK
    point, se, low, high, z0, a = (values.reshape(shape) for values in out)
    name = f"{interval} interval, {quantile} quantiles"
    return Bootstrap(point, se, low, high, z0, a, weights.shape[0], failed.reshape(shape), status.reshape(shape), level, name)


def ordered_quantiles(arranged: FloatArray, shares: Sequence[float], rule: QuantileRule) -> FloatArray:
    """Quantiles of values in ascending order; with ``normal-scale`` NaN beyond the outermost order statistics."""
    if rule == "type-7":
        return np.asarray(np.quantile(arranged, shares), dtype=np.float64)
    from scipy.special import ndtri

    found = []
    size = arranged.size
    for share in shares:
        place = share * (size + 1)
        k = int(np.floor(place + 1e-9))
        if k < 1 or k > size or (k == size and place - k > 1e-9):
            found.append(np.nan)
        elif abs(place - k) <= 1e-9:
            found.append(float(arranged[k - 1]))
        else:
            before, here, beyond = ndtri([k / (size + 1), share, (k + 1) / (size + 1)])
            found.append(float(arranged[k - 1] + (here - before) / (beyond - before) * (arranged[k] - arranged[k - 1])))
    return np.array(found)


def _limits(
    interval: str,
    quantile: QuantileRule,
    estimate: float,
    good: FloatArray,
    left_out: FloatArray,
    z: float,
    level: float,
) -> tuple[float, float, float, float]:
    """Low, high, z0 and a."""
    tail = (1.0 - level) / 2.0
    if interval == "normal":
        centre, half = 2.0 * estimate - good.mean(), z * good.std(ddof=1)
        return centre - half, centre + half, np.nan, np.nan
    if interval != "bca":
        low, high = ordered_quantiles(good, (tail, 1.0 - tail), quantile)
        if interval == "basic":
            low, high = 2.0 * estimate - high, 2.0 * estimate - low
        return low, high, np.nan, np.nan
    from scipy.special import ndtr, ndtri

    # a resample whose value is the estimate's up to rounding is not below it
    z0 = float(ndtri(np.mean(good < estimate - ROUNDING * (good[-1] - good[0]))))
    a = jackknife_acceleration(left_out)
    if not (np.isfinite(z0) and np.isfinite(a)):
        return np.nan, np.nan, z0, a
    moved = [z0 + s for s in (-z, z)]
    low, high = ordered_quantiles(good, [float(ndtr(z0 + m / (1.0 - a * m))) for m in moved], quantile)
    return low, high, z0, a


def jackknife_acceleration(left_out: FloatArray) -> float:
    """BCa's acceleration from the statistic without each patient in turn; NaN where one is missing or none differ."""
    distance = left_out.mean() - left_out
    spread = float((distance**2).sum())
    if not (np.isfinite(spread) and spread > 0.0):
        return float("nan")
    return float((distance**3).sum() / (6.0 * spread**1.5))
