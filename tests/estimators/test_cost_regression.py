"""Cost regressions: statsmodels' fits, numerical influences, saturated closed forms, coverage, edges."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from cmvsim.core.records import Status
from cmvsim.estimators import cost_difference

NAN = float("nan")


def _data(seed: int, replicates: int = 3, n: int = 120):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(replicates, n, 2))
    exposed = rng.random((replicates, n)) < 0.35
    spends = rng.random(exposed.shape) < 1 / (1 + np.exp(-1.0 - 0.5 * exposed - 0.4 * x[:, :, 1]))
    cost = spends * rng.gamma(0.8, 1000 * np.exp(0.4 * exposed + 0.3 * x[:, :, 0]))
    return cost, exposed, x, rng.uniform(0.5, 2.0, exposed.shape)


def _design(exposed, x):
    n = exposed.size
    return [np.c_[np.ones(n), np.full(n, v) if v is not None else exposed, x] for v in (None, 1.0, 0.0)]


@pytest.mark.parametrize("weighted", [False, True])
def test_independent_recycled_predictions_from_statsmodels(weighted: bool) -> None:
    from statsmodels.genmod import families
    from statsmodels.genmod.generalized_linear_model import GLM

    cost, exposed, x, weights = _data(1)
    weights = weights if weighted else np.ones(exposed.shape)
    poisson = cost_difference(cost, exposed, x, weights=weights if weighted else None)
    two = cost_difference(cost, exposed, x, weights=weights if weighted else None, model="two-part")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for r in range(cost.shape[0]):
            X, on, off = _design(exposed[r], x[r])
            w, y = weights[r], cost[r]
            fit = GLM(y, X, family=families.Poisson(), freq_weights=w).fit(tol=1e-13)
            np.testing.assert_allclose(
                poisson.estimate[r], np.average(fit.predict(on) - fit.predict(off), weights=w), rtol=1e-7
            )
            odds = GLM(y > 0, X, family=families.Binomial(), freq_weights=w).fit(tol=1e-13)
            some = y > 0
            size = GLM(y[some], X[some], family=families.Poisson(), freq_weights=w[some]).fit(tol=1e-13)
            parts = [odds.predict(side) * size.predict(side) for side in (on, off)]
            np.testing.assert_allclose(two.estimate[r], np.average(parts[0] - parts[1], weights=w), rtol=1e-7)


@pytest.mark.parametrize("model", ["poisson", "two-part"])
def test_standard_error_is_the_sum_of_squared_numerical_influences(model: str) -> None:
    cost, exposed, x, weights = (a[0] for a in _data(2, n=60))
    got = cost_difference(cost[None], exposed[None], x, weights=weights, model=model)
    up = weights * (1 + 1e-4 * np.eye(60))
    down = weights * (1 - 1e-4 * np.eye(60))
    shape = (120, 60)
    moved = cost_difference(
        np.broadcast_to(cost, shape), np.broadcast_to(exposed, shape), x, weights=np.r_[up, down], model=model
    ).estimate
    assert got.se[0] == pytest.approx(np.sqrt((((moved[:60] - moved[60:]) / 2e-4) ** 2).sum()), rel=1e-6)


def test_closed_form_without_covariates_both_models_are_the_difference_of_means() -> None:
    cost, exposed, _, _ = _data(3)
    for model in ("poisson", "two-part"):
        got = cost_difference(cost, exposed, model=model)
        for r in range(cost.shape[0]):
            a, b = cost[r][exposed[r]], cost[r][~exposed[r]]
            assert got.estimate[r] == pytest.approx(a.mean() - b.mean(), rel=1e-9)
            assert got.se[r] == pytest.approx(np.sqrt(a.var() / a.size + b.var() / b.size), rel=1e-8)
    everybody = cost + 1.0
    one, two = (cost_difference(everybody, exposed, _data(3)[2], model=m) for m in ("poisson", "two-part"))
    np.testing.assert_allclose(two.estimate, one.estimate, rtol=1e-9)  # all have a cost: one part is left
    np.testing.assert_allclose(two.se, one.se, rtol=1e-8)


def test_statistical_coverage_with_confounding() -> None:
    rng = np.random.default_rng(4)
    replicates, n = 600, 300
    x = rng.normal(size=(replicates, n, 1)).clip(-2.5, 2.5)
    exposed = rng.random((replicates, n)) < 1 / (1 + np.exp(0.5 - x[:, :, 0]))
    cost = rng.gamma(2.0, 500 * np.exp(0.3 * exposed + 0.5 * x[:, :, 0]))
    standard = np.random.default_rng(5).normal(size=2_000_000).clip(-2.5, 2.5)
    truth = 1000 * (np.exp(0.3) - 1) * np.exp(0.5 * standard).mean()
    got = cost_difference(cost, exposed, x)
    np.testing.assert_allclose(got.estimate.mean(), truth, atol=4 * got.estimate.std() / np.sqrt(replicates) + 1)
    assert np.sqrt((got.se**2).mean()) == pytest.approx(got.estimate.std(), rel=0.1)
    assert 0.91 < ((got.ci_low <= truth) & (got.ci_high >= truth)).mean() < 0.98
    assert cost_difference(cost, exposed).estimate.mean() > 1.5 * truth


def test_properties_units_and_a_row_of_weight_two() -> None:
    cost, exposed, x, _ = _data(6)
    for model in ("poisson", "two-part"):
        plain = cost_difference(cost, exposed, x, model=model)
        scaled = cost_difference(1e6 * cost, exposed, x * [1e3, 1.0] + [5.0, 0.0], model=model)
        np.testing.assert_allclose(scaled.estimate, 1e6 * plain.estimate, rtol=1e-7)
        np.testing.assert_allclose(scaled.se, 1e6 * plain.se, rtol=1e-6)
        weights = np.ones(cost.shape)
        weights[:, :10] = 2.0
        twice = [np.concatenate([a, a[:, :10]], axis=1) for a in (cost, exposed, x)]
        np.testing.assert_allclose(
            cost_difference(cost, exposed, x, weights=weights, model=model).estimate,
            cost_difference(*twice, model=model).estimate,
            rtol=1e-8,
        )


def test_degenerate_statuses() -> None:
    cost, exposed, x, _ = _data(7, replicates=8, n=40)
    cost[1] = NAN
    exposed[2] = False
    x[3, :, 1] = 2 * x[3, :, 0]
    cost[4][exposed[4]] = 0.0
    cost[5, 0] = -1.0
    cost[6] = 0.0
    cost[7, 3], x[7, 4, 0] = NAN, NAN
    expected = [
        Status.OK,
        Status.EMPTY,
        *[Status.NOT_ESTIMABLE] * 2,
        Status.SEPARATION,
        Status.NOT_ESTIMABLE,
        Status.SEPARATION,
        Status.OK,
    ]
    for model in ("poisson", "two-part"):
        got = cost_difference(cost, exposed, x, model=model)
        assert got.status.tolist() == expected, model
        assert np.isnan([*got.estimate[1:7], *got.se[1:7], *got.ci_low[1:7]]).all()
        assert got.n.tolist() == [40, 0, 40, 40, 40, 40, 40, 38]
    # the others are what they are alone
    alone = cost_difference(cost[:1], exposed[:1], x[:1])
    np.testing.assert_allclose(cost_difference(cost, exposed, x).se[0], alone.se[0], rtol=1e-10)
    assert cost_difference(cost[:1], exposed[:1], x[:1], max_iterations=1).status[0] == Status.NOT_CONVERGED
    separated = np.where(exposed[:1], np.maximum(cost[:1], 1.0), cost[:1])  # all exposed have a cost, some others none
    assert cost_difference(separated, exposed[:1], model="two-part").status[0] == Status.SEPARATION
    assert cost_difference(separated, exposed[:1]).status[0] == Status.OK


def test_mistakes_of_the_caller_raise() -> None:
    with pytest.raises(ValueError, match="unknown model 'gamma'; allowed: poisson, two-part"):
        cost_difference([[1.0]], [[True]], model="gamma")
    with pytest.raises(ValueError, match="cost and exposed"):
        cost_difference([1.0], [True])
    with pytest.raises(ValueError, match="covariates"):
        cost_difference([[1.0]], [[True]], [[[1.0], [2.0]]])
