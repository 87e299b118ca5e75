"""Without censoring the incidence is a proportion, and its interval can be enumerated exactly."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cmvsim.core.records import Status
from cmvsim.estimators import aalen_johansen, kaplan_meier, limits, proportion, proportion_limits
from cmvsim.estimators.intervals import normal_quantile

# Exact enumeration over x ~ Binomial(n, p), 8 digits; at x = 0 and x = n the interval is the point (the
# project's planning reference: kinds uncensored_cif_ci and exact_coverage).
CLOGLOG = {
    (60, 0.3): {"coverage": 0.94988463, "mean_width": 0.23012609, "p_width_le_0_2": 0.01387785},
    (40, 0.15): {"coverage": 0.96857688, "mean_width": 0.2297141, "p_width_le_0_2": 0.13016876},
}
COVERAGE = {
    (50, 0.3): {"clopper-pearson": 0.96947053, "wilson": 0.95665961, "wald": 0.93468132},
    (100, 0.3): {"clopper-pearson": 0.96254857, "wilson": 0.93718975, "wald": 0.95018017},
}
# presize's tests, which transcribe Stata: x, n, method, lower, upper, 7 digits
STATA = [
    (50, 100, "wilson", 0.4038315, 0.5961685),
    (50, 100, "clopper-pearson", 0.3983211, 0.6016789),
    (40, 100, "agresti-coull", 0.3093314, 0.4980673),
    (40, 100, "clopper-pearson", 0.3032948, 0.5027908),
]


def _binomial(n: int, p: float) -> np.ndarray:
    return np.array([math.comb(n, x) * p**x * (1 - p) ** (n - x) for x in range(n + 1)])


def _uncensored(n: int, competing: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Replicate x has x events on days 1.., then competing ones; the rest reach day 90 (or n + 1)."""
    day = np.tile(np.arange(1, n + 1), (n + 1, 1))
    x = np.arange(n + 1)[:, None]
    order = np.arange(n)
    cause = np.where(order < x, 1, np.where(order < x + competing, 2, 0))
    return np.where(cause == 0, max(90, n + 1), day), cause


@pytest.mark.parametrize("variance", ["greenwood", "ij"])
@pytest.mark.parametrize("competing", [0, 7])
def test_without_censoring_the_incidence_is_the_proportion(variance: str, competing: int) -> None:
    n = 40
    got = aalen_johansen(*_uncensored(n, competing), 90, variance=variance)
    p = np.arange(n + 1) / n
    np.testing.assert_allclose(got.estimate, p, rtol=1e-13)
    np.testing.assert_allclose(got.se, np.sqrt(p * (1 - p) / n), rtol=1e-11, atol=1e-8)
    np.testing.assert_array_equal(got.events, np.arange(n + 1))


def test_without_censoring_or_ties_the_aalen_variance_is_near_the_binomial_one() -> None:
    n = 400
    got = aalen_johansen(*_uncensored(n), n + 1)
    inner = slice(20, 380)
    p = np.arange(n + 1)[inner] / n
    # no censoring, no ties: Aalen's Y² against Greenwood's Y (Y - 1), a difference of order 1 / Y
    np.testing.assert_allclose(got.se[inner], np.sqrt(p * (1 - p) / n), rtol=0.03)
    assert np.all(got.se[inner] > np.sqrt(p * (1 - p) / n))


@pytest.mark.parametrize(("n", "p"), CLOGLOG)
def test_cloglog_interval_enumerated(n: int, p: float) -> None:
    got = aalen_johansen(*_uncensored(n), 90, variance="greenwood", interval="cloglog")
    point = got.status != Status.OK
    low, high = np.where(point, got.estimate, got.ci_low), np.where(point, got.estimate, got.ci_high)
    probability, expected = _binomial(n, p), CLOGLOG[n, p]
    assert probability @ ((low <= p) & (p <= high)) == pytest.approx(expected["coverage"], abs=1e-8)
    assert probability @ (high - low) == pytest.approx(expected["mean_width"], abs=1e-8)
    assert probability @ (high - low <= 0.2) == pytest.approx(expected["p_width_le_0_2"], abs=1e-8)


@pytest.mark.parametrize(("n", "p"), COVERAGE)
@pytest.mark.parametrize("method", ["clopper-pearson", "wilson", "wald"])
def test_coverage_enumerated(n: int, p: float, method: str) -> None:
    x = np.arange(n + 1)
    if method == "wald":
        low, high = limits(x / n, np.sqrt(x * (n - x) / n**3), interval="plain")
    else:
        low, high = proportion_limits(x, n, method=method)
    covered = _binomial(n, p) @ ((low <= p) & (p <= high))
    assert covered == pytest.approx(COVERAGE[n, p][method], abs=1e-8)


@pytest.mark.parametrize(("x", "n", "method", "low", "high"), STATA)
def test_stata_limits(x: int, n: int, method: str, low: float, high: float) -> None:
    got = proportion(x, n, method=method)
    assert (got.ci_low, got.ci_high) == pytest.approx((low, high), abs=1e-7)


@pytest.mark.parametrize("n", [1, 3, 40])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_the_fallback_is_clopper_pearson_when_nobody_is_censored(n: int, level: float) -> None:
    time, cause = _uncensored(n)
    rows = [0, n]
    low, high = proportion_limits(rows, n, method="clopper-pearson", level=level)
    got = aalen_johansen(time[rows], cause[rows], 90, level=level)
    np.testing.assert_array_equal(got.status, [Status.NO_EVENTS, Status.ALL_EVENTS])
    np.testing.assert_allclose(got.ci_low, low, rtol=1e-12)
    np.testing.assert_allclose(got.ci_high, high, rtol=1e-12)
    survived = kaplan_meier(time[rows], cause[rows], 90, level=level)
    np.testing.assert_array_equal(survived.status, got.status)
    np.testing.assert_allclose(survived.ci_low, 1 - high, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(survived.ci_high, 1 - low, rtol=1e-12)


def test_the_fallback_upper_limit_covers_when_half_are_censored() -> None:
    """Exponential events, heavy uniform censoring: with 0 events observed the bound must hold at its level.

    P(true incidence above the bound and 0 events) <= alpha / 2 for any incidence; checked by simulation at
    the incidences where it is closest, with a generous Monte Carlo margin.
    """
    rng = np.random.Generator(np.random.PCG64(20))
    n, replicates = 30, 20_000
    for incidence in (0.12, 0.15, 0.2, 0.3):
        event = rng.exponential(-90 / math.log1p(-incidence), (replicates, n))
        censored = rng.uniform(0, 150, (replicates, n))
        got = aalen_johansen(np.minimum(event, censored), event <= censored, 90)
        missed = (got.status == Status.NO_EVENTS) & (got.ci_high < incidence)
        assert missed.mean() <= 0.025


def test_normal_quantile_is_the_normal_quantile() -> None:
    assert normal_quantile(0.95) == pytest.approx(1.959963984540054, rel=1e-15)
    assert normal_quantile(0.90) == pytest.approx(1.6448536269514722, rel=1e-15)
    for level in (0.0, 1.0, -0.1, 1.5):
        with pytest.raises(ValueError, match="level"):
            normal_quantile(level)


def test_loglog_and_cloglog_mirror_each_other() -> None:
    p, se = np.array([0.0398, 0.3, 0.9]), np.array([0.0078, 0.05, 0.03])
    low, high = limits(p, se, interval="cloglog")
    mirrored_low, mirrored_high = limits(1 - p, se, interval="loglog")
    np.testing.assert_allclose(low, 1 - mirrored_high, rtol=1e-12)
    np.testing.assert_allclose(high, 1 - mirrored_low, rtol=1e-12)
    assert np.all(np.abs(low - limits(p, se, interval="loglog")[0]) > 1e-4)
