"""Linear mixed model: lme4's and nlme's numbers, the dense likelihood, balanced closed forms, edges."""

from __future__ import annotations

import numpy as np
import pytest
from estimators_reference import Check
from longitudinal_reference import cases, pigs
from regression_reference import close

from cmvsim.core.records import Status
from cmvsim.estimators import mixed_model

REFERENCE = [c for c in cases("44") if c.estimator in ("mixed_model", "mmrm_cs")]
NAN = float("nan")


@pytest.mark.parametrize("check", REFERENCE, ids=str)
def test_independent_agrees_with_lme4_and_nlme(check: Check) -> None:
    weight, x = pigs(check)
    slope = np.arange(1.0, 13.0) if check.id == "lmer_rs_REML" else None
    reml = check.id.endswith("REML")
    got = mixed_model(weight, x, random="intercept" if slope is None else "slope", slope=slope, reml=reml)
    assert got.status == Status.OK
    assert not got.singular
    expected = check.expected
    close(check, got.coef, expected["coef"], 1e-6)
    close(check, got.loglik, expected["loglik"], 1e-10)
    if "se" in expected:
        close(check, got.se, expected["se"], 1e-6)
    if "rho" in expected:
        total = got.residual_variance + got.random_covariance[0, 0]
        close(check, [got.random_covariance[0, 0] / total, np.sqrt(total)], [expected["rho"], expected["sigma"]], 1e-6)
    elif slope is None:
        found = [got.random_covariance[0, 0], got.residual_variance]
        close(check, found, [expected["var_intercept"], expected["var_resid"]], 1e-6)
    else:
        found = [*np.diag(got.random_covariance), got.random_covariance[0, 1], got.residual_variance]
        close(check, found, expected["vcov_re"], 1e-6)


def _data(seed: int, n: int = 25, visits: int = 6, *, slopes: bool = True):
    rng = np.random.default_rng(seed)
    time = np.arange(visits, dtype=float)
    y = 2.0 + 0.3 * time + rng.normal(size=(n, 1)) + 0.5 * rng.normal(size=(n, visits))
    y += 0.4 * rng.normal(size=(n, 1)) * time if slopes else 0.0
    y[rng.random(y.shape) < 0.2] = NAN
    group = np.broadcast_to((np.arange(n) % 2)[:, None], y.shape).astype(float)
    return y, np.stack([np.ones_like(y), np.broadcast_to(time, y.shape), group], axis=-1), time


def _dense(y, x, time, random: str, reml: bool, covariance, residual: float) -> float:
    """Log-likelihood of the given variances from the whole covariance matrix."""
    used = np.isfinite(y)
    V = np.zeros((used.sum(), used.sum()))
    at = 0
    for i in range(y.shape[0]):
        k = int(used[i].sum())
        Z = np.ones((k, 1)) if random == "intercept" else np.c_[np.ones(k), time[used[i]]]
        V[at : at + k, at : at + k] = Z @ covariance @ Z.T + residual * np.eye(k)
        at += k
    X, inverse = x[used], np.linalg.inv(V)
    information = X.T @ inverse @ X
    e = y[used] - X @ np.linalg.solve(information, X.T @ inverse @ y[used])
    freedom = used.sum() - (X.shape[1] if reml else 0)
    extra = np.linalg.slogdet(information)[1] if reml else 0.0
    return float(-0.5 * (freedom * np.log(2 * np.pi) + np.linalg.slogdet(V)[1] + extra + e @ inverse @ e))


@pytest.mark.parametrize("random", ["intercept", "slope"])
@pytest.mark.parametrize("reml", [False, True])
def test_plain_twin_and_no_better_variances_nearby(random: str, reml: bool) -> None:
    y, x, time = _data(1)
    got = mixed_model(y, x, random=random, slope=time if random == "slope" else None, reml=reml)
    arguments = (y, x, time, random, reml)
    best = _dense(*arguments, got.random_covariance, got.residual_variance)
    assert got.loglik == pytest.approx(best, rel=1e-10)
    for factor in (0.99, 1.01):
        assert _dense(*arguments, got.random_covariance * factor, got.residual_variance) < best
        assert _dense(*arguments, got.random_covariance, got.residual_variance * factor) < best


def test_closed_form_balanced_one_way() -> None:
    """REML of a balanced random intercept is the analysis of variance."""
    rng = np.random.default_rng(2)
    y = rng.normal(size=(20, 5)) + 1.5 * rng.normal(size=(20, 1))
    got = mixed_model(y, np.ones((20, 5, 1)))
    within = ((y - y.mean(axis=1, keepdims=True)) ** 2).sum() / (20 * 4)
    between = 5 * y.mean(axis=1).var(ddof=1)
    assert got.residual_variance == pytest.approx(within, rel=1e-7)
    assert got.random_covariance[0, 0] == pytest.approx((between - within) / 5, rel=1e-7)
    assert got.se[0] == pytest.approx(np.sqrt(between / 100), rel=1e-7)
    assert got.coef[0] == pytest.approx(y.mean())


def test_a_variance_of_zero_is_found_on_the_edge() -> None:
    rng = np.random.default_rng(3)
    y = rng.normal(size=(20, 5))
    y -= 0.9 * y.mean(axis=1, keepdims=True)  # patients more alike than chance
    got = mixed_model(y, np.ones((20, 5, 1)))
    assert got.status == Status.OK
    assert got.singular
    assert got.random_covariance[0, 0] < 1e-8
    assert got.residual_variance == pytest.approx(y.var(ddof=1), rel=1e-6)
    time = np.arange(5.0)
    assert mixed_model(y, np.ones((20, 5, 1)), random="slope", slope=time).status == Status.OK


def test_degenerate_statuses() -> None:
    y, x, time = _data(4)
    assert mixed_model(np.full_like(y, NAN), x).status == Status.EMPTY
    assert mixed_model(y, np.concatenate([x, x[:, :, :1]], axis=2)).status == Status.NOT_ESTIMABLE
    assert mixed_model(y[:, :1], x[:, :1, :1]).status == Status.NOT_ESTIMABLE  # nobody twice
    assert mixed_model(np.ones_like(y), x).status == Status.NOT_ESTIMABLE
    got = mixed_model(y[:1, :3], x[:1, :3, :2], random="slope", slope=time[:3])
    assert got.status == Status.NOT_ESTIMABLE
    assert np.isnan([*got.coef, *got.se, got.loglik, got.residual_variance]).all()
    assert got.patients == 1


def test_mistakes_of_the_caller_raise() -> None:
    y, x, time = _data(5)
    with pytest.raises(ValueError, match="unknown random"):
        mixed_model(y, x, random="both")
    with pytest.raises(ValueError, match="slope values"):
        mixed_model(y, x, random="slope")
    with pytest.raises(ValueError, match="slope values"):
        mixed_model(y, x, slope=time)
    with pytest.raises(ValueError, match="outcome and covariates"):
        mixed_model(y, x[:, :, 0])
