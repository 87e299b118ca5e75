"""Estimating equations: geepack's numbers, dense twins of every variance, statsmodels, coverage, edges."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from estimators_reference import Check
from longitudinal_reference import cases, pigs
from regression_reference import close

from cmvsim.core.records import Status
from cmvsim.estimators import gee, gee_working

REFERENCE = [c for c in cases("44") if c.estimator == "gee"]
NAN = float("nan")


@pytest.mark.parametrize("check", REFERENCE, ids=str)
def test_independent_agrees_with_geepack(check: Check) -> None:
    weight, x = pigs(check)
    expected = check.expected
    structure = check.args["corstr"]
    fits = [gee_working(weight, x, structure=structure)]
    if structure == "independence":
        fits.append(gee(weight[None], x, effects="none"))
        fits.append(gee(weight[None], x[:, :, 1:], effects="intercept"))
    for fit in fits:
        rtol = 1e-8 if structure == "independence" else None
        close(check, fit.coef[0], expected["coef"], rtol)
        close(check, fit.se[0], expected["robust_se"], rtol)
        close(check, fit.scale[0], expected["scale"], rtol)
        if structure != "independence":
            close(check, fit.correlation[0], expected["alpha"])


def _data(seed: int, replicates: int = 3, n: int = 14, visits: int = 5):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(replicates, n, visits, 2))
    x[..., 0] = np.sort(rng.random(x.shape[:3]), axis=2) > 0.6
    y = rng.normal(size=(replicates, n, 1)) + rng.normal(size=x.shape[:3]) + x[..., 0]
    y[rng.random(y.shape) < 0.2] = NAN
    x[rng.random(x.shape) < 0.02] = NAN
    return y, x


def _twin(y, x, effects: str, correction: str):
    """Dense design, matrix by matrix."""
    n, visits = y.shape
    columns = {"visit": np.eye(visits), "intercept": np.ones((visits, 1)), "none": np.empty((visits, 0))}[effects]
    X = np.concatenate([np.broadcast_to(columns, (n, *columns.shape)), x], axis=2)
    used = np.isfinite(y) & np.isfinite(x).all(axis=2)
    A = sum(X[i, used[i]].T @ X[i, used[i]] for i in range(n))
    B = np.linalg.inv(A)
    beta = B @ sum(X[i, used[i]].T @ y[i, used[i]] for i in range(n))
    meat = np.zeros_like(A)
    for i in range(n):
        Xi, e = X[i, used[i]], y[i, used[i]] - X[i, used[i]] @ beta
        if correction == "mancl-derouen":
            e = np.linalg.solve(np.eye(e.size) - Xi @ B @ Xi.T, e)
        U = Xi.T @ e
        if correction == "fay-graubard":
            U = U / np.sqrt(1 - np.minimum(0.75, np.diag(Xi.T @ Xi @ B)))
        meat += np.outer(U, U)
    return beta, B @ meat @ B


@pytest.mark.parametrize("effects", ["visit", "intercept", "none"])
@pytest.mark.parametrize("correction", ["none", "mancl-derouen", "fay-graubard"])
def test_plain_twin(effects: str, correction: str) -> None:
    y, x = _data(1)
    got = gee(y, x, effects=effects, correction=correction)
    assert (got.status == Status.OK).all()
    for r in range(y.shape[0]):
        beta, covariance = _twin(y[r], x[r], effects, correction)
        np.testing.assert_allclose(got.coef[r], beta, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(got.covariance[r], covariance, rtol=1e-8, atol=1e-12)


def test_independent_agrees_with_statsmodels() -> None:
    from statsmodels.genmod.cov_struct import Exchangeable
    from statsmodels.genmod.generalized_estimating_equations import GEE

    y, x = _data(2, n=40)
    used = np.isfinite(y[0]) & np.isfinite(x[0]).all(axis=2)
    patient = np.broadcast_to(np.arange(40)[:, None], used.shape)[used]
    design = np.c_[np.ones(used.sum()), x[0][used]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = GEE(y[0][used], design, groups=patient).fit(cov_type="bias_reduced")
        # its moment estimators differ in degrees of freedom: the correlation's second digit, the coefficients' fourth
        loose = GEE(y[0][used], design, groups=patient, cov_struct=Exchangeable()).fit()
    got = gee(y[:1], x[:1], effects="intercept", correction="mancl-derouen")
    np.testing.assert_allclose(got.coef[0], peer.params, rtol=1e-8)
    np.testing.assert_allclose(got.se[0], peer.bse, rtol=1e-8)
    ones = np.ones((40, 5, 1))
    near = gee_working(y[0], np.concatenate([ones, x[0]], axis=2))
    np.testing.assert_allclose(near.coef[0], loose.params, rtol=2e-2, atol=5e-3)
    np.testing.assert_allclose(near.se[0], loose.bse, rtol=2e-2)


def test_closed_form_one_visit_is_least_squares_with_hc0() -> None:
    rng = np.random.default_rng(3)
    y, group = rng.normal(size=(1, 30, 1)), (np.arange(30) % 3 == 0)[None, :, None, None].astype(float)
    got = gee(y, group)
    a, b = y[0, :, 0][group.ravel() == 1], y[0, :, 0][group.ravel() == 0]
    assert got.coef[0, 1] == pytest.approx(a.mean() - b.mean())
    assert got.se[0, 1] == pytest.approx(np.sqrt(a.var() / a.size + b.var() / b.size))
    corrected = gee(y, group, correction="mancl-derouen", reference="t")
    assert corrected.se[0, 1] == pytest.approx(
        np.sqrt(a.var() * a.size / (a.size - 1) ** 2 + b.var() * b.size / (b.size - 1) ** 2)
    )
    from scipy.stats import t

    assert corrected.ci_high[0, 1] == pytest.approx(corrected.coef[0, 1] + t.ppf(0.975, 28) * corrected.se[0, 1])
    assert corrected.p_value[0, 1] == pytest.approx(2 * t.sf(abs(corrected.coef[0, 1] / corrected.se[0, 1]), 28))


def test_working_correlation_none_is_independence_and_gaps_count_by_time() -> None:
    y, x = _data(4, replicates=1, n=30)
    x = np.nan_to_num(x)
    plain = gee(y, x, effects="none")
    np.testing.assert_allclose(gee_working(y[0], x[0], structure="independence").se[0], plain.se[0], rtol=1e-10)
    # visits twice as far apart: the correlation per unit of time is the square root
    one = gee_working(y[0], x[0], structure="ar1")
    two = gee_working(y[0], x[0], structure="ar1", times=2 * np.arange(5.0))
    assert two.correlation[0] ** 2 == pytest.approx(one.correlation[0], rel=1e-6)
    np.testing.assert_allclose(two.coef, one.coef, rtol=1e-6)


def test_statistical_coverage_with_drop_out_and_a_time_dependent_covariate() -> None:
    rng = np.random.default_rng(5)
    replicates, n, visits = 800, 50, 6
    baseline = rng.normal(size=(replicates, n, 1))
    onset = rng.exponential(6.0, baseline.shape)
    cmv = (onset <= np.arange(visits)).astype(float)
    y = 0.5 * baseline + 0.7 * rng.normal(size=baseline.shape) + 0.5 * rng.normal(size=cmv.shape) - 0.3 * cmv
    y += 0.1 * np.arange(visits)
    y = np.where(rng.exponential(8.0, baseline.shape) < np.arange(visits), NAN, y)
    x = np.stack([np.broadcast_to(baseline, cmv.shape), cmv], axis=-1)
    got = gee(y, x, correction="mancl-derouen", reference="t").term(1)
    assert (got.status == Status.OK).all()
    np.testing.assert_allclose(got.estimate.mean(), -0.3, atol=4 * got.estimate.std() / np.sqrt(replicates))
    covered = ((got.ci_low <= -0.3) & (got.ci_high >= -0.3)).mean()
    assert 0.93 < covered < 0.98
    naive = gee(y, x)
    # visits of a patient are alike: the model's own standard error is far too small
    assert naive.model_se[:, -1].mean() < 0.8 * got.estimate.std()


def test_degenerate_statuses() -> None:
    y, x = _data(6, replicates=7, n=14)
    x = np.nan_to_num(x)
    y[1] = NAN
    x[2, :, :, 1] = x[2, :, :, 0]  # the same column twice
    x[3, :, :, 0] = 0.0
    x[3, 4, 2:, 0] = 1.0  # one patient with the exposure
    y[3, 4] = 1.0
    y[4] = 0.7  # nothing varies
    y[5, 6:] = NAN  # as many patients as columns
    y[6, 1:, 4] = NAN
    y[6, 0, 4] = 3.0  # the last visit of a single patient
    for correction in ("none", "mancl-derouen", "fay-graubard"):
        got = gee(y, x, correction=correction)
        expected = [Status.OK, Status.EMPTY, *[Status.NOT_ESTIMABLE] * 4, Status.OK]
        assert got.status.tolist() == expected, correction
        assert np.isnan(got.coef[1:6]).all()
        assert np.isnan(got.coef[6, 4])
        assert np.isfinite(got.se[6, [0, 1, 2, 3, 5, 6]]).all()
    np.testing.assert_allclose(got.coef[6, -2:], gee(y[6:, :, :4], x[6:, :, :4]).coef[0, -2:])
    ones = np.ones((*y.shape[1:], 1))
    for r, status in enumerate(expected[:3]):
        assert gee_working(y[r], np.concatenate([ones, x[r]], axis=2)).status[0] == status
    assert gee_working(np.full((9, 3), 2.0), np.ones((9, 3, 1))).status[0] == Status.NOT_ESTIMABLE
    # neighbours that disagree have no autoregressive correlation above 0
    apart = np.tile([1.0, -1.0], (9, 2)) + np.linspace(0, 0.1, 9)[:, None]
    assert gee_working(apart, np.ones((9, 4, 1)), structure="ar1").status[0] == Status.NOT_CONVERGED


def test_mistakes_of_the_caller_raise() -> None:
    y, x = np.zeros((1, 3, 2)), np.zeros((1, 3, 2, 1))
    for options, message in (
        ({"effects": "time"}, "unknown effects"),
        ({"correction": "hc3"}, "unknown correction"),
        ({"reference": "z"}, "unknown reference"),
    ):
        with pytest.raises(ValueError, match=message):
            gee(y, x, **options)
    with pytest.raises(ValueError, match="outcome and covariates"):
        gee(y[0], x)
    with pytest.raises(ValueError, match="nothing to estimate"):
        gee(y, x[..., :0], effects="none")
    with pytest.raises(ValueError, match="unknown structure"):
        gee_working(y[0], x[0], structure="toeplitz")
    with pytest.raises(ValueError, match="one per visit"):
        gee_working(y[0], x[0], times=[1.0])
