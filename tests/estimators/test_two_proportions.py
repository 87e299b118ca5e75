"""Two proportions: R's numbers, scipy and statsmodels, published examples, strata, edges."""

from __future__ import annotations

import numpy as np
import pytest
from estimators_reference import Check, numbers
from regression_reference import checks, close, copied_ids
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import StratifiedTable, Table2x2

from cmvsim.core.records import Estimates, Status
from cmvsim.estimators import (
    chi_square,
    fisher_exact,
    mantel_haenszel,
    mantel_haenszel_test,
    odds_ratio,
    phi_coefficient,
    proportion_test,
    risk_difference,
    risk_ratio,
)

METHODS = {
    "newcombe_method10": (risk_difference, "newcombe"),
    "wald_rd": (risk_difference, "wald"),
    "miettinen_nurminen_rd": (risk_difference, "miettinen-nurminen"),
    "mee_rd": (risk_difference, "mee"),
    "rr_katz_log": (risk_ratio, "katz"),
    "or_woolf": (odds_ratio, "woolf"),
}
KINDS = ("risk_", "odds_ratio_ci", "fisher_exact", "chisq_test")


def _counts(check: Check) -> list[np.ndarray]:
    return [check.rows[name].astype(int) for name in ("x1", "n1", "x2", "n2")]


@pytest.mark.parametrize("check", [c for c in checks(KINDS) if c.id in METHODS], ids=str)
def test_limits_agree_with_r(check: Check) -> None:
    function, method = METHODS[check.id]
    got, expected = function(*_counts(check), method=method), numbers(check.expected)
    fine = got.status <= Status.ALL_EVENTS
    assert fine.sum() >= 6
    close(check, np.c_[got.ci_low, got.ci_high][fine], expected[fine, -2:].tolist())
    if expected.shape[1] == 3:
        close(check, got.estimate[fine], expected[fine, 0].tolist())
    # where we give nothing R's interval is of width 0, or not a number
    for low, high in expected[~fine, -2:]:
        assert low == high or not np.isfinite([low, high]).all()
    assert np.isnan(got.ci_low[~fine]).all()
    assert (got.status[~fine] == Status.NOT_ESTIMABLE).all()


@pytest.mark.parametrize("check", checks(("fisher_exact",)), ids=str)
def test_fisher_agrees_with_r(check: Check) -> None:
    got = fisher_exact(*_counts(check), odds=True)
    np.testing.assert_allclose(got.p_value, [e["p"] for e in check.expected], rtol=1e-8)
    fine = got.status == Status.OK
    theirs = np.array([[float(v) for v in (e["or_cmle"], *e["ci"])] for e in check.expected])[fine]
    ours = np.c_[got.odds_ratio, got.ci_low, got.ci_high][fine]
    # R solves for the odds ratio, or for its inverse if that is smaller, to 1.2e-4 absolute
    for a, b in zip(ours.ravel(), theirs.ravel(), strict=True):
        assert abs(min(a, 1 / a if a else a) - min(b, 1 / b if b else b)) < 1.3e-4
        assert (a < 1) == (b < 1) or abs(a - b) < 1e-3
    assert np.isnan(got.odds_ratio[~fine]).all()


@pytest.mark.parametrize("check", checks(("chisq_test",)), ids=str)
def test_chi_square_agrees_with_r(check: Check) -> None:
    plain, yates, expected = chi_square(*_counts(check)), chi_square(*_counts(check), yates=True), numbers(check.expected)
    close(check, np.c_[plain.statistic, plain.p_value, yates.statistic, yates.p_value], expected.tolist())
    np.testing.assert_array_equal(plain.status == Status.NOT_ESTIMABLE, np.isnan(expected[:, 0]))


@pytest.mark.parametrize("check", checks(("binomial_test", "score_test")), ids=str)
def test_one_sample_tests_agree_with_r(check: Check) -> None:
    x, n = check.rows["x"].astype(int), check.rows["n"].astype(int)
    method = "exact" if check.estimator == "binomial_test" else "score"
    expected = np.array(check.expected)
    got = proportion_test(x, n, 0.3, method=method)
    np.testing.assert_allclose(got, expected, rtol=check.rtol, atol=1e-300)


def test_the_copy_covers_all() -> None:
    assert set(METHODS) | {"fisher", "pearson_chisq"} <= copied_ids(KINDS)


def _tables(seed: int, size: int = 60):
    rng = np.random.default_rng(seed)
    n1, n2 = rng.integers(5, 90, size), rng.integers(5, 90, size)
    return rng.binomial(n1, rng.uniform(0.05, 0.95, size)), n1, rng.binomial(n2, rng.uniform(0.05, 0.95, size)), n2


def test_independent_statsmodels_ratios() -> None:
    counts = _tables(1)
    ratio, odds = risk_ratio(*counts, level=0.9), odds_ratio(*counts, level=0.9)
    for i, (a, m, b, k) in enumerate(zip(*counts, strict=True)):
        if ratio.status[i] != Status.OK or odds.status[i] != Status.OK:
            continue
        theirs = Table2x2([[a, m - a], [b, k - b]])
        np.testing.assert_allclose([ratio.ci_low[i], ratio.ci_high[i]], theirs.riskratio_confint(0.1), rtol=1e-9)
        np.testing.assert_allclose([odds.ci_low[i], odds.ci_high[i]], theirs.oddsratio_confint(0.1), rtol=1e-9)
    assert (ratio.status == Status.OK).sum() > 40


def test_closed_form_gart_is_woolf_with_half_a_patient_more() -> None:
    got = odds_ratio(0, 10, 3, 12, method="gart")
    np.testing.assert_allclose(got.estimate, 0.5 * 9.5 / (10.5 * 3.5))
    np.testing.assert_allclose(got.se, np.sqrt(1 / 0.5 + 1 / 10.5 + 1 / 3.5 + 1 / 9.5))
    assert got.status == Status.OK


def _restricted_loglik(counts, q2: float, q1: float) -> float:
    a, m, b, k = counts
    return stats.binom.logpmf(a, m, q1) + stats.binom.logpmf(b, k, q2)


@pytest.mark.parametrize("ratio", [False, True])
@pytest.mark.parametrize("correction", [False, True])
def test_score_limits_are_where_the_score_test_just_rejects(ratio: bool, correction: bool) -> None:
    """The constrained maximum is found here by a general optimiser, not by the equations."""
    rng = np.random.default_rng(2)
    for counts in [(7, 34, 1, 34), (36, 40, 16, 80), (3, 20, 11, 31), tuple(rng.integers([2, 20, 3, 30], [15, 50, 20, 70]))]:
        a, m, b, k = counts
        if ratio:
            got = risk_ratio(*counts, method="miettinen-nurminen" if correction else "koopman")
        else:
            got = risk_difference(*counts, method="miettinen-nurminen" if correction else "mee")
        for sign, value in ((1.0, float(got.ci_low)), (-1.0, float(got.ci_high))):

            def of_arm_1(q2: float, value: float = value) -> float:
                return value * q2 if ratio else q2 + value

            top = min(1.0, 1.0 / value) if ratio else min(1.0, 1.0 - value)
            bounds = (1e-9 + (0.0 if ratio else max(0.0, -value)), top - 1e-9)
            q2 = optimize.minimize_scalar(
                lambda q, c=counts, f=of_arm_1: -_restricted_loglik(c, q, f(q)),
                bounds=bounds,
                method="bounded",
                options={"xatol": 1e-12},
            ).x
            q1 = of_arm_1(q2)
            factor = (m + k) / (m + k - 1) if correction else 1.0
            if ratio:
                z = (a / m - value * b / k) / np.sqrt(factor * (q1 * (1 - q1) / m + value**2 * q2 * (1 - q2) / k))
            else:
                z = (a / m - b / k - value) / np.sqrt(factor * (q1 * (1 - q1) / m + q2 * (1 - q2) / k))
            np.testing.assert_allclose(sign * z, stats.norm.ppf(0.975), rtol=1e-5)


def test_published_examples() -> None:
    koopman = risk_ratio(36, 40, 16, 80, method="koopman")  # Koopman 1984
    np.testing.assert_allclose([koopman.estimate, koopman.ci_low, koopman.ci_high], [4.5, 2.94, 7.15], atol=0.005)
    newcombe = risk_difference(56, 70, 48, 80)  # Newcombe 1998, example (a)
    np.testing.assert_allclose([newcombe.ci_low, newcombe.ci_high], [0.0524, 0.3339], atol=5e-5)


def test_ratio_limits_with_an_empty_cell() -> None:
    got = risk_ratio([0, 4, 0, 10], [10, 10, 10, 10], [4, 0, 0, 10], [10, 10, 10, 10], method="koopman")
    expected = [Status.NO_EVENTS, Status.NOT_ESTIMABLE, Status.NOT_ESTIMABLE, Status.OK]
    assert got.status.tolist() == expected
    assert got.ci_low[0] == 0.0
    assert 0.0 < got.ci_high[0] < 1.2
    # mirrored: 10/10 against 10/10
    np.testing.assert_allclose(got.ci_low[3] * got.ci_high[3], 1.0, rtol=1e-9)


@pytest.mark.parametrize("method", ["newcombe", "miettinen-nurminen", "mee", "wald"])
def test_properties_of_the_difference(method: str) -> None:
    a, m, b, k = _tables(3)
    got, swapped = risk_difference(a, m, b, k, method=method), risk_difference(b, k, a, m, method=method)
    np.testing.assert_allclose(got.ci_low, -swapped.ci_high, atol=1e-12)
    failures = risk_difference(m - a, m, k - b, k, method=method)
    np.testing.assert_allclose(got.ci_low, -failures.ci_high, atol=1e-12)
    assert np.all((got.ci_low <= got.estimate) & (got.estimate <= got.ci_high))
    assert np.all((got.ci_low >= -1) & (got.ci_high <= 1))
    one = [risk_difference(*(int(c[i]) for c in (a, m, b, k)), method=method).ci_low for i in range(5)]
    np.testing.assert_array_equal(got.ci_low[:5], one)


def test_phi_delta_variance_is_the_numerical_delta_method() -> None:
    counts = np.array([30.0, 20.0, 12.0, 40.0])  # x1, n1 - x1, x2, n2 - x2

    def phi(c: np.ndarray) -> float:
        a, b, c_, d = c
        return (a * d - b * c_) / np.sqrt((a + b) * (c_ + d) * (a + c_) * (b + d))

    h = 1e-5
    gradient = np.array([(phi(counts + h * e) - phi(counts - h * e)) / (2 * h) for e in np.eye(4)])
    n, p = counts.sum(), counts / counts.sum()
    variance = n * gradient @ (np.diag(p) - np.outer(p, p)) @ gradient
    got = phi_coefficient(30, 50, 12, 52)
    np.testing.assert_allclose([got.estimate, got.se], [phi(counts), np.sqrt(variance)], rtol=1e-7)
    x, y = np.repeat([1, 1, 0, 0], counts.astype(int)), np.repeat([1, 0, 1, 0], counts.astype(int))
    theirs = stats.pearsonr(x, y)
    fisher = phi_coefficient(30, 50, 12, 52, method="fisher-z")
    limits = theirs.confidence_interval()
    np.testing.assert_allclose([fisher.estimate, fisher.ci_low, fisher.ci_high], [theirs.statistic, *limits], rtol=1e-9)


def test_independent_scipy_fisher() -> None:
    counts = _tables(4, 25)
    got = fisher_exact(*counts, odds=True)
    for i, (a, m, b, k) in enumerate(zip(*counts, strict=True)):
        table = [[a, m - a], [b, k - b]]
        np.testing.assert_allclose(got.p_value[i], stats.fisher_exact(table).pvalue, rtol=1e-7)
        theirs = stats.contingency.odds_ratio(np.array(table))
        limits = theirs.confidence_interval()
        np.testing.assert_allclose(
            [got.odds_ratio[i], got.ci_low[i], got.ci_high[i]], [theirs.statistic, limits.low, limits.high], rtol=1e-5
        )


def _strata(seed: int, replicates: int, strata: int = 8):
    rng = np.random.default_rng(seed)
    n1, n2 = rng.integers(4, 25, strata), rng.integers(4, 25, strata)
    p2 = rng.uniform(0.2, 0.5, strata)
    return rng, n1, n2, p2, (replicates, strata)


def test_independent_statsmodels_strata() -> None:
    rng, n1, n2, p2, shape = _strata(5, 10)
    a, b = rng.binomial(n1, p2 + 0.15, shape), rng.binomial(n2, p2, shape)
    odds, ratio = (mantel_haenszel(a, n1, b, n2, measure=m) for m in ("odds-ratio", "risk-ratio"))
    test, corrected = mantel_haenszel_test(a, n1, b, n2), mantel_haenszel_test(a, n1, b, n2, correction=True)
    for r in range(10):
        tables = [np.array([[a[r, s], n1[s] - a[r, s]], [b[r, s], n2[s] - b[r, s]]], dtype=float) for s in range(shape[1])]
        theirs = StratifiedTable(tables)
        np.testing.assert_allclose(odds.estimate[r], theirs.oddsratio_pooled, rtol=1e-10)
        np.testing.assert_allclose(odds.se[r], theirs.logodds_pooled_se, rtol=1e-10)
        np.testing.assert_allclose(ratio.estimate[r], theirs.riskratio_pooled, rtol=1e-10)
        np.testing.assert_allclose(test.statistic[r], theirs.test_null_odds().statistic, rtol=1e-10)
        np.testing.assert_allclose(corrected.p_value[r], theirs.test_null_odds(correction=True).pvalue, rtol=1e-9)


@pytest.mark.parametrize("measure", ["difference", "risk-ratio"])
def test_pooled_variances_are_those_of_repeated_studies(measure: str) -> None:
    """20,000 studies of 30 small strata: mean variance against that of the estimates, which is known to about 1%."""
    rng, n1, n2, p2, shape = _strata(6, 20_000, 30)
    p1 = p2 + 0.15 if measure == "difference" else p2 * 1.4
    a, b = rng.binomial(n1, p1, shape), rng.binomial(n2, p2, shape)
    got = mantel_haenszel(a, n1, b, n2, measure=measure)
    assert (got.status == Status.OK).all()
    values, truth = (got.estimate, 0.15) if measure == "difference" else (np.log(got.estimate), np.log(1.4))
    np.testing.assert_allclose((got.se**2).mean() / values.var(), 1.0, atol=0.04)
    assert abs(values.mean() - truth) < 0.005
    covered = np.mean(np.abs(values - truth) < 1.959964 * got.se)
    assert abs(covered - 0.95) < 0.008


def test_one_stratum_is_the_table_and_empty_strata_add_nothing() -> None:
    got = mantel_haenszel([[12, 0]], [[30, 0]], [[7, 3]], [[40, 9]])
    np.testing.assert_allclose(got.estimate, [12 / 30 - 7 / 40])
    assert got.n.tolist() == [70]
    assert got.events.tolist() == [19]
    ratio = mantel_haenszel([12], [30], [7], [40], measure="risk-ratio")
    np.testing.assert_allclose([ratio.se], [risk_ratio(12, 30, 7, 40).se], rtol=1e-12)
    odds = mantel_haenszel([12], [30], [7], [40], measure="odds-ratio")
    np.testing.assert_allclose([odds.se], [odds_ratio(12, 30, 7, 40).se], rtol=1e-12)
    assert mantel_haenszel([0, 0], [0, 3], [0, 0], [4, 0]).status == Status.EMPTY
    assert mantel_haenszel([0, 0], [5, 3], [0, 0], [4, 6], measure="odds-ratio").status == Status.NOT_ESTIMABLE


def _honest(got: Estimates) -> None:
    usable = got.status <= Status.ALL_EVENTS
    assert np.isfinite(np.c_[got.estimate, got.ci_low, got.ci_high][usable]).all()
    assert np.isnan(np.c_[got.estimate, got.se, got.ci_low, got.ci_high][~usable]).all()


def test_degenerate_tables_have_a_status() -> None:
    every = np.array([(a, m, b, k) for m in range(4) for a in range(m + 1) for k in range(4) for b in range(k + 1)]).T
    for method in ("newcombe", "miettinen-nurminen", "mee", "wald"):
        _honest(risk_difference(*every, method=method))
    for method in ("katz", "koopman", "miettinen-nurminen"):
        _honest(risk_ratio(*every, method=method))
    for method in ("woolf", "gart"):
        _honest(odds_ratio(*every, method=method))
    for method in ("delta", "fisher-z"):
        _honest(phi_coefficient(*every, method=method))
    empty = (every[1] == 0) | (every[3] == 0)
    for got in (risk_difference(*every), fisher_exact(*every), chi_square(*every)):
        np.testing.assert_array_equal(got.status == Status.EMPTY, empty)
    assert risk_difference([], [], [], []).estimate.shape == (0,)
    assert np.isnan(proportion_test([0], [0], 0.3)).all()


def test_mistakes_of_the_caller_raise() -> None:
    with pytest.raises(ValueError, match="between 0 and its n"):
        risk_difference(5, 4, 1, 3)
    with pytest.raises(ValueError, match="method"):
        risk_ratio(1, 4, 1, 3, method="wald")
    with pytest.raises(ValueError, match="measure"):
        mantel_haenszel([1], [4], [1], [3], measure="hazard")
    with pytest.raises(ValueError, match="p0"):
        proportion_test(1, 4, 1.0)
