"""Draws: of everything that is uncertain, the same wherever computed, equal strategies equal, noise told apart."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmvsim.calibration import calibrate
from cmvsim.calibration.quality_of_life import convert
from cmvsim.calibration.redraw import Laws, Redraw
from cmvsim.core.ledger import Item
from cmvsim.core.streams import CHUNK_REPLICATES
from cmvsim.economics.information import Decision, break_even, highest_price, information_tree, perfect_by_price
from cmvsim.economics.probabilistic import PsaDraws, PsaExperiment, collect, drawn_inputs
from cmvsim.economics.psa_tables import psa_tree, samples_of, varied
from cmvsim.economics.samples import psa_csv, read_psa
from cmvsim.economics.settings import EvaluationSettings
from cmvsim.economics.study_summaries import StudyExperiment, informed
from cmvsim.models.baseline import Baseline
from cmvsim.models.strategies import StrategySpec
from cmvsim.montecarlo.run import open_store, run
from cmvsim.scenarios import ResolvedScenario, resolve
from cmvsim.scenarios.vary import vary

GIVEN = ("letermovir.effect=given", "letermovir.given={ onset_ratio = 0.5, set_point_shift = -0.5 }")
PATIENTS = 64
THRESHOLD = 50_000.0


@pytest.fixture(scope="module")
def scenario() -> ResolvedScenario:
    own = resolve("letermovir-breakeven", GIVEN)
    more = {**own.spec.strategies, "nothing": StrategySpec(label="Nothing either")}
    return replace(own, spec=own.spec.model_copy(update={"strategies": more}))


@pytest.fixture(scope="module")
def experiment(scenario: ResolvedScenario) -> PsaExperiment:
    redraw = Redraw(scenario, calibrate(scenario, patients=1024), patients=512).prepare()
    return PsaExperiment(scenario, redraw, ("preemptive", "targeted", "nothing"), PATIENTS, 3)


@pytest.fixture(scope="module")
def psa(experiment: PsaExperiment, tmp_path_factory: pytest.TempPathFactory) -> PsaDraws:
    store = open_store(tmp_path_factory.mktemp("psa") / "store", experiment)
    return collect(run(experiment, replicates=64, store=store), experiment)


def test_every_uncertain_value_is_drawn(scenario: ResolvedScenario, psa: PsaDraws) -> None:
    kinds = {item.kind for item in drawn_inputs(scenario)}
    assert kinds == {"target", "law", "price"}
    assert (np.ptp(psa.parameters, axis=0) > 0).all()
    assert psa.draws.size + len(psa.failed) == 64


def test_a_draw_is_the_same_in_another_process_and_in_a_longer_series(experiment: PsaExperiment, psa: PsaDraws) -> None:
    cloudpickle = pytest.importorskip("cloudpickle")  # as workers get it
    sent = pickle.loads(cloudpickle.dumps(experiment))
    draw = int(psa.draws[5])
    outcomes, _, _ = sent.draw(sent.parameters(300), draw)
    np.testing.assert_array_equal(outcomes.total.mean(axis=1), psa.cost[5])
    np.testing.assert_array_equal(sent.parameters(300).values[psa.draws], psa.parameters)


def test_draws_and_their_studies_are_under_hazards_solved_under_the_law_drawn(experiment: PsaExperiment, psa: PsaDraws) -> None:
    """The set-point is drawn: with hazards held fixed all onset amplitudes would be those of the targets alone."""
    drawn, asked = experiment.parameters(64), []

    class Asked(Redraw):
        def solve(self, varied: ResolvedScenario, laws: Laws = "fixed") -> tuple[Baseline, bool]:
            found, held = super().solve(varied, laws), super().solve(varied)
            asked.append((laws, found[0].onset_amplitude, held[0].onset_amplitude))
            return found

    spy = Asked.__new__(Asked)
    spy.__dict__.update(experiment.redraw.__dict__)
    watched = replace(experiment, redraw=spy)
    watched.draw(drawn, int(psa.draws[0]))
    StudyExperiment(watched, (64,)).study(drawn, int(psa.draws[0]))
    assert [laws for laws, _, _ in asked] == ["solved", "solved"]
    assert asked[0] == asked[1], "the study has the hazards of the decision"
    assert asked[0][1] != asked[0][2]


def test_draws_whose_targets_are_not_met_are_counted(experiment: PsaExperiment, psa: PsaDraws) -> None:
    drawn = experiment.parameters(int(psa.draws[-1]) + 1)
    varied = [vary(experiment.scenario, drawn.changes(int(draw))) for draw in psa.draws]
    missed = sum(not experiment.redraw.reaches(one, laws="solved") for one in varied)
    assert psa.unreached == missed > 0


def test_a_draw_is_its_own_evaluation(experiment: PsaExperiment, psa: PsaDraws) -> None:
    """Prices of the draw times quantities of the draw, from the parameters as the interchange file states them."""
    for place in (0, 7):
        draw = int(psa.draws[place])
        outcomes, settings, _ = experiment.draw(experiment.parameters(CHUNK_REPLICATES), draw)
        cost = np.einsum("sip,si->sp", outcomes.quantity, settings.unit_costs).mean(axis=1)
        np.testing.assert_allclose(psa.cost[place], cost, rtol=1e-12)
        ward = next(k for k, item in enumerate(psa.inputs) if item.key == "prices.ward_day")
        assert settings.unit_costs[0, Item.WARD_DAY.code] == pytest.approx(psa.parameters[place, ward], rel=1e-12)


def test_a_strategy_without_a_drug_has_increments_of_exactly_0_in_every_draw(psa: PsaDraws) -> None:
    k = psa.strategies.index("nothing")
    np.testing.assert_array_equal(psa.cost[:, k], psa.cost[:, 0])
    np.testing.assert_array_equal(psa.qaly[:, k], psa.qaly[:, 0])
    assert not psa.within[:, k].any()


def test_draws_have_patients_of_their_own(experiment: PsaExperiment) -> None:
    drawn = experiment.parameters(CHUNK_REPLICATES)
    one, other = experiment.draw(drawn, 0)[0], experiment.draw(drawn, 1)[0]
    assert not np.array_equal(one.stratum, other.stratum)


def test_cost_is_linear_in_the_price(experiment: PsaExperiment, psa: PsaDraws) -> None:
    today = float(EvaluationSettings.of(experiment.scenario.spec, ("targeted",)).day_prices[1])
    free = psa.at_price(today, 0.0)
    np.testing.assert_allclose(psa.cost - free, today * psa.drug_days, rtol=1e-9, atol=1e-6)
    name, price = break_even(psa, today, THRESHOLD)
    assert name == "targeted"
    at = Decision(psa, today, price, THRESHOLD).net_benefit().mean(axis=0)
    assert at[1] == pytest.approx(at[0], rel=1e-12)


def test_tables_of_the_draws(experiment: PsaExperiment, psa: PsaDraws, tmp_path: Path) -> None:
    fixed = [{"cost": {"value": 1.0}, "qaly": {"value": 0.0}} for _ in psa.strategies]
    prices = EvaluationSettings.of(experiment.scenario.spec, experiment.strategies[1:]).day_prices
    tree = psa_tree(psa, (0.0, THRESHOLD), 1, prices, fixed)
    assert tree["strategies"][0]["cost_gap"] == pytest.approx(psa.cost[:, 0].mean() - 1)
    same = tree["increments"][1]
    assert same["cost"] == {"value": 0.0, "se": 0.0, "sd": 0.0}
    targeted = tree["increments"][0]
    seen = (psa.cost[:, 1] - psa.cost[:, 0]).var(ddof=1)
    assert targeted["cost"]["sd"] ** 2 == pytest.approx(max(seen - psa.within[:, 1, 0, 0].mean(), 0.0))
    (tmp_path / "PSA.csv").write_text(psa_csv(samples_of(psa)), encoding="utf-8")
    back = read_psa(tmp_path / "PSA.csv")
    np.testing.assert_array_equal(back.cost, psa.cost)
    assert list(back.inputs) == [item.id for item in psa.inputs]


def test_studies_are_nested_and_apart_from_the_decision(experiment: PsaExperiment, psa: PsaDraws) -> None:
    study = StudyExperiment(experiment, (32, 64))
    drawn = experiment.parameters(CHUNK_REPLICATES)
    table = np.stack([study.study(drawn, int(draw)) for draw in psa.draws[:12]])
    assert table.shape[1:] == (2, 3)
    counts = table * np.array([32, 64])[None, :, None]
    np.testing.assert_allclose(counts, np.round(counts), atol=1e-9)
    assert (counts[:, 1] >= counts[:, 0] - 1e-9).all(), "the smaller study is the beginning of the larger one"
    of_decision = psa.clinically_significant[:12, 0]
    assert not np.array_equal(table[:, 1, 1], of_decision)


def test_a_single_arm_informs_incidence_and_not_efficacy() -> None:
    assert informed("single_arm", "cmv.targets[0].value")
    for key in (
        "letermovir.targets.any_dnaemia",
        "prices.ward_day",
        "quality_of_life.changes.icu",
        "resources.cmv.disease_days",
        "resistance.letermovir",
    ):
        assert not informed("single_arm", key)
    assert informed("single_arm", "resistance.ganciclovir.change")
    every = {key for item in drawn_inputs(resolve("letermovir-breakeven", GIVEN)) for key in item.keys}
    assert not [key for key in every if "letermovir" in key and informed("single_arm", key)]


def test_information_is_worth_nothing_where_the_choice_is_plain(experiment: PsaExperiment, psa: PsaDraws) -> None:
    today = float(EvaluationSettings.of(experiment.scenario.spec, ("targeted",)).day_prices[1])
    kept = [k for k, item in enumerate(psa.inputs) if k % 17 == 0 or item.key.startswith(("prices.ward", "letermovir.t"))]
    psa = replace(psa, inputs=tuple(psa.inputs[k] for k in kept), parameters=psa.parameters[:, kept])
    decision, inputs = Decision(psa, today, today, THRESHOLD), varied(psa)
    top = highest_price(decision, inputs)
    by_price = perfect_by_price(Decision(psa, 10 * top, 10 * top, THRESHOLD), inputs)
    assert by_price[-1]["smoothed"] == 0
    assert by_price[-1]["raw"] == 0
    # of two strategies information is worth most where they are equally good: a grid of prices must not step over it
    even = break_even(psa, today, THRESHOLD)[1]
    assert max(perfect_by_price(decision, inputs), key=lambda row: row["raw"])["price"] == even
    spec = experiment.scenario.spec.economics
    assert spec is not None
    rng = np.random.default_rng(1)
    studies = rng.random((psa.draws.size, 2, 3))
    tree = information_tree(Decision(psa, today, even, THRESHOLD), studies, (50, 100), spec)
    assert tree["evpi"]["raw"] > 0
    assert {row["group"] for row in tree["groups"]} >= {"prices", "letermovir"}
    assert [row["patients"] for row in tree["evsi"]] == [50, 100]
    assert all(row["floor"] >= 0 for row in (*tree["groups"], *tree["evsi"], tree["evpi"], tree["informed"]))
    assert tree["enbs"][1]["reports"] > tree["enbs"][0]["reports"]
    assert tree["enbs"][1]["people"] < tree["enbs"][0]["people"]
    assert tree["regression"]["draws"] == psa.draws.size
    assert tree["enbs"][1]["cost"] - tree["enbs"][0]["cost"] == pytest.approx(50 * float(spec.information.per_patient))


def test_the_quick_conversion_is_the_ordinary_one(scenario: ResolvedScenario) -> None:
    spec = scenario.spec.quality_of_life
    ordinary, quick = convert(spec), convert(spec, quick=True)
    assert quick.spread == pytest.approx(ordinary.spread, rel=1e-9)
    np.testing.assert_allclose(quick.mean, ordinary.mean, atol=1e-8)
    np.testing.assert_allclose(quick.shift, ordinary.shift, atol=1e-8)
