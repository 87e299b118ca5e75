"""Each MCSE against the true sampling error, known in closed form; wrong formulas must be told apart.

For every figure, the MCSE averaged over many repetitions must agree with the closed form of its standard
error, and a stated wrong value must not. The tolerance is k times the simulated error of that average, plus a
stated bias where the formula is asymptotic.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from cmvsim.core.records import FloatArray, Status
from cmvsim.montecarlo import mcse
from cmvsim.montecarlo.mcse import Summary

K = 4.0
N = 2000
REPEATS = 400


def all_ok(n: int) -> FloatArray:
    return np.full(n, float(Status.OK))


def repeat(draw: Callable[[np.random.Generator], Summary]) -> tuple[FloatArray, FloatArray]:
    """Values and MCSEs over independent repetitions."""
    rng = np.random.default_rng(20240611)
    summaries = [draw(rng) for _ in range(REPEATS)]
    return np.array([s.value for s in summaries]), np.array([s.mcse for s in summaries])


def agrees(sample: FloatArray, expected: float, bias: float = 0.0) -> bool:
    error = sample.std(ddof=1) / math.sqrt(sample.size)
    return bool(abs(sample.mean() - expected) < K * error + bias * expected)


def test_mean_of_an_exponential() -> None:
    values, errors = repeat(lambda rng: mcse.mean(rng.standard_exponential(N), all_ok(N)))
    assert agrees(values, 1.0)
    assert agrees(errors, 1 / math.sqrt(N), bias=1e-3)
    assert not agrees(errors, 1 / math.sqrt(N - 100), bias=1e-3)


def test_proportion() -> None:
    p = 0.1
    values, errors = repeat(lambda rng: mcse.proportion(rng.random(N) < p, all_ok(N)))
    exact = math.sqrt(p * (1 - p) / N)
    assert agrees(values, p)
    assert agrees(errors, exact, bias=3e-3)
    assert not agrees(errors, math.sqrt(0.12 * 0.88 / N), bias=3e-3)
    assert abs(values.std(ddof=1) / exact - 1) < K / math.sqrt(2 * REPEATS)


@pytest.mark.parametrize("share", [0, 1])
def test_proportion_at_the_edge_claims_no_certainty(share: int) -> None:
    figure = mcse.proportion(np.full(N, bool(share)), all_ok(N))
    # Half-width of Wilson's interval (0, z^2/(n + z^2)), over z.
    z = stats.norm.ppf(0.975)
    assert figure.value == share
    assert figure.mcse == pytest.approx(z / (N + z**2) / 2, rel=1e-12)


def test_wilson_matches_an_independent_implementation() -> None:
    interval = stats.binomtest(37, 200).proportion_ci(method="wilson")
    half_width = (interval.high - interval.low) / 2
    assert mcse.wilson_se(37 / 200, 200) * stats.norm.ppf(0.975) == pytest.approx(half_width, rel=1e-12)


@pytest.mark.parametrize("level", [0.5, 0.8])
def test_quantile_of_an_exponential(level: float) -> None:
    values, errors = repeat(lambda rng: mcse.quantile(rng.standard_exponential(N), all_ok(N), level))
    truth = -math.log1p(-level)
    exact = math.sqrt(level * (1 - level) / N) / (1 - level)  # sqrt(q(1-q)/n) / density at the quantile
    assert agrees(values, truth, bias=1e-3)
    assert agrees(errors, exact, bias=0.03)  # whole ranks make the interval up to two ranks too wide
    assert not agrees(errors, exact * (1 - level), bias=0.03)  # the density left out
    assert abs(values.std(ddof=1) / exact - 1) < K / math.sqrt(2 * REPEATS)


def test_quantile_interval_ranks() -> None:
    """n=100, median: the binomial ranks are 40 and 61, the textbook's 95% interval."""
    figure = mcse.quantile(np.random.default_rng(1).permutation(np.arange(1.0, 101.0)), all_ok(100), 0.5)
    assert figure.value == 50
    assert figure.mcse == pytest.approx((61 - 40) / (2 * stats.norm.ppf(0.975)), rel=1e-12)


def test_quantile_beyond_the_sample_has_no_error() -> None:
    assert math.isnan(mcse.quantile(np.arange(20.0), all_ok(20), 0.99).mcse)
    infinite = np.where(np.arange(1000) < 100, np.inf, np.arange(1000.0))
    assert math.isfinite(mcse.quantile(infinite, all_ok(1000), 0.5).mcse)


def test_standard_deviation_of_normal_and_exponential() -> None:
    values, errors = repeat(lambda rng: mcse.standard_deviation(rng.standard_normal(N), all_ok(N)))
    assert agrees(values, 1.0, bias=1e-3)
    assert agrees(errors, 1 / math.sqrt(2 * (N - 1)), bias=2e-3)
    _, errors = repeat(lambda rng: mcse.standard_deviation(rng.standard_exponential(N), all_ok(N)))
    # Kurtosis 9: Var(s^2) = 8/n, SE(s) = sqrt(2/n), twice the normal formula.
    assert agrees(errors, math.sqrt(2 / N), bias=0.03)
    assert not agrees(errors, 1 / math.sqrt(2 * (N - 1)), bias=0.03)


def test_root_mean_square() -> None:
    values, errors = repeat(lambda rng: mcse.root_mean_square(rng.random(N), all_ok(N)))
    # U^2 has mean 1/3 and variance 4/45.
    exact = math.sqrt(4 / 45 / (4 * N / 3))
    assert agrees(values, math.sqrt(1 / 3), bias=1e-3)
    assert agrees(errors, exact, bias=2e-3)
    assert not agrees(errors, 2 * exact, bias=2e-3)


@pytest.mark.parametrize("n", [64 * 32, 64 * 31 + 10])
def test_ratio_of_correlated_means(n: int) -> None:
    def draw(rng: np.random.Generator) -> Summary:
        denominator = 1 + rng.standard_exponential(n)
        return mcse.ratio(0.5 * denominator + rng.standard_normal(n), denominator, all_ok(n))

    values, errors = repeat(draw)
    exact = 1 / (2 * math.sqrt(n))  # the residual numerator - denominator/2 is N(0, 1); the denominator's mean is 2
    assert agrees(values, 0.5)
    assert agrees(errors, exact, bias=0.02)  # the mean of a root of a variance on 31 degrees of freedom is 0.8% low
    independent = math.sqrt(1.25 + 0.25) / (2 * math.sqrt(n))  # the correlation ignored
    assert not agrees(errors, independent, bias=0.02)


def test_relative_se_error() -> None:
    def draw(rng: np.random.Generator) -> Summary:
        return mcse.relative_se_error(100 + rng.standard_normal(N), np.full(N, 1.2), all_ok(N))

    values, errors = repeat(draw)
    exact = 1.2 / math.sqrt(2 * (N - 1))  # Morris, table 6, with a constant model SE
    assert agrees(values, 0.2, bias=5e-3)
    assert agrees(errors, exact, bias=0.02)
    assert not agrees(errors, exact / 1.2, bias=0.02)


def test_failed_replicates_in_counts_and_denominators() -> None:
    column = np.array([1.0, 3.0, np.nan, 5.0, 9.0])
    status = np.array([Status.OK, Status.NO_EVENTS, Status.OK, Status.ALL_EVENTS, Status.RAISED], dtype=float)
    figure = mcse.mean(column, status)
    assert (figure.value, figure.n_ok, figure.n_failed) == (3.0, 3, 2)
    met = np.array([True, True, False, False, True])
    assert mcse.proportion(met, status).value == pytest.approx(2 / 5)
    assert mcse.proportion(met, status, among="usable").value == pytest.approx(2 / 4)
    assert mcse.proportion(met, status).n_failed == 1
    assert mcse.ratio(column, column * 2, status).value == pytest.approx(0.5)
    assert mcse.quantile(column, status, 0.5).value == 3.0
    assert mcse.standard_deviation(column, status).value == pytest.approx(2.0)


def test_nothing_usable_is_nan_not_zero() -> None:
    column, status = np.full(100, np.nan), np.full(100, float(Status.NOT_CONVERGED))
    figures = [
        mcse.mean(column, status),
        mcse.quantile(column, status, 0.5),
        mcse.standard_deviation(column, status),
        mcse.root_mean_square(column, status),
        mcse.ratio(column, column, status),
        mcse.relative_se_error(column, column, status),
        mcse.proportion(column > 0, status, among="usable"),
    ]
    assert all(math.isnan(figure.value) and math.isnan(figure.mcse) for figure in figures)
    assert all((figure.n_ok, figure.n_failed) == (0, 100) for figure in figures)
    assert mcse.proportion(column > 0, status).value == 0.0
