"""Methods against arithmetic and closed forms: discounting, break-even, budget impact, Fieller, noise, standard errors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate

from cmvsim.core.errors import InputError
from cmvsim.core.records import Status
from cmvsim.economics import (
    Beneficiaries,
    Bounded,
    Increments,
    between_draw_moments,
    break_even_price,
    break_even_quantity,
    break_even_threshold,
    budget_impact,
    decision_curves,
    enbs,
    evpi,
    evppi,
    evsi,
    fieller,
    fieller_of_patients,
    net_benefit_grid,
    net_health_benefit,
    noise_in_evpi,
    normal_evpi,
    patients_per_draw,
)
from cmvsim.valuation import Discounting, discounting, discounting_rules


def test_closed_form_accrual_is_the_integral_of_the_discount_function() -> None:
    for rule in discounting_rules().values():
        for start, stop in ((0.0, 0.27), (3.0, 30.0), (12.0, 55.0), (31.0, 60.0)):
            want, _ = integrate.quad(lambda t, r=rule: float(r.factor(t)), start, stop, points=[30.0], epsabs=1e-12)
            assert rule.annuity(start, stop) == pytest.approx(want, rel=1e-9)
        assert rule.factor(30.0 - 1e-9) == pytest.approx(rule.factor(30.0 + 1e-9), rel=1e-8)
        assert rule.years_lived(0.0, 3.0, 40.0) == pytest.approx(rule.annuity(3.0, 43.0), rel=1e-12)
    assert discounting("none").annuity(0, 7) == 7
    assert discounting("has_2020").accrued_days(0, [10, 100]).shape == (2,)


def test_an_unknown_rule_and_impossible_ones() -> None:
    with pytest.raises(InputError, match="did you mean 'has_2020'"):
        discounting("has2020")
    with pytest.raises(ValueError, match="above -1"):
        Discounting("x", -1.0)
    with pytest.raises(ValueError, match="go together"):
        Discounting("x", 0.02, later=0.01)


def test_closed_form_break_even_is_where_net_benefit_is_equal() -> None:
    rng = np.random.default_rng(1)
    days = rng.integers(0, 100, 500).astype(float)
    effect, other = rng.normal(0.02, 0.1, 500), rng.normal(-900, 3000, 500)
    patients = Increments.of(other, days, effect)
    prices = break_even_price(patients, [0, 30000, 100000])
    for threshold, price in zip(prices.thresholds, prices.value, strict=True):
        assert net_benefit_grid(patients, price, threshold)[0, 0] == pytest.approx(0, abs=1e-9)
        quantity = break_even_quantity(patients, 304.13, threshold).value[0]
        assert quantity * 304.13 == pytest.approx(price * days.mean())
    assert break_even_threshold(patients, prices.value[1]).value[0] == pytest.approx(30000)
    grid = net_benefit_grid(patients, [0, 304.13], [30000])
    assert grid[0, 0] - grid[1, 0] == pytest.approx(304.13 * days.mean(), rel=1e-12)
    assert np.isnan(break_even_price(Increments.of(1, 0, 1), 30000).value[0])


def test_closed_form_error_of_the_break_even_price() -> None:
    rng = np.random.default_rng(2)
    each = []
    for _ in range(400):
        days = rng.gamma(4, 20, 200)
        other, effect = rng.normal(-1000, 2000, 200) - 100 * days, rng.normal(0.05, 0.02, 200)  # savings go with days
        each.append(break_even_price(Increments.of(other, days, effect), 30000))
    values, errors = np.array([one.value[0] for one in each]), np.array([one.se[0] for one in each])
    assert errors.mean() == pytest.approx(values.std(ddof=1), rel=4 * np.sqrt(1 / (2 * 399)))


def test_closed_form_budget_impact_over_years_since_the_start() -> None:
    got = budget_impact([100, 200], [0.5, 0.25], [10.0, 4.0])
    np.testing.assert_allclose(got.net, [500, 500 + 200])
    assert got.total == 1200
    assert budget_impact([100], [1.0], 5.0, se=2.0).total_se == pytest.approx(200)
    with pytest.raises(ValueError, match="uptake"):
        budget_impact([100], [1.2], 5.0)


def test_closed_form_fieller_limits_are_ratios_at_the_edge_of_significance() -> None:
    mean, covariance = np.array([5000.0, 0.5]), np.array([[4e5, 20.0], [20.0, 0.01]])
    got = fieller(mean, covariance)
    for limit in (got.low, got.high):
        contrast = np.array([1.0, -limit])
        assert abs(contrast @ mean) / np.sqrt(contrast @ covariance @ contrast) == pytest.approx(1.959963984540054)
    assert got.low < got.ratio < got.high
    assert got.refused == ""
    assert fieller([100.0, 2.0], np.zeros((2, 2))) == fieller([100.0, 2.0], np.zeros((2, 2)))
    assert fieller([100.0, 2.0], np.zeros((2, 2))).low == 50.0


@pytest.mark.parametrize(
    ("mean", "variances", "kind"),
    [
        ((5000.0, 0.1), (1e4, 0.01), Bounded.OUTSIDE),
        ((10.0, 0.1), (1e4, 0.01), Bounded.ALL),
        ((10.0, 0.0), (1e4, 0.01), Bounded.ALL),
        ((10.0, 0.0), (1e4, 0.0), Bounded.UNDEFINED),
    ],
)
def test_fieller_refuses_what_is_unbounded(mean: tuple[float, float], variances: tuple[float, float], kind: Bounded) -> None:
    got = fieller(mean, np.diag(variances))
    assert got.bounded is kind
    assert np.isnan([got.low, got.high]).all()
    assert got.refused


def test_statistical_fieller_covers() -> None:
    rng = np.random.default_rng(4)
    truth, covered, repeats = 20000.0, 0, 2000
    for _ in range(repeats):
        effect = rng.normal(0.2, 0.5, 150)
        cost = truth * 0.2 + 3000 * (effect - 0.2) + rng.normal(0, 8000, 150)
        got = fieller_of_patients(cost, effect)
        covered += got.low <= truth <= got.high
    assert covered / repeats == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / repeats))


def test_closed_form_variance_of_few_patients_is_subtracted() -> None:
    rng = np.random.default_rng(5)
    draws, patients, between, within = 4000, 10, 4.0, 90.0
    truth = rng.normal(1.0, np.sqrt(between), draws)
    single = truth[:, None] + rng.normal(0, np.sqrt(within), (draws, patients))
    got = between_draw_moments(single.mean(axis=1)[:, None], (single.var(axis=1, ddof=1) / patients)[:, None, None])
    error = np.sqrt(2 / draws) * (between + within / patients)  # of a variance of normal numbers
    assert got.seen[0, 0] == pytest.approx(between + within / patients, abs=4 * error)
    assert got.covariance[0, 0] == pytest.approx(between, abs=4.2 * error)
    assert got.noise_share[0] == pytest.approx(9 / 13, abs=0.03)
    advice = patients_per_draw(between, within, patients, overhead=10.0)
    assert advice.noise_share == pytest.approx(9 / 13)
    assert advice.for_mean == 15  # sqrt(10 * 90 / 4)
    assert advice.for_share == 428  # within / between * 19 = 427.5
    assert within / 428 / (between + within / 428) <= 0.05
    assert patients_per_draw(0.0, within, patients).for_share is None


def test_closed_form_noise_raises_the_value_of_information_and_smoothing_takes_it_away() -> None:
    rng = np.random.default_rng(6)
    draws, mean, between, noise = 4000, -500.0, 800.0**2, 1500.0**2
    theta = rng.standard_normal(draws)
    gain = mean + np.sqrt(between) * theta + np.sqrt(noise) * rng.standard_normal(draws)
    cost, effect = np.column_stack([np.zeros(draws), -gain]), np.zeros((draws, 2))
    raw, smooth = decision_curves(cost, effect, [0.0]), decision_curves(cost, effect, [0.0], theta)
    truth = normal_evpi(mean, np.sqrt(between))
    assert raw.evpi[0] - truth == pytest.approx(noise_in_evpi(mean, between, noise), abs=4 * raw.evpi_mcse[0])
    assert raw.evpi[0] > truth + 20 * smooth.evpi_mcse[0]
    assert smooth.evpi[0] == pytest.approx(truth, abs=4 * smooth.evpi_mcse[0])
    right = 0.26598552904870054  # P(normal > 500 / 800)
    assert abs(raw.ceac[0, 1] - right) > 10 * raw.ceac_mcse[0, 1]
    assert smooth.ceac[0, 1] == pytest.approx(right, abs=0.03)
    assert smooth.smoothed
    assert not raw.smoothed


@pytest.mark.parametrize("inputs", [1, 3])
def test_statistical_standard_error_of_partial_information(inputs: int) -> None:
    """Mean of the standard errors against the spread of the estimates, and bias small beside it; three strategies."""
    rng = np.random.default_rng(7)
    repeats, draws = 120, 400
    values, errors = np.empty(repeats), np.empty(repeats)
    for k in range(repeats):
        x = rng.standard_normal((draws, inputs))
        noise = 600 * rng.standard_normal((draws, 2))
        nb = np.column_stack([np.zeros(draws), 100 + 500 * x[:, 0] + noise[:, 0], -50 + 300 * x[:, -1] + noise[:, 1]])
        got = evppi(nb, x)
        values[k], errors[k] = got.value, got.se
    # a standard error that left out the regression would be 0.6 of it
    assert errors.mean() / values.std(ddof=1) == pytest.approx(1, abs=4 * np.sqrt(1 / (2 * (repeats - 1))))
    if inputs == 1:
        grid = np.random.default_rng(8).standard_normal(2_000_000)
        truth = np.maximum(0, np.maximum(100 + 500 * grid, -50 + 300 * grid)).mean() - 100
        assert abs(values.mean() - truth) < 0.3 * values.std()


def test_statistical_errors_of_the_curves() -> None:
    rng = np.random.default_rng(9)
    repeats, draws = 400, 300
    got = []
    for _ in range(repeats):
        gain = rng.normal(200, 700, draws)
        cost = np.column_stack([np.zeros(draws), -gain])
        got.append(decision_curves(cost, np.zeros_like(cost), [0.0]))
    for name in ("evpi", "ceac", "expected_loss", "net_benefit"):
        values = np.array([np.ravel(getattr(one, name))[-1] for one in got])
        errors = np.array([np.ravel(getattr(one, f"{name}_mcse"))[-1] for one in got])
        assert errors.mean() / values.std(ddof=1) == pytest.approx(1, abs=4 * np.sqrt(1 / (2 * (repeats - 1))))


def test_closed_form_net_benefit_of_sampling() -> None:
    rng = np.random.default_rng(10)
    theta = rng.standard_normal(5000)
    nb = np.column_stack([np.zeros(5000), 1000 * theta])
    sizes = (10, 100)
    noise = np.cumsum(rng.standard_normal((5000, 2)) * np.sqrt([10, 90]), axis=1) / np.array(sizes)
    study = evsi(nb, (theta[:, None] + noise)[:, :, None], sizes)
    rule = discounting("has_2020")
    who = Beneficiaries(per_year=300, years=5, delay=2, discounting=rule)
    people = who.people(10)
    assert people == pytest.approx(300 * (rule.annuity(0, 5) - rule.annuity(0, 2)))
    got = enbs(study, who, fixed=50_000, per_patient=1_000)
    np.testing.assert_allclose(got.value, people * study.rising - 50_000 - 1_000 * np.array(sizes))
    np.testing.assert_allclose(got.se, people * study.se)
    assert got.best == sizes[int(np.argmax(got.value))]
    assert got.best in got.as_good
    assert enbs(study, who, fixed=1e9).best == 0
    assert Beneficiaries(300, 5, delay=7).people() == 0


def test_a_larger_study_reports_later_and_serves_fewer() -> None:
    rng = np.random.default_rng(12)
    nb = np.column_stack([np.zeros(400), 1000 * rng.standard_normal(400)])
    study = evsi(nb, np.repeat(nb[:, None, 1:], 3, axis=1), (100, 400, 900))  # the three tell the same
    who = Beneficiaries(per_year=300, years=10, delay=1, enrolled_per_year=100)
    assert [who.reports(int(n)) for n in study.sizes] == [2, 5, 10]
    got = enbs(study, who)
    np.testing.assert_allclose(got.people, [300 * 8, 300 * 5, 0])
    np.testing.assert_allclose(got.value, got.people * study.rising)
    assert got.best == 100
    assert got.as_good == (100,)


def test_what_cannot_be_estimated_says_so() -> None:
    nb = np.random.default_rng(11).normal(size=(10, 2))
    got = evppi(nb, nb[:, 0])
    assert got.status is Status.NOT_ESTIMABLE
    assert np.isnan(got.value)
    study = evsi(nb, np.zeros((10, 2, 1)), [5, 10])
    assert study.status is Status.NOT_ESTIMABLE
    assert np.isnan(study.rising).all()
    with pytest.raises(ValueError, match="ascend"):
        evsi(nb, np.zeros((10, 2, 1)), [10, 5])
    assert np.isnan(net_health_benefit(np.array(1.0), np.array(1.0), 0.0))
    assert evpi(np.ones((30, 3))).value == 0
