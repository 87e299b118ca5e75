"""Correlations and two samples: R's numbers, scipy, coverage, edges."""

from __future__ import annotations

import numpy as np
import pytest
from estimators_reference import Check
from regression_reference import checks, close
from scipy import stats

from cmvsim.core.records import Status
from cmvsim.estimators import kendall, pearson, rank_sum, spearman, welch
from cmvsim.estimators.association import mean_ranks

CORRELATIONS = ("spearman", "pearson", "point_biserial", "kendall")
COLUMNS = {"spearman_wt": ("age", "wt"), "point_biserial": ("sex", "wt")}


@pytest.mark.parametrize("check", checks(CORRELATIONS), ids=str)
def test_correlations_agree_with_r(check: Check) -> None:
    x, y = (check.rows[name] for name in COLUMNS.get(check.id, ("age", "karno")))
    function = {"spearman": spearman, "kendall": kendall}.get(check.estimator, pearson)
    if check.id == "constant_input":
        got = function(x, np.ones_like(x))
        assert got.status[0] == Status.NOT_ESTIMABLE
        assert np.isnan(got.estimate[0])
        return
    got, expected = function(np.tile(x, (2, 1)), y), check.expected
    for key, ours in (
        ("rho", got.estimate),
        ("r", got.estimate),
        ("tau", got.estimate),
        ("t", got.statistic),
        ("p", got.p_value),
    ):
        if key in expected:
            close(check, ours, [expected[key]] * 2)
    if "ci" in expected:
        close(check, [got.ci_low[0], got.ci_high[0]], expected["ci"])


@pytest.mark.parametrize("check", checks(("wilcoxon", "t_test")), ids=str)
def test_two_samples_agree_with_r(check: Check) -> None:
    values, expected = check.rows["wt"][None], check.expected
    group = np.unique(check.rows["sex"], return_inverse=True)[1]
    if check.estimator == "wilcoxon":
        got = rank_sum(values, group, exact=False, correction=False)
        close(check, [got.statistic[0], got.p_value[0]], [expected["W"], expected["p"]])
        return
    t = welch(values, group)
    close(check, [t.statistic[0], t.df[0], t.p_value[0]], [expected[k] for k in ("t", "df", "p")])
    close(check, [t.ci_low[0], t.ci_high[0]], expected["ci"])


def _pairs(seed: int, replicates: int = 12, n: int = 40, ties: bool = True):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(replicates, n))
    y = 0.5 * x + rng.normal(size=(replicates, n))
    if ties:
        x, y = np.round(x), np.round(2 * y) / 2
    x[rng.random(x.shape) < 0.1] = np.nan
    y[rng.random(x.shape) < 0.1] = np.nan
    return x, y


@pytest.mark.parametrize("ties", [False, True])
def test_independent_scipy_correlations(ties: bool) -> None:
    x, y = _pairs(1, ties=ties)
    ours = {f.__name__: f(x, y, level=0.9) for f in (pearson, spearman, kendall)}
    for r in range(x.shape[0]):
        whole = np.isfinite(x[r] + y[r])
        a, b = x[r, whole], y[r, whole]
        linear, monotone = stats.pearsonr(a, b), stats.spearmanr(a, b)
        tau = stats.kendalltau(a, b, method="asymptotic")
        for name, theirs in (("pearson", linear), ("spearman", monotone), ("kendall", tau)):
            got = ours[name]
            assert got.n[r] == whole.sum()
            np.testing.assert_allclose([got.estimate[r], got.p_value[r]], [theirs.statistic, theirs.pvalue], rtol=1e-8)
        limits = linear.confidence_interval(0.9)
        np.testing.assert_allclose([ours["pearson"].ci_low[r], ours["pearson"].ci_high[r]], limits, rtol=1e-9)
        np.testing.assert_allclose(mean_ranks(a[None])[0], stats.rankdata(a))


def test_closed_form_bonett_and_wright() -> None:
    x, y = _pairs(2)
    got, tau = spearman(x, y), kendall(x, y)
    np.testing.assert_allclose(got.se, np.sqrt((1 + got.estimate**2 / 2) / (got.n - 3)))
    np.testing.assert_allclose(tau.se, np.sqrt(0.437 / (tau.n - 4)))
    np.testing.assert_allclose(np.arctanh(got.ci_high), np.arctanh(got.estimate) + 1.9599639845 * got.se)


@pytest.mark.parametrize("function", [spearman, kendall])
def test_intervals_cover_under_normality(function) -> None:
    """3,000 samples of 60: coverage is known to 0.4 points; Pearson's standard error would lose 2 to 10."""
    rng, rho = np.random.default_rng(3), 0.7
    x = rng.normal(size=(3000, 60))
    y = rho * x + np.sqrt(1 - rho**2) * rng.normal(size=x.shape)
    truth = 6 / np.pi * np.arcsin(rho / 2) if function is spearman else 2 / np.pi * np.arcsin(rho)
    got = function(x, y)
    covered = np.mean((got.ci_low <= truth) & (truth <= got.ci_high))
    assert abs(covered - 0.95) < 0.016


@pytest.mark.parametrize("ties", [False, True])
def test_independent_scipy_two_samples(ties: bool) -> None:
    values, other = _pairs(4, ties=ties)
    group = np.where(np.isnan(other), -1, (np.nan_to_num(other) > 0.3).astype(int))
    exact, normal, t = rank_sum(values, group), rank_sum(values, group, exact=False), welch(values, group, level=0.8)
    for r in range(values.shape[0]):
        a, b = (values[r, (group[r] == g) & np.isfinite(values[r])] for g in (0, 1))
        theirs = stats.mannwhitneyu(a, b, method="asymptotic" if ties else "exact")
        np.testing.assert_allclose([exact.statistic[r], exact.p_value[r]], [theirs.statistic, theirs.pvalue], rtol=1e-9)
        assert exact.exact[r] == (not ties)
        theirs = stats.mannwhitneyu(a, b, method="asymptotic")
        np.testing.assert_allclose(normal.p_value[r], theirs.pvalue, rtol=1e-9)
        smaller = np.mean((a[:, None] < b) + 0.5 * (a[:, None] == b))
        np.testing.assert_allclose(exact.probability[r], smaller, rtol=1e-12)
        theirs = stats.ttest_ind(a, b, equal_var=False)
        np.testing.assert_allclose([t.statistic[r], t.p_value[r]], [theirs.statistic, theirs.pvalue], rtol=1e-9)
        limits = theirs.confidence_interval(0.8)
        np.testing.assert_allclose([t.ci_low[r], t.ci_high[r]], limits, rtol=1e-9)


def test_probability_limits_solve_newcombes_equation_and_cover() -> None:
    rng, shift = np.random.default_rng(5), 1.0
    values = rng.normal(size=(4000, 40)) + shift * (np.arange(40) >= 15)
    got = rank_sum(values, (np.arange(40) >= 15).astype(int))
    truth = stats.norm.cdf(shift / np.sqrt(2))
    covered = np.mean((got.ci_low <= truth) & (truth <= got.ci_high))
    assert abs(covered - 0.95) < 0.015
    inner = 20 - 1
    for limit in (got.ci_low, got.ci_high):
        variance = limit * (1 - limit) * (1 + inner * ((1 - limit) / (2 - limit) + limit / (1 + limit))) / (15 * 25)
        np.testing.assert_allclose(np.abs(limit - got.probability), 1.959963984540054 * np.sqrt(variance), rtol=1e-8)


def test_no_overlap_has_limits_too() -> None:
    got = rank_sum([[1.0, 2, 3, 7, 8, 9]], [0, 0, 0, 1, 1, 1])
    assert (got.probability[0], got.ci_high[0]) == (1.0, 1.0)
    assert 0.3 < got.ci_low[0] < 0.9
    np.testing.assert_allclose(got.p_value, [0.1])  # 2 of choose(6, 3) arrangements


@pytest.mark.parametrize("function", [pearson, spearman, kendall])
def test_order_and_monotone_transformations(function) -> None:
    x, y = _pairs(6)
    plain = function(x, y)
    order = np.random.default_rng(7).permutation(x.shape[1])
    np.testing.assert_allclose(function(x[:, order], y[:, order]).estimate, plain.estimate, rtol=1e-12)
    np.testing.assert_allclose(function(y, -x).estimate, -plain.estimate, rtol=1e-12)
    shape = (lambda v: 3 * v + 5) if function is pearson else np.exp
    np.testing.assert_allclose(function(shape(x), y).p_value, plain.p_value, rtol=1e-9)


@pytest.mark.parametrize("function", [pearson, spearman, kendall])
def test_degenerate_correlations_have_a_status(function) -> None:
    x = np.array([[1.0, 2, 3, 4, 5, 6]] * 5)
    y = np.array([[2.0, 1, 4, 3, 6, 5]] * 5)
    y[1] = 0.1
    y[2, :] = np.nan
    y[3, 2:] = np.nan
    y[4] = 2 * x[4]
    got = function(x, y)
    expected = [Status.OK, Status.NOT_ESTIMABLE, Status.EMPTY, Status.NOT_ESTIMABLE, Status.NOT_ESTIMABLE]
    assert got.status.tolist() == expected
    assert got.n.tolist() == [6, 6, 0, 2, 6]
    for values in (got.estimate, got.se, got.ci_low, got.ci_high, got.p_value):
        assert np.isnan(values[1:]).all()
        assert np.isfinite(values[0])
    assert got.estimates().se_scale == "fisher-z"


def test_degenerate_two_samples_have_a_status() -> None:
    values = np.array([[1.0, 2, 3, 4], [5.0, 5, 5, 5], [1.0, 2, 3, 4], [np.nan] * 4])
    group = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 1, 1]])
    got, t = rank_sum(values, group), welch(values, group)
    assert got.status.tolist() == [Status.OK, Status.NOT_ESTIMABLE, Status.EMPTY, Status.EMPTY]
    assert t.status.tolist() == got.status.tolist()
    assert np.isnan(got.p_value[1:]).all()
    assert np.isnan(t.estimate[1:]).all()
    assert t.estimates().estimate[0] == -2.0
    single = welch([[1.0, 2, 3]], [0, 1, 1])
    assert single.status[0] == Status.NOT_ESTIMABLE


def test_mistakes_of_the_caller_raise() -> None:
    with pytest.raises(ValueError, match="groups"):
        rank_sum([[1.0, 2]], [0, 2])
    with pytest.raises(ValueError, match="level"):
        pearson([1.0, 2], [1.0, 2], level=1.0)
