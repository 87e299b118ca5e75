"""Two independent proportions: sizes and power of score tests with a margin, and exact power by enumeration."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import gammaln

from cmvsim.core.records import BoolArray, FloatArray
from cmvsim.designs.closed_forms.basics import (
    binomial_pmf,
    critical_value,
    normal_cdf,
    require,
    require_positive,
    require_power,
    require_probability,
    upper_quantile,
)
from cmvsim.estimators.score import constrained_proportions

ExactTest = Literal["pooled", "unpooled", "fisher"]
EXACT_TESTS: tuple[ExactTest, ...] = ("pooled", "unpooled", "fisher")
LARGEST_ARM = 2_000


@dataclass(frozen=True, slots=True)
class ArmSizes:
    """Patients of the two arms, not rounded."""

    arm1: float
    arm2: float

    @property
    def total(self) -> float:
        """Patients of both arms."""
        return self.arm1 + self.arm2


def two_proportions_size(
    p1: float,
    p2: float,
    *,
    difference0: float = 0.0,
    ratio: float = 1.0,
    alpha: float = 0.05,
    power: float = 0.8,
    sides: int = 2,
) -> ArmSizes:
    """Patients of the score test of p1 - p2 against a difference.

    Parameters
    ----------
    p1, p2
        Proportions expected in the two arms.
    difference0
        p1 - p2 under the null hypothesis: 0 for superiority. With the experimental arm as arm 1,
        non-inferiority by a margin m is -m when events are wanted and +m when they are feared.
    ratio
        Patients of arm 2 per patient of arm 1.
    alpha, sides
        Level and whether it is shared by two sides.
    power
        Power wanted.

    Returns
    -------
    ArmSizes
        Not rounded; round each arm up.

    Notes
    -----
    ``n1 = ((z_alpha sqrt(V0) + z_beta sqrt(V1)) / (p1 - p2 - difference0))^2`` with V0 at the maximum-likelihood
    proportions under the null hypothesis: Farrington and Manning, Statistics in Medicine 9 (1990) 1447-1454; with
    difference0 = 0 that is the pooled z test (Fleiss, Levin and Paik, 3rd ed. 2003, without continuity correction).
    """
    za, gap, v0, v1 = _parts(p1, p2, difference0, ratio, alpha, sides)
    require_power(power, alpha, sides)
    n1 = ((za * math.sqrt(v0) + upper_quantile(1.0 - power) * math.sqrt(v1)) / gap) ** 2
    return ArmSizes(n1, n1 * ratio)


def two_proportions_power(
    n1: float,
    p1: float,
    p2: float,
    *,
    difference0: float = 0.0,
    ratio: float = 1.0,
    alpha: float = 0.05,
    sides: int = 2,
) -> float:
    """Power of the score test with `n1` patients in arm 1 and `ratio` times as many in arm 2.

    The inverse of :func:`two_proportions_size`, whose arguments it shares; rejections on the wrong side do not count.
    """
    require_positive(n1=n1)
    za, gap, v0, v1 = _parts(p1, p2, difference0, ratio, alpha, sides)
    return normal_cdf((gap * math.sqrt(n1) - za * math.sqrt(v0)) / math.sqrt(v1))


def _parts(
    p1: float, p2: float, difference0: float, ratio: float, alpha: float, sides: int
) -> tuple[float, float, float, float]:
    require_probability(p1=p1, p2=p2)
    require_positive(ratio=ratio)
    require(-1.0 < difference0 < 1.0, f"difference0 = {difference0:g} must lie strictly between -1 and 1")
    gap = abs(p1 - p2 - difference0)
    require(gap > 1e-12, f"p1 - p2 must differ from the difference under the null hypothesis, {difference0:g}")
    q1, q2 = (float(q) for q in constrained_proportions(p1, p2, ratio, difference0))
    v0 = q1 * (1.0 - q1) + q2 * (1.0 - q2) / ratio
    v1 = p1 * (1.0 - p1) + p2 * (1.0 - p2) / ratio
    return critical_value(alpha, sides), gap, v0, v1


def two_arm_rejections(n1: int, n2: int, *, test: ExactTest = "fisher", alpha: float = 0.05) -> BoolArray:
    """Which of the (n1 + 1) x (n2 + 1) outcomes a two-sided test of equal proportions rejects.

    Parameters
    ----------
    n1, n2
        Patients of the arms, at most 2000 each.
    test
        ``pooled`` or ``unpooled`` z test, or ``fisher`` (two-sided p: the outcomes that are no likelier).
    alpha
        Two-sided level.
    """
    require(1 <= n1 <= LARGEST_ARM and 1 <= n2 <= LARGEST_ARM, f"each arm needs 1 to {LARGEST_ARM} patients")
    require_probability(alpha=alpha)
    require(test in EXACT_TESTS, f"unknown test {test!r}; allowed: {', '.join(EXACT_TESTS)}")
    if test == "fisher":
        return _fisher_p(n1, n2) <= alpha
    x1, x2 = np.arange(n1 + 1)[:, None], np.arange(n2 + 1)[None, :]
    p1, p2, pooled = x1 / n1, x2 / n2, (x1 + x2) / (n1 + n2)
    if test == "pooled":
        variance = pooled * (1.0 - pooled) * (1.0 / n1 + 1.0 / n2)
    else:
        variance = p1 * (1.0 - p1) / n1 + p2 * (1.0 - p2) / n2
    difference = np.abs(p1 - p2)
    # without variance the z test rejects any difference: only 0 of n1 against n2 of n2, unpooled
    return np.asarray((difference > 0) & (difference >= critical_value(alpha, 2) * np.sqrt(variance)), dtype=np.bool_)


def _fisher_p(n1: int, n2: int) -> FloatArray:
    """Two-sided p of every outcome; ties count within 1e-7 relative, as in R's fisher.test."""
    p = np.ones((n1 + 1, n2 + 1))
    log1 = gammaln(n1 + 1) - gammaln(np.arange(n1 + 1) + 1) - gammaln(n1 - np.arange(n1 + 1) + 1)
    log2 = gammaln(n2 + 1) - gammaln(np.arange(n2 + 1) + 1) - gammaln(n2 - np.arange(n2 + 1) + 1)
    for events in range(n1 + n2 + 1):
        x1 = np.arange(max(0, events - n2), min(n1, events) + 1)
        log = log1[x1] + log2[events - x1]
        weight = np.exp(log - log.max())
        weight /= weight.sum()
        ordered = np.sort(weight)
        below = np.concatenate(([0.0], np.cumsum(ordered)))
        p[x1, events - x1] = below[np.searchsorted(ordered, weight * (1.0 + 1e-7), side="right")]
    return p


def two_arm_exact_power(n1: int, n2: int, p1: float, p2: float, *, test: ExactTest = "fisher", alpha: float = 0.05) -> float:
    """Exact power of a two-sided test of equal proportions, by enumeration of all outcomes.

    With p1 = p2 this is the attained type I error. Arguments as for :func:`two_arm_rejections`; p1 and p2 are the
    true proportions, in [0, 1].
    """
    require(0.0 <= p1 <= 1.0 and 0.0 <= p2 <= 1.0, "p1 and p2 must lie between 0 and 1")
    return rejection_probability(two_arm_rejections(n1, n2, test=test, alpha=alpha), p1, p2)


def rejection_probability(rejected: BoolArray, p1: float, p2: float) -> float:
    """Probability of the outcomes marked in `rejected` (from :func:`two_arm_rejections`) when the truth is p1 and p2."""
    n1, n2 = (size - 1 for size in rejected.shape)
    at1, at2 = binomial_pmf(np.arange(n1 + 1), n1, p1), binomial_pmf(np.arange(n2 + 1), n2, p2)
    return float(at1 @ (rejected @ at2))
