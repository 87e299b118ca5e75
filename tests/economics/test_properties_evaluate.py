"""Identities of the evaluation: sums of the ledger, equal strategies, prices, integrals, prefixes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cmvsim.calibration import calibrate
from cmvsim.core.errors import InputError
from cmvsim.core.ledger import Component, Item
from cmvsim.core.streams import Role
from cmvsim.economics.cohort import evaluate_cohort, model_of
from cmvsim.economics.evaluate import Outcomes, evaluate
from cmvsim.economics.settings import EvaluationSettings
from cmvsim.models.quality_of_life import DAYS_PER_YEAR
from cmvsim.models.strategies import StrategySpec
from cmvsim.scenarios import resolve
from cmvsim.simulation.cohort import ALL, simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.paired import simulate_paired
from cmvsim.simulation.quality_of_life import expected_index_at
from cmvsim.valuation.discounting import past_first_year

GIVEN = ("letermovir.effect=given", "letermovir.given={ onset_ratio = 0.5, set_point_shift = -0.5 }")
"""The effect is not solved here: these tests are of what is done with a history."""
PATIENTS = 16


@pytest.fixture(scope="module")
def model() -> Model:
    scenario = resolve("letermovir-strategies", GIVEN)
    made = model_of(scenario.spec, calibrate(scenario, patients=1024).baseline)
    more = {
        **made.strategies,
        "nothing": StrategySpec(label="Nothing either"),
        "again": made.strategies["universal"],
    }
    return replace(made, strategies=more)


@pytest.fixture(scope="module")
def settings(model: Model) -> EvaluationSettings:
    scenario = resolve("letermovir-strategies", GIVEN).spec.model_copy(update={"strategies": model.strategies})
    return EvaluationSettings.of(scenario)


@pytest.fixture(scope="module")
def draws() -> ChunkDraws:
    return ChunkDraws(5, Role.DECISION, 0, PATIENTS)


@pytest.fixture(scope="module")
def outcomes(model: Model, settings: EvaluationSettings, draws: ChunkDraws) -> Outcomes:
    return evaluate(model, draws, settings)


def test_cost_is_the_sum_of_the_ledger(model: Model, settings: EvaluationSettings, outcomes: Outcomes) -> None:
    """Row by row from a history of the ordinary engine, by strategy, component and item."""
    for k, name in enumerate(settings.strategies):
        history = simulate(model, ChunkDraws(5, Role.DECISION, 0, PATIENTS), needs=ALL, strategy=name)
        assert history.ledger is not None
        table = history.ledger.totals_by_item()
        np.testing.assert_array_equal(outcomes.quantity[k], table.sum(axis=0))
        by_component = np.einsum("cip,i->cp", table, settings.unit_costs[k])
        np.testing.assert_allclose(outcomes.cost[k], by_component, rtol=1e-12, atol=1e-9)
        np.testing.assert_allclose(outcomes.total[k], by_component.sum(axis=0), rtol=1e-12)
        np.testing.assert_array_equal(outcomes.events["death"][k], np.isfinite(history.death.T.reshape(-1)))
        np.testing.assert_array_equal(outcomes.events["clinically_significant"][k], _significant(history))


def _significant(history) -> np.ndarray:  # type: ignore[no-untyped-def]
    until = np.minimum(history.death, history.horizon)
    return (history.clinically_significant <= until).T.reshape(-1)


def test_a_strategy_without_a_drug_has_increments_of_exactly_0(settings: EvaluationSettings, outcomes: Outcomes) -> None:
    k = settings.strategies.index("nothing")
    for values in (outcomes.cost, outcomes.quantity, outcomes.qaly, outcomes.life_years, *outcomes.events.values()):
        np.testing.assert_array_equal(values[k], values[0])


def test_a_strategy_is_the_same_whatever_stands_beside_it(
    model: Model, settings: EvaluationSettings, outcomes: Outcomes
) -> None:
    for k, name in enumerate(settings.strategies[1:], start=1):
        places = [0, k]
        two = replace(settings, strategies=(settings.strategies[0], name), unit_costs=settings.unit_costs[places])
        alone = evaluate(model, ChunkDraws(5, Role.DECISION, 0, PATIENTS), two)
        np.testing.assert_array_equal(alone.cost, outcomes.cost[places])
        np.testing.assert_array_equal(alone.qaly, outcomes.qaly[places])


def test_equal_strategies_have_equal_outcomes(settings: EvaluationSettings, outcomes: Outcomes) -> None:
    one, other = settings.strategies.index("universal"), settings.strategies.index("again")
    np.testing.assert_array_equal(outcomes.cost[one], outcomes.cost[other])
    np.testing.assert_array_equal(outcomes.qaly[one], outcomes.qaly[other])


@pytest.mark.parametrize("price", [1.0, 304.13, 1e6])
def test_increments_at_a_price_and_at_0_differ_by_price_times_days(
    model: Model, settings: EvaluationSettings, draws: ChunkDraws, price: float
) -> None:
    free = evaluate(model, draws, settings.with_letermovir_price(0.0))
    paid = evaluate(model, draws, settings.with_letermovir_price(price))
    difference = (paid.total - free.total).sum(axis=1)
    np.testing.assert_allclose(difference, price * free.quantity[:, Item.LETERMOVIR_DAY.code].sum(axis=1), rtol=1e-12)
    np.testing.assert_array_equal(paid.qaly, free.qaly)


def test_packs_are_whole(model: Model, settings: EvaluationSettings, draws: ChunkDraws, outcomes: Outcomes) -> None:
    packs = evaluate(model, draws, replace(settings, pack_days=28.0))
    spent = packs.cost[:, Component.PROPHYLAXIS.code] / (28 * settings.unit_costs[:, Item.LETERMOVIR_DAY.code, None])
    np.testing.assert_allclose(spent, np.round(spent), atol=1e-9)
    assert (packs.cost[:, Component.PROPHYLAXIS.code] >= outcomes.cost[:, Component.PROPHYLAXIS.code] - 1e-9).all()
    np.testing.assert_array_equal(packs.quantity, outcomes.quantity)


def test_quantities_are_those_charged(
    model: Model, settings: EvaluationSettings, draws: ChunkDraws, outcomes: Outcomes
) -> None:
    fewer = evaluate(model, draws, replace(settings, tested_on_drug=False))
    np.testing.assert_allclose(np.einsum("sip,si->sp", fewer.quantity, settings.unit_costs), fewer.total, rtol=1e-12, atol=1e-9)
    tests = fewer.quantity[:, Item.CMV_PCR.code].sum(axis=1) - outcomes.quantity[:, Item.CMV_PCR.code].sum(axis=1)
    given = settings.strategies.index("universal")
    assert tests[given] < 0
    assert tests[0] == 0


def test_without_an_effect_a_drug_only_costs(settings: EvaluationSettings) -> None:
    scenario = resolve("letermovir-strategies", ("letermovir.effect=none",))
    null = model_of(scenario.spec, calibrate(scenario, patients=1024).baseline)
    found = evaluate(null, ChunkDraws(5, Role.DECISION, 0, PATIENTS), EvaluationSettings.of(scenario.spec, ("universal",)))
    np.testing.assert_array_equal(found.qaly[1], found.qaly[0])
    rest = [component.code for component in Component if component is not Component.PROPHYLAXIS]
    np.testing.assert_array_equal(found.cost[1, rest], found.cost[0, rest])
    assert found.events["drug_days"][1].mean() > 30


def test_qaly_is_the_integral_of_the_expected_index(
    model: Model, settings: EvaluationSettings, draws: ChunkDraws, outcomes: Outcomes
) -> None:
    """Against the expected index at many times, by the midpoint rule, which errs by some 3e-5 years at each change of state."""
    (_, course), *_ = list(simulate_paired(model, draws, ("preemptive",)))
    step = 0.05
    until = np.minimum(course.after.death, model.horizon)
    total = np.zeros(until.shape)
    assert model.latent_health is not None
    for day in np.arange(step / 2, model.horizon, step):
        index = expected_index_at(
            model.quality_of_life,
            model.latent_health,
            course.background.population,
            course.health,
            float(day),
            draws,
            settings.adult,
            settings.youth,
        )
        total += index * np.clip(until - (day - step / 2), 0.0, step)
    np.testing.assert_allclose(outcomes.qaly[0], total / DAYS_PER_YEAR, atol=2e-4)
    assert outcomes.qaly[0].mean() == pytest.approx(total.mean() / DAYS_PER_YEAR, abs=2e-6)
    np.testing.assert_allclose(outcomes.life_years[0], np.maximum(until, 0) / DAYS_PER_YEAR, rtol=1e-12)
    assert (outcomes.qaly <= outcomes.life_years + 1e-12).all()


def test_a_smaller_cohort_is_the_beginning_of_a_larger_one(model: Model, settings: EvaluationSettings) -> None:
    small, large = (evaluate_cohort(model, settings, n, 3) for n in (700, 900))
    np.testing.assert_array_equal(small.total, large.total[:, :700])
    np.testing.assert_array_equal(small.qaly, large.qaly[:, :700])
    assert small.patients == 700


def test_cohorts_of_decision_and_study_are_independent(model: Model, settings: EvaluationSettings) -> None:
    one = evaluate_cohort(model, settings, 512, 3)
    other = evaluate_cohort(model, settings, 512, 3, role=Role.STUDY)
    assert abs(np.corrcoef(one.total[0], other.total[0])[0, 1]) < 0.2
    assert not np.array_equal(one.total, other.total)


def test_without_cmv_nothing_is_spent_on_it(model: Model, settings: EvaluationSettings, draws: ChunkDraws) -> None:
    off = evaluate(model, draws, settings, cmv=False)
    assert not off.events["clinically_significant"].any()
    assert not off.cost[:, [Component.TREATMENTS.code, Component.SURVEILLANCE_EXTRA.code]].any()


def test_the_tail_is_its_closed_form(model: Model, settings: EvaluationSettings, draws: ChunkDraws, outcomes: Outcomes) -> None:
    spec = resolve("letermovir-strategies", (*GIVEN, "economics.tail.include=true")).spec
    with_tail = evaluate(model, draws, replace(settings, tail=EvaluationSettings.of(spec).tail))
    alive = outcomes.events["death"] == 0
    gain = with_tail.qaly - outcomes.qaly
    assert (gain[alive] > 0).all()
    assert not gain[~alive].any()
    np.testing.assert_allclose(with_tail.tail_qaly, gain, atol=1e-12)


@pytest.mark.parametrize(
    ("hazard", "rate", "since", "years"),
    [(0.1, 0.025, 0.5, 20.0), (0.0, 0.0, 0.3, 5.0), (1.1, 0.03, 1.4, 9.0), (0.2, 0.03, 0.1, 0.5)],
)
def test_independent_quadrature_of_discounted_years(hazard: float, rate: float, since: float, years: float) -> None:
    t = (np.arange(400_000) + 0.5) * years / 400_000
    factor = np.where(since + t > 1, (1 + rate) ** -(since + t - 1), 1.0)
    assert past_first_year(rate).years_lived(hazard, since, years) == pytest.approx(
        (np.exp(-hazard * t) * factor).mean() * years, rel=1e-6
    )


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("economics.price_list=france_1999", "there is no price list"),
        ("economics.value_set=mars", "there is no value set"),
        ("strategies.universal.dose=720", "no price of a day at 720 mg"),
        ("economics.thresholds=[2, 1]", "ascend"),
        ("economics.counted=boxes", "not allowed"),
    ],
)
def test_user_mistakes(override: str, says: str) -> None:
    with pytest.raises(InputError) as error:
        resolve("letermovir-strategies", (override,))
    assert says in str(error.value)


def test_unknown_strategy_is_told() -> None:
    with pytest.raises(InputError, match="there is no strategy 'universl'"):
        EvaluationSettings.of(resolve("letermovir-strategies").spec, ("universl",))
