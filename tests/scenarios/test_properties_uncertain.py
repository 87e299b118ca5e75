"""Uncertain inputs, draws of them and varied scenarios: always valid, prefixes, correlation, nothing moves unasked."""

from __future__ import annotations

import numpy as np
import pytest
from schema_check import errors
from scipy import special, stats

from cmvsim.core.errors import InputError
from cmvsim.core.marginal import Marginal
from cmvsim.core.value import Uncertain
from cmvsim.scenarios import ResolvedScenario, catalogue_ids, resolve
from cmvsim.scenarios.json_schema import json_schema
from cmvsim.scenarios.key_paths import numbers_in
from cmvsim.scenarios.parameters import UncertainInput, kind_of, limits_of, uncertain_inputs, uncertain_prices
from cmvsim.scenarios.sampling import draw_parameters
from cmvsim.scenarios.vary import vary, vary_prices
from cmvsim.valuation.prices import price_list

MANY = 4000


@pytest.fixture(scope="module")
def scenario() -> ResolvedScenario:
    return resolve("letermovir-strategies")


@pytest.mark.parametrize("name", catalogue_ids())
def test_every_draw_of_every_catalogue_scenario_is_a_valid_scenario(name: str) -> None:
    found = resolve(name)
    draws = draw_parameters(uncertain_inputs(found), 25, seed=7)
    for draw in range(25):
        varied = vary(found, draws.changes(draw))
        assert varied.digest != found.digest
    again = ResolvedScenario.of_dict(varied.as_dict(), source=found.source)  # validated from the plain tree, by another route
    assert again.spec == varied.spec


def test_unchanged_numbers_are_the_same_scenario(scenario: ResolvedScenario) -> None:
    same = {key: item.centre for item in uncertain_inputs(scenario) for key in item.keys}
    assert vary(scenario, same).digest == scenario.digest
    assert vary(scenario, {}) is scenario


def test_each_input_moves_what_it_says_and_nothing_else(scenario: ResolvedScenario) -> None:
    before = dict(numbers_in(scenario.spec))
    for item in uncertain_inputs(scenario):
        low, _ = limits_of(scenario, item)
        after = dict(numbers_in(vary(scenario, item.changes(low)).spec))
        moved = {key for key in before if after[key] != before[key]}
        allowed = set(item.keys) | {key for key in before if item.shares and key.startswith(item.shares)}
        assert set(item.keys) <= moved <= allowed, item.key


def test_limits_are_valid_scenarios_one_at_a_time(scenario: ResolvedScenario) -> None:
    for item in uncertain_inputs(scenario):
        low, high = limits_of(scenario, item)
        assert low <= high
        for value in (low, high):
            assert vary(scenario, item.changes(value)).digest != scenario.digest, item.key


def test_an_entry_used_at_several_keys_is_one_input(scenario: ResolvedScenario) -> None:
    found = {item.id: item for item in uncertain_inputs(scenario)}
    assert len(found) == len(uncertain_inputs(scenario))
    assert found["infection_ratio_cmv"].keys == ("infections.bacterial.ratios.cmv", "infections.fungal.ratios.cmv")


def test_few_draws_are_the_first_of_many_and_inputs_do_not_disturb_each_other(scenario: ResolvedScenario) -> None:
    inputs = uncertain_inputs(scenario)
    many = draw_parameters(inputs, 200, seed=3)
    assert np.array_equal(draw_parameters(inputs, 17, seed=3).values, many.values[:17])
    alone = [place for place, item in enumerate(inputs) if not item.wholes and not item.shares][::3]
    some = draw_parameters([inputs[place] for place in alone], 200, seed=3)
    assert np.array_equal(some.values, many.values[:, alone])
    assert not np.array_equal(draw_parameters(inputs, 17, seed=4).values, many.values[:17])


def test_draws_stay_in_range_and_parts_below_their_wholes(scenario: ResolvedScenario) -> None:
    inputs = uncertain_inputs(scenario)
    draws = draw_parameters(inputs, MANY, seed=1).values
    column = {key: draws[:, place] for place, item in enumerate(inputs) for key in item.keys}
    for place, item in enumerate(inputs):
        assert np.all((draws[:, place] >= item.low) & (draws[:, place] <= item.high)), item.key
        assert all(np.all(draws[:, place] <= column[whole]) for whole in item.wholes if whole in column)
    part, whole = column["resistance.aciclovir.ul54"], column["resistance.aciclovir.change"]
    assert np.all(part <= whole)
    order = np.argsort(whole)
    assert np.all(np.diff(part[order]) >= 0), "of one rank"
    item = next(item for item in inputs if item.key == "resistance.aciclovir.ul54")
    law = stats.beta(*item.distribution.parameters)
    assert part.mean() == pytest.approx(law.mean(), abs=4 * law.std() / np.sqrt(part.size))


def test_unbounded_margins_are_those_stated(scenario: ResolvedScenario) -> None:
    """Kolmogorov-Smirnov at 1e-4 over a hundred inputs: a wrong scale or swapped parameters would be far beyond."""
    inputs = uncertain_inputs(scenario)
    draws = draw_parameters(inputs, MANY, seed=5).values
    laws = {
        "beta": lambda a, b: stats.beta(a, b),
        "normal": lambda a, b: stats.norm(a, b),
        "lognormal": lambda a, b: stats.lognorm(b, scale=a),
        "gamma": lambda a, b: stats.gamma(a, scale=b),
    }
    checked = 0
    for place, item in enumerate(inputs):
        free = not item.wholes and item.distribution.kind in laws
        if not free:
            continue
        law = laws[item.distribution.kind](*item.distribution.parameters)
        if law.cdf(item.high) - law.cdf(item.low) < 0.999:
            continue
        assert stats.kstest(draws[:, place], law.cdf).pvalue > 1e-4 / len(inputs), item.key
        checked += 1
    assert checked > 100


def test_shares_of_one_dirichlet_distribution(scenario: ResolvedScenario) -> None:
    inputs = [item for item in uncertain_inputs(scenario) if item.shares]
    draws = draw_parameters(inputs, MANY, seed=2).values
    assert np.allclose(draws.sum(axis=1), 1, atol=1e-12)
    # of a Dirichlet law with concentration 20: cov(i, j) = -m_i m_j / 21
    found, mean = np.cov(draws.T), np.array([0.55, 0.25, 0.20])
    assert np.allclose(draws.mean(axis=0), mean, atol=5 * 0.11 / np.sqrt(MANY))
    assert np.allclose(found[~np.eye(3, dtype=bool)], (-np.outer(mean, mean) / 21)[~np.eye(3, dtype=bool)], rtol=0.15)


def _grouped(correlation: float | None) -> tuple[UncertainInput, ...]:
    tied = f', group = "g", correlation = {correlation}' if correlation is not None else ""
    keys = ("cmv.onset.ratios.corticosteroids", "cmv.onset.ratios.tocilizumab")
    values = [f"{key}={{ value = 1.5, uncertain = {{ lognormal = [1.5, 0.3]{tied} }} }}" for key in keys]
    found = uncertain_inputs(resolve("cmv-cart", values))
    return tuple(item for item in found if item.key in keys)


@pytest.mark.parametrize("correlation", [None, 0.0, 0.6, 1.0])
def test_a_group_has_the_correlation_it_states(correlation: float | None) -> None:
    inputs = _grouped(correlation)
    z = np.log(draw_parameters(inputs, MANY, seed=9).values)
    found, wanted = np.corrcoef(z.T)[0, 1], correlation or 0.0
    assert abs(found - wanted) < 5 * (1 - wanted**2) / np.sqrt(MANY) + 1e-9
    assert np.allclose(z.std(axis=0), 0.3, rtol=5 / np.sqrt(2 * MANY))


def test_members_of_a_group_must_agree_and_a_group_needs_a_correlation() -> None:
    one = 'cmv.onset.shape={ value = 1.2, uncertain = { normal = [1.2, 0.1], group = "g", correlation = 0.2 } }'
    other = 'cmv.load.treated.lag={ value = 4, uncertain = { lognormal = [4, 0.2], group = "g", correlation = 0.3 } }'
    with pytest.raises(InputError, match="correlation"):
        uncertain_inputs(resolve("cmv-cart", [one, other]))
    with pytest.raises(InputError, match="needs a correlation from 0 to 1"):
        resolve("cmv-cart", ['cmv.onset.shape={ value = 1.2, uncertain = { normal = [1.2, 0.1], group = "g" } }'])


def test_groups_survive_the_resolved_form() -> None:
    scenario = resolve(
        "cmv-cart", ['cmv.onset.shape={ value = 1.2, uncertain = { normal = [1.2, 0.1], group = "g", correlation = 0.2 } }']
    )
    again = ResolvedScenario.of_dict(scenario.as_dict(), source="x")
    assert again.spec.cmv.onset.shape.uncertain == scenario.spec.cmv.onset.shape.uncertain
    assert again.digest == scenario.digest


@pytest.mark.parametrize(
    ("value", "interval", "low", "log"),
    [
        (2.0, (1.0, 4.0), 0.0, True),
        (2.5, (1.0, 4.0), 0.0, False),
        (0.1, (-0.4, 0.6), -1.0, False),
        (2.0, (0.0, 4.0), 0.0, False),
    ],
)
def test_an_interval_is_read_on_the_scale_it_is_symmetric_on(
    value: float, interval: tuple[float, float], low: float, log: bool
) -> None:
    found = Marginal(Uncertain(kind="interval95", parameters=interval), value, low=low)
    assert found.on_log_scale is log
    if log:  # nothing is cut off: the ends are those stated
        assert found.interval95() == pytest.approx(interval)
        assert float(found.quantile(np.array(0.5))) == pytest.approx(2.0)


@pytest.mark.parametrize("kind", ["normal", "lognormal", "gamma", "beta", "interval95"])
def test_truncation_is_the_conditional_distribution(kind: str) -> None:
    parameters = {
        "normal": (0.4, 0.3),
        "lognormal": (0.4, 0.6),
        "gamma": (2.0, 0.3),
        "beta": (2.0, 3.0),
        "interval95": (0.1, 0.7),
    }
    whole = Marginal(Uncertain(kind=kind, parameters=parameters[kind]), 0.4)  # type: ignore[arg-type]
    cut = Marginal(whole.distribution, 0.4, 0.2, 0.6)
    u = (np.arange(2_000_000) + 0.5) / 2_000_000
    everything = whole.quantile(u)
    inside = everything[(everything >= 0.2) & (everything <= 0.6)]
    for q in (0.05, 0.5, 0.95):
        assert float(cut.quantile(np.array(q))) == pytest.approx(float(np.quantile(inside, q)), abs=2e-5)


def test_shares_not_varied_give_way(scenario: ResolvedScenario) -> None:
    varied = vary(scenario, {"preemptive_therapy.first_line.valganciclovir": 0.1}).spec.preemptive_therapy.first_line
    assert [float(varied[name]) for name in ("valganciclovir", "ganciclovir", "foscarnet")] == pytest.approx([0.1, 0.5, 0.4])


def test_mistakes_are_told() -> None:
    scenario = resolve("cmv-cart")
    with pytest.raises(InputError, match="there is no key 'monitoring"):
        vary(scenario, {"monitoring.attendence": 0.5})
    with pytest.raises(InputError, match="not allowed"):
        vary(scenario, {"monitoring.attendance": 1.5})
    with pytest.raises(InputError, match="is no number"):
        vary(scenario, {"monitoring.schedule": 1.0})
    with pytest.raises(InputError, match="above death"):
        vary(scenario, {"follow_up.non_relapse_mortality_by_90.dlbcl": 0.5})


def test_varied_numbers_say_so_and_keep_their_evidence(scenario: ResolvedScenario) -> None:
    value = vary(scenario, {"cmv.targets[0].value": 0.4}).spec.cmv.incidence.value
    assert float(value) == 0.4
    assert value.evidence == "p_any90_plasma_weekly"
    assert value.assumed is not None
    assert "varied" in value.assumed


def test_kinds() -> None:
    assert [kind_of(key) for key in ("cmv.targets[0].value", "cmv.onset.shape", "prices.ward_day")] == [
        "target",
        "law",
        "price",
    ]


def test_prices_vary_by_evidence_and_no_others() -> None:
    prices = price_list("france_2025")
    inputs = uncertain_prices("france_2025")
    assert inputs
    assert {item.kind for item in inputs} == {"price"}
    assert np.array_equal(vary_prices(prices, {}).unit_costs, prices.unit_costs)
    draws = draw_parameters(inputs, 50, seed=1)
    varied = vary_prices(prices, draws.changes(0))
    moved = {item for item in prices.evidence if varied.unit_costs[item.code] != prices.unit_costs[item.code]}
    assert {f"prices.{item.value}" for item in moved} == {key for item in inputs for key in item.keys}
    ward = next(item for item in inputs if item.key == "prices.ward_day")
    doubled = vary_prices(prices, ward.changes(2 * ward.centre))
    assert np.isclose(doubled.unit_costs[[i.code for i in prices.evidence if i.value == "ward_day"]], 2 * 1150).all()
    with pytest.raises(InputError):
        uncertain_prices("nowhere")


def test_normal_scores_are_those_of_the_streams(scenario: ResolvedScenario) -> None:
    """The stream of an input is named after its evidence: a pinned number, as a rename would change every result."""
    item = next(item for item in uncertain_inputs(scenario) if item.id == "onset_ratio_steroids")
    value = draw_parameters([item], 1, seed=1).values[0, 0]
    z = np.log(value / 1.8) / 0.3
    from cmvsim.core.streams import Role, generator, stable_hash

    expected = generator(1, Role.PARAMETERS, 0, "parameters.value", stable_hash("onset_ratio_steroids")).standard_normal()
    assert z == pytest.approx(expected, abs=1e-9)
    assert special.ndtr(z) > 0


@pytest.mark.parametrize(
    ("uncertain", "fits"),
    [
        ({"normal": [1.2, 0.1]}, True),
        ({"normal": [1.2, 0.1], "group": "g", "correlation": 0.5}, True),
        ({"normal": [1.2, 0.1], "group": "g"}, False),
        ({"normal": [1.2, 0.1], "beta": [1, 2]}, False),
        ({"group": "g", "correlation": 0.5}, False),
        ({"normal": [1.2, 0.1], "group": "g", "correlation": 1.5}, False),
    ],
)
def test_the_json_schema_knows_groups(uncertain: dict, fits: bool) -> None:
    schema = json_schema()
    field = schema["$defs"]["OnsetSpec"]["properties"]["shape"]
    assert (errors({"value": 1.2, "uncertain": uncertain}, field, schema) == []) is fits
