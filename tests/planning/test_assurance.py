"""Assurance against a plain loop over draws, the beta-binomial law against itself, and honest failures."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from planning_setup import Workplace, solved
from scipy import stats

from cmvsim.calibration.redraw import Redraw
from cmvsim.core.errors import InputError
from cmvsim.core.records import Status
from cmvsim.core.streams import Role
from cmvsim.designs import PrecisionTarget
from cmvsim.endpoints import endpoint
from cmvsim.montecarlo.experiment import FIELDS
from cmvsim.planning import assurance as planning
from cmvsim.planning.assurance import REACHED, AssuranceExperiment, AssuranceQuestion, Assurer, beta_binomial
from cmvsim.planning.experiment import CohortExperiment
from cmvsim.scenarios import resolve
from cmvsim.scenarios.parameters import uncertain_inputs
from cmvsim.scenarios.sampling import draw_parameters
from cmvsim.scenarios.vary import vary
from cmvsim.simulation.cohort import simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.recording import record

SIZES = (20, 40)


@cache
def prepared() -> Redraw:
    scenario, calibration = solved()
    return Redraw(scenario, calibration, 1024).prepare()


def experiment(per_draw: int = 1, *, inputs: int | None = None, seed: int = 3, role: Role = Role.STUDY) -> AssuranceExperiment:
    scenario, calibration = solved()
    studies = CohortExperiment(
        scenario, calibration.baseline, SIZES, ("cmv_reactivation",), sensitivity=False, seed=seed, role=role
    )
    return AssuranceExperiment(studies, prepared(), uncertain_inputs(scenario)[:inputs], per_draw)


def question(**changes: object) -> AssuranceQuestion:
    asked = {
        "design": "assured",
        "of": "precision",
        "endpoint": "cmv_reactivation",
        "target": PrecisionTarget(half_width=0.14),
        "studies_per_draw": 4,
        "sizes": SIZES,
        "probability": None,
        "replicates": 128,
        "seed": 5,
    }
    return AssuranceQuestion(**{**asked, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("per_draw", [1, 4])
def test_independent_loop_over_draws_gives_the_same_studies(per_draw: int) -> None:
    found = experiment(per_draw).chunk(2).values
    scenario, _ = solved()
    per_chunk = 64 // per_draw
    draws = draw_parameters(uncertain_inputs(scenario), 64, seed=3, first_block=2)
    for draw in (0, 1, per_chunk - 1):
        varied = vary(scenario, draws.changes(draw))
        model = Model.of(varied.spec, prepared().baseline(varied, laws="solved"))
        chance = ChunkDraws(3, Role.STUDY, 2 * per_chunk + draw, SIZES[-1], per_draw)
        rate = endpoint("cmv_reactivation")
        derived = rate.derive(record(simulate(model, chance, needs=rate.needs), rate.reads), scenario.spec.analysis)
        expected = rate.estimators[0].estimate(derived, scenario.spec.analysis, SIZES)
        mine = found[draw * per_draw : (draw + 1) * per_draw, :, 0]
        for name in ("estimate", "ci_low", "ci_high", "n"):
            assert np.array_equal(mine[..., FIELDS.index(name)], getattr(expected, name), equal_nan=True)


def test_draws_differ_between_chunks_seeds_and_confirmation() -> None:
    inputs = uncertain_inputs(solved()[0])
    long = draw_parameters(inputs, 192, seed=3)
    assert np.array_equal(draw_parameters(inputs, 64, seed=3, first_block=2).values, long.values[128:])
    estimates = [
        experiment(16, seed=seed, role=role).chunk(index).values
        for seed, role, index in ((3, Role.STUDY, 0), (3, Role.STUDY, 1), (4, Role.STUDY, 0), (3, Role.CONFIRMATION, 0))
    ]
    assert len({found.tobytes() for found in estimates}) == 4
    assert experiment(16).chunk(0).values.tobytes() == estimates[0].tobytes()


def test_without_anything_unknown_assurance_is_power() -> None:
    """4 Monte Carlo SE of a difference of means of 192 studies each; another incidence by 10 points would be 8 away."""
    blind, plain = experiment(16, inputs=0), experiment().studies
    one = np.concatenate([blind.chunk(i).values[:, 1, 0, 0] for i in range(3)])
    other = np.concatenate([plain.chunk(i).values[:, 1, 0, 0] for i in range(3)])
    assert abs(one.mean() - other.mean()) < 4 * np.sqrt((one.var() + other.var()) / 192)


def test_closed_form_spread_over_draws_is_that_of_the_evidence() -> None:
    """Variance between 48 draws of four studies each: of the target's beta distribution, 0.0026, within 3 SE.

    SE: (0.0026 + 0.0053 / 4) sqrt(2 / 47) = 0.0008. Without draws it is 0; with hazards held fixed under drawn laws, 0.007.
    """
    studies = np.concatenate([experiment(4).chunk(i).values[:, 1, 0, 0] for i in range(3)]).reshape(48, 4)
    between = studies.mean(axis=1).var(ddof=1) - studies.var(axis=1, ddof=1).mean() / 4
    assert between == pytest.approx(24 * 55 / (79**2 * 80), abs=3 * 0.0008)


def test_a_draw_that_fails_is_kept_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def failing(scenario: object, changes: object) -> object:
        calls.append(1)
        if len(calls) == 3:
            raise InputError("no such scenario")
        return vary(scenario, changes)  # type: ignore[arg-type]

    whole = experiment(4).chunk(1)
    monkeypatch.setattr(planning, "vary", failing)
    found = experiment(4).chunk(1)
    assert [failure.replicate for failure in found.failures] == [64 + r for r in range(8, 12)]
    assert "no such scenario" in found.failures[0].message
    assert np.all(found.values[8:12, ..., FIELDS.index("status")] == Status.RAISED)
    kept = [r for r in range(64) if not 8 <= r < 12]
    assert np.array_equal(found.values[kept], whole.values[kept], equal_nan=True)


def test_rows_of_an_answer_are_means_over_draws_with_errors_by_draw(tmp_path: Path) -> None:
    scenario, calibration = solved()
    work = Workplace(tmp_path)
    result = Assurer(scenario, calibration, question(), work).answer()
    raw = np.concatenate([work.stages["assurance"].chunk(i).values for i in range(2)])[:, 1, 0]
    met = ((raw[:, 3] - raw[:, 2]) / 2 <= 0.14) & np.isin(raw[:, FIELDS.index("status")], [s for s in Status if s.usable])
    row = result.rows[1]
    shares = met.reshape(-1, 4).mean(axis=1)
    assert row.assurance.value == pytest.approx(met.mean())
    assert row.assurance.mcse == pytest.approx(shares.std(ddof=1) / np.sqrt(32))
    assert np.array_equal(result.by_draw, shares)
    assert row.distribution is not None
    assert row.distribution.mean == pytest.approx(met.mean())
    assert result.rows[0].assurance.value <= row.assurance.value
    assert set(work.stages) == {"assurance", "power"}


def test_the_size_looked_for_is_confirmed_on_new_draws(tmp_path: Path) -> None:
    scenario, calibration = solved("study.patients=40")
    work = Workplace(tmp_path)
    asked = question(sizes=None, probability=0.6, studies_per_draw=8)
    result = Assurer(scenario, calibration, asked, work).answer()
    assert result.crossing is not None
    assert result.confirmed is not None
    n = result.crossing.n
    assert result.crossing.low <= n <= result.crossing.high + 1
    assert result.confirmed.n == n
    assert abs(result.confirmed.assurance.value - 0.6) < 0.2
    assert work.stages["confirmation"].studies.role is Role.CONFIRMATION


def test_closed_form_beta_binomial() -> None:
    """Moments of 20,000 draws from a known law; 5 standard errors."""
    rng = np.random.default_rng(1)
    power = rng.beta(4, 2, 20_000)
    found = beta_binomial(rng.binomial(8, power) / 8, 8, 0.8)
    assert found is not None
    assert found.mean == pytest.approx(4 / 6, abs=5 * 0.2 / np.sqrt(20_000))
    assert found.sd == pytest.approx(np.sqrt(8 / (36 * 7)), rel=0.03)
    assert (found.alpha, found.beta) == pytest.approx((4, 2), rel=0.08)
    assert found.at_least == pytest.approx(stats.beta(4, 2).sf(0.8), abs=0.02)
    assert found.quantiles == pytest.approx(tuple(stats.beta(4, 2).ppf([0.05, 0.5, 0.95])), abs=0.02)


def test_distributions_at_the_edges() -> None:
    assert beta_binomial(np.array([0.0, 1.0, 1.0]), 1, 0.8) is None
    same = beta_binomial(np.full(100, 0.5), 4, 0.4)  # less spread than chance alone would give
    assert same is not None
    assert (same.sd, same.quantiles, same.at_least) == (0.0, (0.5, 0.5, 0.5), 1.0)
    split = beta_binomial(np.array([0.0, 1.0] * 50), 4, 0.8)
    assert split is not None
    assert split.sd == pytest.approx(0.5, abs=0.01)
    sure = beta_binomial(np.ones(20), 4, 0.8)
    assert sure is not None
    assert sure.at_least == 1.0


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ('{kind="assurance", of="nothing"}', "the design 'nothing' does not exist"),
        ('{kind="assurance", of="assured"}', "is this design itself"),
        ('{kind="assurance", of="precision", studies_per_draw=3}', "allowed are 1, 2, 4"),
        ('{kind="assurance"}', "'of' is missing"),
    ],
)
def test_mistakes_in_a_design_are_told(typed: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        resolve("cmv-cart", [f"designs.assured={typed}"])


def test_what_is_kept_of_each_study() -> None:
    assert experiment().extras == ("samples", REACHED)
    assert experiment().rows == experiment().studies.rows
    assert experiment(2).request.digest != experiment(1).request.digest
