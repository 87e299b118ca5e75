"""Parametric regression of interval-censored times: R's survreg, closed forms, and degenerate data."""

from __future__ import annotations

import numpy as np
import pytest
from estimators_reference import Check, shared_checks

from cmvsim.core.records import Status
from cmvsim.estimators import interval_regression

CHECKS = [c for c in shared_checks() if c.estimator == "interval_parametric"]
LAWS = ("weibull", "exponential", "lognormal", "loglogistic")


@pytest.mark.parametrize(
    "check", CHECKS or [pytest.param(None, marks=pytest.mark.skip(reason="no shared references here"))], ids=str
)
def test_agrees_with_survreg(check: Check) -> None:
    lower, upper = check.rows["lower"], check.rows["upper"]
    high = np.array([np.inf if str(u) == "NA" else float(u) for u in upper])
    x = np.column_stack([np.ones(high.size), check.rows["treat"] == 2])
    fit = interval_regression(lower, high, x, distribution=check.args["dist"])
    want = check.expected
    assert fit.status == Status.OK
    np.testing.assert_allclose(fit.coef, want["coef"], rtol=check.rtol)
    np.testing.assert_allclose(fit.scale, want["scale"], rtol=check.rtol)
    np.testing.assert_allclose(fit.loglik, want["loglik"][1], rtol=check.rtol)
    np.testing.assert_allclose(fit.covariance, want["vcov"], rtol=check.rtol, atol=1e-9)


def test_exact_exponential_times_have_a_closed_form() -> None:
    times = np.array([1.0, 2.0, 4.0, 9.0])
    fit = interval_regression(times, times, np.ones((4, 1)), distribution="exponential")
    assert fit.coef[0] == pytest.approx(np.log(times.mean()))
    assert fit.covariance[0, 0] == pytest.approx(1 / 4)
    assert fit.loglik == pytest.approx(-4 * np.log(times.mean()) - 4)
    censored = interval_regression(
        [1.0, 2.0, 4.0, 9.0], [1.0, 2.0, np.inf, np.inf], np.ones((4, 1)), distribution="exponential"
    )
    assert censored.coef[0] == pytest.approx(np.log(16 / 2))


def test_exact_lognormal_times_are_a_linear_model() -> None:
    rng = np.random.default_rng(3)
    x = np.column_stack([np.ones(50), rng.standard_normal(50)])
    times = np.exp(x @ [1.0, 0.5] + 0.7 * rng.standard_normal(50))
    fit = interval_regression(times, times, x, distribution="lognormal")
    want, residual, *_ = np.linalg.lstsq(x, np.log(times), rcond=None)
    np.testing.assert_allclose(fit.coef, want, rtol=1e-8)
    assert fit.scale == pytest.approx(np.sqrt(residual[0] / 50), rel=1e-8)


@pytest.mark.parametrize("law", LAWS)
def test_score_and_information_are_the_derivatives(law: str) -> None:
    """Every kind of interval at once, against central differences of the likelihood."""
    from cmvsim.estimators.interval_parametric import _likelihood

    low, high = np.array([0.0, 1.0, 2.0, 3.0, 4.0]), np.array([2.0, 3.0, np.inf, 3.0, 9.0])
    with np.errstate(divide="ignore"):
        ends = np.log(low), np.log(high)
    x = np.column_stack([np.ones(5), [0.0, 1.0, 0.0, 1.0, 2.0]])
    theta = np.array([0.8, 0.1, -0.2])
    _, score, information = _likelihood(theta, ends, x, law)  # type: ignore[arg-type]
    h = 1e-6
    for a in range(3):
        up, down = theta.copy(), theta.copy()
        up[a] += h
        down[a] -= h
        (value_up, score_up, _), (value_down, score_down, _) = (_likelihood(t, ends, x, law) for t in (up, down))  # type: ignore[arg-type]
        assert score[a] == pytest.approx((value_up - value_down) / (2 * h), rel=1e-6, abs=1e-7)
        np.testing.assert_allclose(-information[a], (score_up - score_down) / (2 * h), rtol=1e-5, atol=1e-6)


def test_degenerate_data_have_a_status() -> None:
    assert interval_regression([np.nan], [1.0], [[1.0]]).status == Status.EMPTY
    twice = interval_regression([1.0, 2.0, 3.0], [2.0, 4.0, 9.0], np.ones((3, 2)))
    assert twice.status in (Status.NOT_ESTIMABLE, Status.NOT_CONVERGED)
    assert np.isnan(twice.coef).all()
    nobody = interval_regression([1.0, 2.0], [np.inf, np.inf], np.ones((2, 1)))
    assert nobody.status in (Status.NOT_ESTIMABLE, Status.NOT_CONVERGED)
    with pytest.raises(ValueError, match="interval"):
        interval_regression([3.0], [2.0], [[1.0]])
    with pytest.raises(ValueError, match="allowed: weibull"):
        interval_regression([1.0], [2.0], [[1.0]], distribution="gamma")  # type: ignore[arg-type]
