"""Degenerate data give a status, never an exception or a silent number; mistakes of the caller raise."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from cmvsim.core.records import Status
from cmvsim.estimators import (
    aalen_johansen,
    cumulative_incidence_curve,
    kaplan_meier,
    limits,
    proportion,
    proportion_limits,
)
from cmvsim.estimators.intervals import INTERVALS, exact_margin

NAN = float("nan")


def _one(time, cause, horizon=90.0, **options):
    return aalen_johansen([time], [cause], horizon, **options)


def _row(got) -> tuple[float, float, float]:
    return float(got.estimate[0]), float(got.ci_low[0]), float(got.ci_high[0])


@pytest.mark.parametrize("options", [{}, {"weights": 1.0}, {"entry": -1.0}])
def test_nobody_entered(options) -> None:
    for got in (
        _one([5.0, 6.0], [-1, -1], **options),
        _one([NAN, NAN], [0, 1], **options),
        aalen_johansen(np.empty((1, 0)), np.empty((1, 0), dtype=int), 90, **options),
        kaplan_meier([[5.0]], [[-1]], 90, **options),
    ):
        assert got.status[0] == Status.EMPTY
        assert (got.n[0], got.events[0]) == (0, 0)
        assert np.isnan([*_row(got), got.se[0]]).all()


def test_no_replicates() -> None:
    got = aalen_johansen(np.empty((0, 5)), np.empty((0, 5), dtype=int), 90, nested=(2, 5))
    assert got.estimate.shape == (0, 2)


@pytest.mark.parametrize("interval", ["plain", "log", "loglog", "cloglog"])
def test_no_events_and_all_events_have_exact_limits_on_every_scale(interval: str) -> None:
    none = _one([90.0] * 10, [0] * 10, interval=interval)
    assert none.status[0] == Status.NO_EVENTS
    assert _row(none) == (0.0, 0.0, pytest.approx(1 - 0.025**0.1))
    everybody = _one([1.0, 2.0, 3.0], [1, 1, 1], interval=interval)
    assert everybody.status[0] == Status.ALL_EVENTS
    assert _row(everybody) == (1.0, pytest.approx(0.025 ** (1 / 3)), 1.0)


def test_an_estimate_of_one_is_one_whatever_the_rounding() -> None:
    time = np.arange(1.0, 51.0)
    cause = np.ones(50, dtype=int)
    cause[::9] = 0
    got = _one(time, cause)
    assert got.estimate[0] == 1.0
    assert got.status[0] == Status.ALL_EVENTS
    assert 0 < got.ci_low[0] < 1


def test_the_censored_earn_no_credit_without_competing_events() -> None:
    # 4 of 10 reach the horizon, one of them censored on the very day: the bound is that of 4 patients
    got = _one([10, 20, 30, 40, 50, 60, 90, 91, 92, 93.0], [0] * 10)
    assert got.ci_high[0] == pytest.approx(float(exact_margin(4)))
    # a competing event in place of one censoring: its outcome is known, the size lies between 5 and 10
    got = _one([10, 20, 30, 40, 50, 60, 90, 91, 92, 93.0], [2] + [0] * 9)
    assert float(exact_margin(10)) < got.ci_high[0] < float(exact_margin(4))


def test_everybody_censored_early() -> None:
    got = _one([10.0, 20.0, 30.0], [0, 0, 0])
    assert got.status[0] == Status.NO_EVENTS
    assert _row(got) == (0.0, 0.0, 1.0)
    # with an event before, the estimate at the last time stands
    got = _one([5.0, 20.0, 30.0, 40.0], [1, 0, 0, 0])
    assert got.estimate[0] == 0.25
    assert got.status[0] == Status.OK


def test_one_event_keeps_the_normal_approximation() -> None:
    got = _one([5.0] + [90.0] * 9, [1] + [0] * 9, variance="ij", interval="loglog")
    assert got.status[0] == Status.OK
    low, high = limits(0.1, np.sqrt(0.09 / 10), interval="loglog")
    assert _row(got) == pytest.approx((0.1, float(low), float(high)))


def test_events_at_zero_at_the_horizon_and_after() -> None:
    got = _one([0.0, 90.0, 90.0, 91.0], [1, 1, 0, 1])
    assert got.events[0] == 2
    assert got.estimate[0] == 0.5


def test_censoring_on_the_day_of_an_event_comes_after_it() -> None:
    assert _one([5.0, 5.0, 90.0], [0, 1, 0]).estimate[0] == pytest.approx(1 / 3)


def test_missing_patients_are_counted_out() -> None:
    got = _one([5.0, NAN, 7.0, 90.0, np.inf], [1, 1, -1, 0, 0])
    assert (got.n[0], got.events[0]) == (3, 1)
    assert got.estimate[0] == pytest.approx(1 / 3)


def test_entry_at_or_after_exit_and_weight_zero_are_not_in_the_analysis() -> None:
    got = _one([5.0, 8.0, 9.0, 90.0], [1, 1, 0, 0], entry=[[0.0, 8.0, 8.5, 2.0]])
    assert got.n[0] == 3
    assert got.estimate[0] == 0.5
    got = _one([5.0, 8.0, 90.0], [1, 1, 0], weights=[[1.0, 0.0, 1.0]])
    assert (got.n[0], got.estimate[0]) == (2, 0.5)


def test_kaplan_meier_edges() -> None:
    got = kaplan_meier([[90.0] * 4, [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 90.0, 90.0]], [[0] * 4, [1] * 4, [1, 0, 0, 0]], 90)
    np.testing.assert_array_equal(got.status, [Status.NO_EVENTS, Status.ALL_EVENTS, Status.OK])
    np.testing.assert_array_equal(got.estimate, [1.0, 0.0, 0.75])
    np.testing.assert_array_equal(got.se[:2], 0.0)
    np.testing.assert_allclose(got.ci_low[:2], [0.025**0.25, 0.0])
    np.testing.assert_allclose(got.ci_high[:2], [1.0, 1 - 0.025**0.25])


def test_limits_are_undefined_where_r_says_na() -> None:
    for interval in INTERVALS:
        low, high = limits([0.0, 1.0], 0.0, interval=interval)
        if interval == "plain":
            assert (low.tolist(), high.tolist()) == ([0.0, 1.0], [0.0, 1.0])
        else:
            assert np.isnan([low[0], high[0]]).all()
            assert interval == "log" or np.isnan([low[1], high[1]]).all()


@pytest.mark.parametrize("method", ["wilson", "clopper-pearson", "agresti-coull"])
def test_proportion_statuses_and_tables(method: str) -> None:
    got = proportion([0, 3, 10, 0], [10, 10, 10, 0], method=method)
    np.testing.assert_array_equal(got.status, [Status.NO_EVENTS, Status.OK, Status.ALL_EVENTS, Status.EMPTY])
    assert np.isnan([got.estimate[3], got.se[3], got.ci_low[3], got.ci_high[3]]).all()
    assert np.isfinite(got.ci_low[:3]).all()
    rng = np.random.Generator(np.random.PCG64(3))
    n = rng.integers(0, 12, 2000)
    x = (rng.random(2000) * (n + 1)).astype(int)
    for sizes in (n, np.full(2000, 12)):  # by the joint table, and by the table of one size
        low, high = proportion_limits(x, sizes, method=method)
        for i in range(0, 2000, 53):  # by the formula
            one = proportion_limits([x[i]], [sizes[i]], method=method)
            np.testing.assert_array_equal([low[i], high[i]], [one[0][0], one[1][0]])


def test_wilson_at_the_edges_is_exactly_zero_and_one() -> None:
    n = np.arange(1, 400)
    assert not proportion_limits(np.zeros(399, dtype=int), n)[0].any()
    assert (proportion_limits(n, n)[1] == 1.0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: _one([1.0], [0], variance="naive"), "unknown variance 'naive'; allowed: aalen"),
        (lambda: _one([1.0], [0], interval="wald"), "unknown interval 'wald'; allowed: plain"),
        (lambda: _one([1.0], [0], event=0), "event must be a cause"),
        (lambda: _one([1.0], [0], nested=(2,)), "between 0 and the 1 patients"),
        (lambda: _one([1.0, 2.0], [0, 0], nested=(2, 1)), "must ascend"),
        (lambda: aalen_johansen([1.0], [0], 9), "replicates, patients"),
        (lambda: cumulative_incidence_curve([1.0], [0], 3.0), "one-dimensional"),
        (lambda: kaplan_meier([[1.0]], [[0]], 9, interval="loglog"), "unknown interval 'loglog'"),
        (lambda: kaplan_meier([[1.0]], [[0]], 9, variance="aalen"), "unknown variance 'aalen'"),
        (lambda: proportion(3, 2), "between 0 and its n"),
        (lambda: proportion(1, 2, method="exact"), "unknown method 'exact'"),
        (lambda: proportion(1, 2, level=1.0), "level must be"),
    ],
)
def test_mistakes_of_the_caller_raise(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_importing_the_estimators_loads_neither_numba_nor_scipy() -> None:
    script = "import sys, cmvsim.estimators; sys.exit(any(m in sys.modules for m in ('numba', 'scipy')))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
