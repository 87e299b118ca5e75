"""Standardised risks, modified Poisson regression, conditional logistic through Cox: R's numbers, closed forms, edges."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from estimators_reference import Check
from regression_reference import checks, close
from scipy import optimize
from statsmodels.api import GLM, Logit, add_constant, families

from cmvsim.core.records import Status
from cmvsim.estimators import (
    cox,
    likelihood_ratio_test,
    logistic,
    relative_risk,
    risk_difference,
    risk_ratio,
    standardised_risks,
)


@pytest.mark.parametrize("check", checks(("g_computation", "relative_risk", "conditional_logistic")), ids=str)
def test_agrees_with_r(check: Check) -> None:
    rows, expected = check.rows, check.expected
    y, induced = np.tile(rows["case"].astype(int), (2, 1)), rows["induced"] > 0
    if check.estimator == "g_computation":
        got = standardised_risks(y, np.c_[induced, rows["age"], rows["parity"]])
        ours = (got.risk_exposed, got.risk_unexposed, got.difference.estimate, got.difference.se, got.ratio.estimate)
        for key, values in zip(("p1", "p0", "rd", "se_delta", "rr"), ours, strict=True):
            close(check, values, [expected[key]] * 2)
    elif check.estimator == "relative_risk":
        got = relative_risk(y, np.c_[induced, rows["age"]])
        close(check, got.coef, [expected["coef"]] * 2)
        close(check, got.se, [expected["robust_se"]] * 2)
    else:
        # one case to a stratum: the conditional likelihood is the partial likelihood at one common time
        x = np.c_[rows["spontaneous"], rows["induced"]]
        matched = cox(np.ones(y.shape), y, x, strata=rows["stratum"].astype(int), ties="breslow")
        close(check, matched.coef[0], expected["coef"])
        close(check, matched.se[0], expected["se"])
        close(check, [matched.loglik_null[0], matched.loglik[0]], expected["loglik"])


def _data(seed: int, replicates: int = 6, n: int = 120):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(replicates, n, 2))
    x[:, :, 0] = x[:, :, 0] > 0
    y = (rng.random((replicates, n)) < 1 / (1 + np.exp(1.2 - x @ [0.7, 0.4]))).astype(int)
    y[0, :7] = -1
    x[1, :5, 1] = np.nan
    return y, x


def test_independent_statsmodels_poisson_and_likelihood_ratio() -> None:
    y, x = _data(1)
    got, test = relative_risk(y, x * [1.0, 1e4] + [0.0, 3e4]), likelihood_ratio_test(y, x, 2)
    assert (got.status == Status.OK).all()
    for r in range(y.shape[0]):
        whole = (y[r] >= 0) & np.isfinite(x[r]).all(axis=1)
        design = add_constant(x[r, whole])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = GLM(y[r, whole], design, family=families.Poisson()).fit(cov_type="HC0", tol=1e-14)
        np.testing.assert_allclose(got.coef[r, 1:] * [1.0, 1e4], theirs.params[1:], rtol=1e-8)
        np.testing.assert_allclose(got.se[r, 1:] * [1.0, 1e4], theirs.bse[1:], rtol=1e-8)
        full, held = (Logit(y[r, whole], design[:, :k]).fit(disp=0, tol=1e-12) for k in (3, 2))
        np.testing.assert_allclose(test.statistic[r], 2 * (full.llf - held.llf), rtol=1e-7)
        assert got.n[r] == whole.sum()


def test_closed_form_one_binary_covariate() -> None:
    arm = np.repeat([1.0, 0.0], [40, 50])
    y = np.r_[np.arange(40) < 14, np.arange(50) < 9][None].astype(int)
    katz, wald = risk_ratio(14, 40, 9, 50), risk_difference(14, 40, 9, 50, method="wald")
    poisson, standard = relative_risk(y, arm[:, None]).term(1, exponentiate=True), standardised_risks(y, arm[:, None])
    for got in (poisson, standard.ratio):
        np.testing.assert_allclose(
            [got.estimate[0], got.se[0], got.ci_low[0], got.ci_high[0]],
            [katz.estimate, katz.se, katz.ci_low, katz.ci_high],
            rtol=1e-8,
        )
        assert got.se_scale == "log"
    difference = standard.difference
    np.testing.assert_allclose([difference.estimate[0], difference.se[0]], [wald.estimate, wald.se], rtol=1e-8)


def test_standard_errors_are_the_numerical_delta_method() -> None:
    y, x = _data(2, replicates=2)
    y, x = np.abs(y), np.nan_to_num(x)
    got, fit = standardised_risks(y, x), logistic(y, x)

    def difference(beta: np.ndarray, r: int) -> float:
        risks = []
        for setting in (1.0, 0.0):
            design = np.c_[np.ones(x.shape[1]), np.full(x.shape[1], setting), x[r, :, 1]]
            risks.append(np.mean(1 / (1 + np.exp(-design @ beta))))
        return risks[0] - risks[1]

    for r in range(2):
        gradient = optimize.approx_fprime(fit.coef[r], difference, 1e-7, r)
        np.testing.assert_allclose(got.difference.se[r], np.sqrt(gradient @ fit.covariance[r] @ gradient), rtol=1e-5)
        np.testing.assert_allclose(got.difference.estimate[r], difference(fit.coef[r], r), rtol=1e-10)


def test_order_of_patients_does_not_matter() -> None:
    y, x = _data(3)
    order = np.random.default_rng(4).permutation(y.shape[1])
    for function in (lambda a, b: relative_risk(a, b).coef, lambda a, b: standardised_risks(a, b).difference.se):
        np.testing.assert_allclose(function(y[:, order], x[:, order]), function(y, x), rtol=1e-9)


def test_degenerate_samples_have_a_status() -> None:
    y = np.array([[0, 1, 0, 1, 1, 0, 0, 1]] * 5)
    x = np.array([[0.0, 0, 0, 0, 1, 1, 1, 1]] * 5)[:, :, None]
    y[1] = 0
    y[2] = -1
    x[3] = 2.0
    y[4, :4] = 0  # nobody unexposed had the event
    got, adjusted, test = relative_risk(y, x), standardised_risks(y, x), likelihood_ratio_test(y, x, 1)
    expected = [Status.OK, Status.NO_EVENTS, Status.EMPTY, Status.NOT_ESTIMABLE, Status.SEPARATION]
    assert got.status.tolist() == expected
    assert got.term(1).status[1] == Status.NOT_ESTIMABLE
    assert np.isnan(got.coef[1:]).all()
    assert np.isnan(got.se[1:]).all()
    separated = [Status.OK, Status.SEPARATION, Status.EMPTY, Status.NOT_ESTIMABLE, Status.SEPARATION]
    assert adjusted.difference.status.tolist() == separated
    assert np.isnan(adjusted.ratio.estimate[1:]).all()
    assert test.status.tolist() == separated
    assert np.isnan(test.statistic[2:4]).all()
    # the supremum of the likelihood is compared: with 2 of 4 against 0 of 4
    pooled = 2 * np.log(2 / 8) + 6 * np.log(6 / 8)
    np.testing.assert_allclose(test.statistic[4], 2 * (4 * np.log(0.5) - pooled), rtol=1e-6)


def test_mistakes_of_the_caller_raise() -> None:
    y, x = _data(5)
    with pytest.raises(ValueError, match="exposure"):
        standardised_risks(y, x, exposure=2)
    with pytest.raises(ValueError, match="term"):
        likelihood_ratio_test(y, x, 3)
