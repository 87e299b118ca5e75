"""Interval-censored times: npsurv's and survfit's numbers, optimality, special cases with closed forms, edges."""

from __future__ import annotations

import numpy as np
import pytest
from estimators_reference import Check
from longitudinal_reference import cases, cosmesis
from regression_reference import close

from cmvsim.core.records import Status
from cmvsim.estimators import interval_censored, survival_curve

REFERENCE = [c for c in cases("16") if c.estimator == "turnbull_npmle"]
INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize("check", REFERENCE, ids=str)
def test_independent_agrees_with_npsurv_and_survfit(check: Check) -> None:
    arm = check.args["treat"]
    got = interval_censored(*cosmesis(check, arm))
    expected = check.expected
    assert got.status == Status.OK
    if "p" in expected:
        np.testing.assert_array_equal(got.left, expected["left"])
        np.testing.assert_array_equal(got.right, expected["right"])
        close(check, got.mass, expected["p"])
        close(check, got.loglik, expected["loglik"], 1e-10)
        return
    # survfit stops its EM early and puts an interval's mass on its middle
    middle = (got.left + got.right) / 2
    survival = [1 - got.mass[middle <= t + 1e-9].sum() for t in expected["time"]]
    close(check, survival, expected["surv"])


def _intervals(seed: int, n: int = 60):
    """Visits on some of 12 days: gaps around a time, right-censored after the last, some exact."""
    rng = np.random.default_rng(seed)
    time = rng.weibull(1.5, n) * 8
    left, right = np.zeros(n), np.full(n, INF)
    for i in range(n):
        visits = np.sort(rng.choice(np.arange(1, 13), rng.integers(1, 6), replace=False)).astype(float)
        before, after = visits[visits < time[i]], visits[visits >= time[i]]
        left[i] = before.max() if before.size else 0.0
        right[i] = after.min() if after.size else INF
        if rng.random() < 0.15:
            left[i] = right[i] = np.ceil(time[i])
    return left, right


@pytest.mark.parametrize("seed", range(6))
def test_optimality_and_a_long_em(seed: int) -> None:
    left, right = _intervals(seed)
    got = interval_censored(left, right)
    assert got.status == Status.OK
    assert got.violation < 1e-10
    assert got.mass.sum() == pytest.approx(1.0)
    # candidate places: half-days and days tell (L, R] from L and from beyond R
    places = np.unique(np.r_[left, right, left + 0.25])
    places = places[np.isfinite(places)]
    places = np.r_[places, 1e6]
    exact = left == right
    can = np.where(exact[:, None], places == left[:, None], (places > left[:, None]) & (places <= right[:, None]))
    can = can[:, can.any(axis=0)].astype(float)
    mass = np.full(can.shape[1], 1 / can.shape[1])
    for _ in range(10000):
        mass *= (can / (can @ mass)[:, None]).mean(axis=0)
    assert got.loglik == pytest.approx(np.log(can @ mass).sum(), abs=1e-3)
    assert got.loglik >= np.log(can @ mass).sum() - 1e-9


def test_closed_form_exact_times_are_the_empirical_distribution() -> None:
    time = np.array([3.0, 1.0, 3.0, 7.0])
    got = interval_censored(time, time)
    np.testing.assert_array_equal(got.left, [1, 3, 7])
    np.testing.assert_allclose(got.mass, [0.25, 0.5, 0.25], rtol=1e-9)
    np.testing.assert_allclose(got.incidence([0.5, 1.0, 3.0, 9.0]), [[0, 0.25, 0.75, 1.0]] * 2, atol=1e-9)


def test_closed_form_right_censoring_is_kaplan_meier() -> None:
    rng = np.random.default_rng(1)
    time = rng.integers(1, 12, 50).astype(float)
    event = rng.random(50) < 0.6
    got = interval_censored(time, np.where(event, time, INF))
    curve = survival_curve(time, event.astype(int), np.arange(1.0, 11.0))
    low, high = got.incidence(np.arange(1.0, 11.0))
    np.testing.assert_allclose(low, 1 - curve.estimate, atol=1e-8)
    np.testing.assert_allclose(high[:-1], low[:-1], atol=1e-8)


def test_closed_form_current_status_is_isotonic_regression() -> None:
    from scipy.optimize import isotonic_regression

    rng = np.random.default_rng(2)
    visit = rng.integers(1, 9, 200).astype(float)
    positive = rng.random(200) < visit / 12
    got = interval_censored(np.where(positive, 0.0, visit), np.where(positive, visit, INF))
    days = np.unique(visit)
    share = np.array([positive[visit == d].mean() for d in days])
    count = np.array([(visit == d).sum() for d in days])
    np.testing.assert_allclose(got.incidence(days)[0], isotonic_regression(share, weights=count).x, atol=1e-8)


def test_bounds_count_the_mass_of_a_straddling_interval_out_and_in() -> None:
    # 2 of 4 in (5, 10], one exactly on day 8, one never seen after day 9
    got = interval_censored([5.0, 5.0, 8.0, 9.0], [10.0, 10.0, 8.0, INF])
    low, high = got.incidence([7.0, 8.0, 9.0, 10.0, 100.0])
    assert (low <= high).all()
    assert low[0] == 0.0
    assert high[-1] == pytest.approx(1.0)
    both = interval_censored([5.0, 5.0], [10.0, 10.0]).incidence([5.0, 7.0, 10.0])
    np.testing.assert_array_equal(both, [[0, 0, 1], [0, 1, 1]])


def test_weights_are_copies_and_order_does_not_matter() -> None:
    left, right = _intervals(7)
    weight = np.random.default_rng(8).integers(0, 4, left.size)
    one = interval_censored(left, right, weights=weight)
    two = interval_censored(np.repeat(left, weight)[::-1], np.repeat(right, weight)[::-1])
    np.testing.assert_allclose(one.incidence(np.arange(12.0)), two.incidence(np.arange(12.0)), atol=1e-8)
    assert one.loglik == pytest.approx(two.loglik)
    assert one.n == (weight > 0).sum()


def test_degenerate() -> None:
    empty = interval_censored([NAN, 5.0], [1.0, 4.0])
    assert (empty.status, empty.n) == (Status.EMPTY, 0)
    assert np.isnan(empty.incidence(3.0)).all()
    nobody = interval_censored([5.0, 9.0], [INF, INF])
    assert nobody.status == Status.OK
    assert nobody.incidence(9.0) == (0.0, 0.0)
    assert nobody.incidence(10.0) == (0.0, 1.0)
    assert interval_censored(*_intervals(9), max_iterations=1).status == Status.NOT_CONVERGED
    with pytest.raises(ValueError, match="left and right"):
        interval_censored([1.0], [1.0, 2.0])
