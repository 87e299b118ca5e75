"""Two groups compared on a measurement, batched: Wilcoxon's rank sum (Mann-Whitney) and Welch's t.

A patient with a missing (NaN) value or a negative group is not in the analysis of that replicate.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import BoolArray, Estimates, FloatArray, IntArray, Status
from cmvsim.estimators.association import mean_ranks
from cmvsim.estimators.intervals import normal_quantile

EXACT_BELOW = 50
"""Both groups smaller than this, and no ties: the exact distribution, as R's ``wilcox.test`` does."""


@dataclass(frozen=True, slots=True)
class RankSum:
    """Wilcoxon rank-sum tests, one per replicate.

    Attributes
    ----------
    statistic
        W of Mann and Whitney: pairs in which the patient of group 0 has the larger value, ties counting 1/2 (R's W
        with group 0 as its first sample).
    p_value
        Two-sided.
    probability
        P(X0 < X1) + P(X0 = X1) / 2, estimated by 1 - W / (n0 n1).
    ci_low, ci_high
        Its limits by Newcombe's method 5; they exist at 0 and 1 too.
    exact
        Whether the p-value is from the exact distribution.
    n0, n1
        Patients of each group in the analysis.
    status
        OK; ``EMPTY`` where a group has nobody; ``NOT_ESTIMABLE`` where all values are equal (the test is then NaN, and
        so is the probability).
    level, method
        Confidence level; test and interval by name.
    """

    statistic: FloatArray
    p_value: FloatArray
    probability: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    exact: BoolArray
    n0: IntArray
    n1: IntArray
    status: IntArray
    level: float
    method: str


def rank_sum(
    values: ArrayLike,
    group: ArrayLike,
    *,
    exact: bool = True,
    correction: bool = True,
    level: float = 0.95,
) -> RankSum:
    """Wilcoxon's rank-sum test and the probability that group 1 has the larger value, one per replicate.

    Parameters
    ----------
    values
        (replicates, patients); NaN is not in the analysis, infinite values are.
    group
        Integers 0 and 1, broadcast to `values`; negative is not in the analysis.
    exact
        The exact distribution where there are no ties and both groups have fewer than 50 patients; False: the normal
        approximation always.
    correction
        Continuity correction of the normal approximation.
    level
        Confidence level, two-sided.

    Returns
    -------
    RankSum
        Of leading shape (replicates,).

    Raises
    ------
    ValueError
        If shapes or group codes do not fit or `level` is not allowed; never because of the data.

    Notes
    -----
    Wilcoxon (1945); Mann and Whitney (1947). Interval: Newcombe, Statistics in Medicine 25 (2006) 559-573, method 5:
    the probabilities θ with |θ - estimate| <= z sqrt(V(θ)), V of Hanley and McNeil with (n0 + n1) / 2 - 1 in place of
    n0 - 1 and n1 - 1.
    """
    from scipy.special import erfc

    z = normal_quantile(level)
    v, code = _columns(values, group)
    ranks = mean_ranks(np.where(code >= 0, v, np.nan))
    n0, n1 = (code == 0).sum(axis=1), (code == 1).sum(axis=1)
    size, pairs = (n0 + n1).astype(np.float64), (n0 * n1).astype(np.float64)
    statistic = np.where(code == 0, ranks, 0.0).sum(axis=1) - n0 * (n0 + 1.0) / 2.0
    # a group of t tied values adds t (t² - 1) / 12 to what the squared ranks lack
    seen = np.where(code >= 0, ranks, 0.0)
    lack = size * (size + 1.0) * (2.0 * size + 1.0) / 6.0 - (seen * seen).sum(axis=1)
    lack = np.where(lack < 1e-6, 0.0, lack)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = pairs / 12.0 * (size + 1.0 - 12.0 * lack / (size * (size - 1.0)))
        distance = statistic - pairs / 2.0
        if correction:
            distance = np.sign(distance) * np.maximum(np.abs(distance) - 0.5, 0.0)
        p_value = np.asarray(erfc(np.abs(distance) / np.sqrt(2.0 * variance)), dtype=np.float64)
        probability = 1.0 - statistic / pairs
    by_count = exact & (lack == 0.0) & (n0 < EXACT_BELOW) & (n1 < EXACT_BELOW) & (pairs > 0)
    for sizes in {(int(m), int(k)) for m, k in zip(n0[by_count], n1[by_count], strict=True)}:
        rows = by_count & (n0 == sizes[0]) & (n1 == sizes[1])
        p_value[rows] = _exact_p_values(*sizes)[np.rint(statistic[rows]).astype(np.int64)]
    level_values = (variance <= 1e-9 * pairs) & (size > 1)
    status = np.where(level_values, int(Status.NOT_ESTIMABLE), int(Status.OK)).astype(np.int64)
    status[pairs == 0] = Status.EMPTY
    fine = status == Status.OK
    low, high = _probability_limits(probability, n0, n1, z)
    statistic, p_value, probability, low, high = (
        np.where(fine, a, np.nan) for a in (statistic, p_value, probability, low, high)
    )
    name = "Wilcoxon rank sum" + (", continuity correction" if correction else "") + ", Newcombe 5 interval"
    return RankSum(statistic, p_value, probability, low, high, by_count & fine, n0, n1, status, level, name)


def welch(values: ArrayLike, group: ArrayLike, *, level: float = 0.95) -> MeanDifference:
    """Difference in means, group 0 minus group 1, with unequal variances (Welch 1947), one per replicate.

    Parameters
    ----------
    values, group
        As for :func:`rank_sum`, values finite.
    level
        Confidence level, two-sided.

    Returns
    -------
    MeanDifference
        Of leading shape (replicates,).

    Raises
    ------
    ValueError
        If shapes or group codes do not fit or `level` is not allowed; never because of the data.
    """
    from scipy.special import stdtr, stdtrit

    normal_quantile(level)
    v, code = _columns(values, group)
    code = np.where(np.isfinite(v), code, -1)
    means, parts, sizes = [], [], []
    with np.errstate(divide="ignore", invalid="ignore"):
        for g in (0, 1):
            own = code == g
            n = own.sum(axis=1)
            mean = np.where(own, v, 0.0).sum(axis=1) / n
            spread = (np.where(own, v - mean[:, None], 0.0) ** 2).sum(axis=1) / (n - 1.0)
            means.append(mean)
            parts.append(np.where(n > 1, spread, np.nan) / n)
            sizes.append(n)
        estimate, square = means[0] - means[1], parts[0] + parts[1]
        df = square**2 / (parts[0] ** 2 / (sizes[0] - 1.0) + parts[1] ** 2 / (sizes[1] - 1.0))
        se = np.sqrt(square)
        statistic = estimate / se
    largest = np.where(code >= 0, np.abs(v), 0.0).max(axis=1, initial=0.0)
    fine = np.isfinite(se) & (se > 1e-13 * largest)
    status = np.where(fine, int(Status.OK), int(Status.NOT_ESTIMABLE)).astype(np.int64)
    status[(sizes[0] == 0) | (sizes[1] == 0)] = Status.EMPTY
    estimate, se, statistic, df = (np.where(status == Status.OK, a, np.nan) for a in (estimate, se, statistic, df))
    half = stdtrit(df, 1.0 - (1.0 - level) / 2.0) * se
    p_value = np.asarray(2.0 * stdtr(df, -np.abs(statistic)), dtype=np.float64)
    n = (sizes[0] + sizes[1]).astype(np.int64)
    return MeanDifference(estimate, se, estimate - half, estimate + half, statistic, df, p_value, n, status, level)


@dataclass(frozen=True, slots=True)
class MeanDifference:
    """Welch's comparison of two means, one per replicate.

    Attributes
    ----------
    estimate, se, ci_low, ci_high
        Mean of group 0 minus mean of group 1, its standard error and t limits.
    statistic, df, p_value
        Welch's t, its degrees of freedom, and the two-sided p-value.
    n
        Patients of both groups in the analysis.
    status
        OK; ``EMPTY`` where a group has nobody; ``NOT_ESTIMABLE`` where a group has one patient or no value varies.
    level
        Confidence level.
    """

    estimate: FloatArray
    se: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    statistic: FloatArray
    df: FloatArray
    p_value: FloatArray
    n: IntArray
    status: IntArray
    level: float

    def estimates(self) -> Estimates:
        """The same as `Estimates`; `events` are zeros, for there are none."""
        numbers = (self.estimate, self.se, self.ci_low, self.ci_high, self.n, np.zeros_like(self.n), self.status)
        return Estimates(*numbers, self.level, "Welch")


def _columns(values: ArrayLike, group: ArrayLike) -> tuple[FloatArray, IntArray]:
    v = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if v.ndim != 2:
        raise ValueError(f"values must be (replicates, patients), not {v.shape}")
    code = np.broadcast_to(np.asarray(group, dtype=np.int64), v.shape)
    if code.max(initial=0) > 1:
        raise ValueError(f"groups must be 0 and 1, not {int(code.max())}")
    return v, np.where(np.isnan(v), -1, code)


@lru_cache(maxsize=64)
def _exact_p_values(n0: int, n1: int) -> FloatArray:
    """Two-sided p-value of each W = 0..n0 n1: twice the smaller tail, at most 1."""
    # number of ways, by adding one patient of group 0 at a time: the Gaussian binomial coefficient
    ways = np.zeros(n0 * n1 + 1)
    ways[0] = 1.0
    for i in range(1, n0 + 1):
        for w in range(n0 * n1, n1 + i - 1, -1):
            ways[w] -= ways[w - n1 - i]
        for w in range(i, n0 * n1 + 1):
            ways[w] += ways[w - i]
    share = ways / ways.sum()
    below = np.cumsum(share)
    return np.asarray(np.minimum(1.0, 2.0 * np.minimum(below, below[::-1])), dtype=np.float64)


def _probability_limits(p: FloatArray, n0: IntArray, n1: IntArray, z: float) -> tuple[FloatArray, FloatArray]:
    inner, pairs = (n0 + n1) / 2.0 - 1.0, np.maximum(n0 * n1, 1)
    ends = []
    for edge in (0.0, 1.0):
        inside, outside = np.nan_to_num(p, nan=0.5), np.full(p.shape, edge)
        for _ in range(60):
            middle = (inside + outside) / 2.0
            spread = middle * (1.0 - middle)
            spread *= 1.0 + inner * ((1.0 - middle) / (2.0 - middle) + middle / (1.0 + middle))
            held = np.abs(middle - p) <= z * np.sqrt(spread / pairs)
            inside, outside = np.where(held, middle, inside), np.where(held, outside, middle)
        ends.append((inside + outside) / 2.0)
    return np.where(p == 0.0, 0.0, ends[0]), np.where(p == 1.0, 1.0, ends[1])
