"""The crossing of a nested curve and its interval, on curves whose crossing is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planning_twins import coverage, nested, pav, true_crossing, wavering

from cmvsim.planning.search import crossing_of, find_crossing, isotonic


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 50).map(lambda k: k / 50), min_size=1, max_size=40))
def test_isotonic_is_pool_adjacent_violators(values: list[float]) -> None:
    fitted = isotonic(np.array(values))
    np.testing.assert_allclose(fitted, pav(values), atol=1e-12)
    assert np.all(np.diff(fitted) >= -1e-15)
    assert fitted.mean() == pytest.approx(np.mean(values))


def test_isotonic_works_along_the_last_axis() -> None:
    values = np.random.default_rng(1).random((3, 4, 7))
    fitted = isotonic(values)
    assert fitted.shape == values.shape
    for index in np.ndindex(3, 4):
        np.testing.assert_allclose(fitted[index], pav(values[index]), atol=1e-12)


@pytest.mark.parametrize(
    ("curve", "target", "at"),
    [
        ([0.1, 0.5, 0.9], 0.7, 25.0),
        ([0.1, 0.5, 0.9], 0.5, 20.0),
        ([0.8, 0.8, 0.9], 0.8, 10.0),
        ([0.9, 0.9, 0.9], 0.8, 10.0),
        ([0.1, 0.8, 0.8], 0.8, 20.0),
        ([0.0, 0.0, 1.0], 0.8, 28.0),
    ],
)
def test_crossing_by_hand(curve: list[float], target: float, at: float) -> None:
    assert crossing_of(np.array([10.0, 20.0, 30.0]), np.array(curve), target) == pytest.approx(at)


def test_a_curve_below_the_target_does_not_cross() -> None:
    assert np.isnan(crossing_of(np.array([10.0, 20.0]), np.array([0.1, 0.7]), 0.8))
    met = nested(250, 20)(np.random.default_rng(1), 500, np.arange(150.0, 250.0, 5))
    assert find_crossing(range(150, 250, 5), met, 0.8, seed=1) is None


def verdict(covered: float, repetitions: int) -> bool:
    """Not significantly below 95%; above it no more than an honest interval may be (monotone fits are narrower)."""
    mcse = np.sqrt(0.95 * 0.05 / repetitions)
    return bool(0.95 - 3 * mcse <= covered <= 0.985)


@pytest.mark.parametrize(
    ("sd", "grid", "target", "replicates"),
    [(20.0, range(200, 301, 2), 0.8, 400), (12.0, range(220, 281), 0.8, 1000), (12.0, range(220, 281, 2), 0.5, 400)],
)
def test_the_probit_interval_covers_on_a_perfectly_nested_curve(sd: float, grid: range, target: float, replicates: int) -> None:
    repetitions = 1000
    truth = true_crossing(250, sd, grid, target)
    covered, found, methods = coverage(nested(250, sd), truth, grid, target, replicates, repetitions, seed=11)
    assert methods == {"binomial error over the slope of a probit in sqrt(N)"}
    assert verdict(covered, repetitions), f"covers {covered:.3f}"
    # Bias: within 4 MCSE of 0 plus a tenth of the error of one search.
    assert abs(found.mean() - truth) <= 4 * found.std(ddof=1) / np.sqrt(repetitions) + 0.1 * found.std(ddof=1)


def test_the_interval_covers_when_replicates_waver() -> None:
    grid = range(215, 291, 2)
    truth = true_crossing(250, float(np.hypot(12, 6)), grid, 0.8)
    covered, found, _ = coverage(wavering(250, 12, 6), truth, grid, 0.8, 500, 600, seed=5)
    assert verdict(covered, 600), f"covers {covered:.3f}"
    assert abs(found.mean() - truth) <= 0.1 * found.std(ddof=1) + 4 * found.std(ddof=1) / np.sqrt(600)


@pytest.mark.parametrize(("sd", "grid"), [(3.0, range(220, 281, 5)), (0.8, range(240, 260))])
def test_the_bootstrap_interval_covers_on_steep_curves(sd: float, grid: range) -> None:
    repetitions = 60
    truth = true_crossing(250, sd, grid, 0.8)
    covered, found, methods = coverage(nested(250, sd), truth, grid, 0.8, 300, repetitions, seed=3)
    assert methods == {"bootstrap of whole replicates"}
    assert covered >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / repetitions), f"covers {covered:.3f}"
    assert abs(found.mean() - truth) <= 0.1 * found.std(ddof=1) + 4 * found.std(ddof=1) / np.sqrt(repetitions)


@pytest.mark.parametrize("covered", [0.40, 0.80, 0.88, 1.0])
def test_the_verdict_rejects_intervals_that_are_too_sure_or_never_wrong(covered: float) -> None:
    assert not verdict(covered, 1000)


def test_more_replicates_narrow_the_interval_as_one_over_root() -> None:
    grid = range(215, 291, 2)
    rng = np.random.default_rng(2)
    width = []
    for replicates in (1000, 16_000):
        crossing = find_crossing(grid, nested(250, 15)(rng, replicates, np.asarray(grid, dtype=float)), 0.8, seed=1)
        assert crossing is not None
        width.append(crossing.high - crossing.low)
    assert width[0] / width[1] == pytest.approx(4.0, rel=0.2)


def test_the_seed_matters_to_the_bootstrap_alone() -> None:
    grid = range(240, 260)
    met = nested(250, 0.8)(np.random.default_rng(4), 200, np.asarray(grid, dtype=float))
    first, again, other = (find_crossing(grid, met, 0.8, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first is not None
    assert other is not None
    assert first.n == other.n
    assert (first.low, first.high) != (other.low, other.high)
