"""The planner of randomised designs on small runs: search, confirmation, rows, what if, the smallest detectable effect."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planning_setup import Workplace
from trial_setup import PRIMARY, solved_trial, trial, values

from cmvsim.core.errors import InputError
from cmvsim.core.records import Measure
from cmvsim.core.streams import Role
from cmvsim.models.strategies import LetermovirEffect
from cmvsim.montecarlo.contrast_values import contrast_values
from cmvsim.montecarlo.experiment import FIELDS
from cmvsim.planning import trial_power
from cmvsim.planning.detectable import scaled
from cmvsim.planning.question import PowerResult, Question
from cmvsim.planning.trial_closed_forms import PROPORTIONS
from cmvsim.planning.trial_power import TrialPlanner

# an event that is frequent, so that small studies tell the arms apart
FREQUENT = ('analysis.definition="quantifiable"', "letermovir.given={onset_ratio=0.2,set_point_shift=-1.0}")


@pytest.fixture(autouse=True)
def small_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_power, "contrast_values", partial(contrast_values, chunks=3))
    monkeypatch.setattr(trial_power, "variants", lambda _: ())


def question(**changes: Any) -> Question:
    base: dict[str, Any] = {
        "design": "superiority",
        "endpoints": (PRIMARY,),
        "sizes": None,
        "target": None,
        "search": True,
        "replicates": 384,
        "mcse_target": None,
        "sensitivity": False,
        "seed": 9,
        "power": 0.8,
    }
    return Question(**{**base, **changes})


def plan(folder: Path, asked: Question, *overrides: str) -> tuple[PowerResult, Workplace]:
    scenario, calibration = solved_trial(*(overrides or FREQUENT))
    work = Workplace(folder)
    return TrialPlanner(scenario, calibration, asked, work).answer(), work


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[PowerResult, Workplace]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial_power, "contrast_values", partial(contrast_values, chunks=3))
        patch.setattr(trial_power, "variants", lambda _: ())
        return plan(tmp_path_factory.mktemp("searched"), question())


def figure(result: PowerResult, n: int, measure: Measure, estimator: str = "risk_difference", strategy: str = "") -> float:
    (row,) = (r for r in result.rows if (r.n, r.measure, r.estimator, r.strategy) == (n, measure.value, estimator, strategy))
    return row.value


def test_a_search_finds_confirms_and_stands_beside_closed_forms(searched: tuple[PowerResult, Workplace]) -> None:
    result, work = searched
    (answer,) = result.answers
    assert answer.status == "confirmed"
    assert answer.criterion == {"measure": "power", "probability": 0.8}
    assert answer.n is not None
    assert answer.found is not None
    assert answer.ci_low is not None
    assert answer.ci_high is not None
    assert answer.ci_low <= answer.found <= answer.ci_high + 1 <= answer.n + 200
    last = max((name for name in work.stages if name.startswith("confirmation")), key=lambda name: int(name.split("-")[1]))
    assert work.stages[last].role is Role.CONFIRMATION
    here = next(point for point in answer.confirmation if point.n == answer.n)
    assert here.value - 1.96 * here.mcse > 0.79
    closed = answer.closed_form
    assert closed["name"] == PROPORTIONS
    assert 0.5 < answer.found / closed["n"] < 2.0
    assert closed["control"] > closed["experimental"] > 0
    assert any("doses are missed" in why for why in answer.why_different)
    assert any("death competes" in why for why in answer.why_different)


def test_rows_hold_power_arms_and_number_needed_to_treat(searched: tuple[PowerResult, Workplace]) -> None:
    result, _ = searched
    n = result.answers[0].n
    assert n is not None
    point = next(p for p in result.curve if p.n == n)
    assert figure(result, n, Measure.POWER) == point.value
    assert figure(result, n, Measure.P_AGAINST) < 0.01
    mean = figure(result, n, Measure.MEAN_ESTIMATE)
    arms = [figure(result, n, Measure.MEAN_ESTIMATE, "by_arm", arm) for arm in ("preemptive", "letermovir")]
    assert mean == pytest.approx(arms[1] - arms[0], abs=1e-12)
    assert figure(result, n, Measure.NNT) == pytest.approx(-1 / mean)
    events = [figure(result, n, Measure.EXPECTED_EVENTS, "by_arm", arm) for arm in ("preemptive", "letermovir")]
    assert sum(events) == pytest.approx(figure(result, n, Measure.EXPECTED_EVENTS))
    patients = [row.value for row in result.rows if row.n == n and row.measure == Measure.EXPECTED_PATIENTS]
    assert sum(patients) == pytest.approx(n)
    assert 0.9 < figure(result, n, Measure.COVERAGE) <= 1


def test_the_row_of_the_answer_is_that_of_a_run_alone(searched: tuple[PowerResult, Workplace], tmp_path: Path) -> None:
    result, _ = searched
    n = result.answers[0].n
    assert n is not None
    alone, work = plan(tmp_path, question(sizes=(n,), search=False, power=None))
    assert [row for row in result.rows if row.n == n] == list(alone.rows)
    assert set(work.stages) == {"study"}


def test_other_comparisons_and_endpoints_stand_beside(tmp_path: Path) -> None:
    two = (PRIMARY, "cmv_disease")
    asked = question(sizes=(80, 120), search=False, power=None, sensitivity=True, endpoints=two, replicates=64)
    result, _ = plan(tmp_path, asked)
    powers = {(row.endpoint, row.estimator) for row in result.rows if row.measure == "power"}
    assert {(PRIMARY, "log_rank_stratified"), (PRIMARY, "fine_gray"), ("cmv_disease", "risk_difference")} <= powers
    ratios = [row.value for row in result.rows if row.estimator == "cox" and row.measure == "mean_estimate" and row.n == 120]
    assert 0 < ratios[0] < 1


def test_no_effect_is_no_sample_size(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no number of patients"):
        plan(tmp_path, question(), 'analysis.definition="quantifiable"', 'letermovir.effect="none"')


def test_without_an_effect_the_level_is_kept(tmp_path: Path) -> None:
    """1,024 studies of 160 of a drug that does nothing: rejections within 4 errors (0.027) of 0.05; 0.08 would be told."""
    made = trial((160,), 'analysis.definition="quantifiable"', 'letermovir.effect="none"')
    row = values(made, 16)[:, 0, 0]
    low, high = row[:, FIELDS.index("ci_low")], row[:, FIELDS.index("ci_high")]
    assert abs(np.mean((low > 0) | (high < 0)) - 0.05) < 4 * np.sqrt(0.05 * 0.95 / len(row))
    assert abs(row[:, 0].mean()) < 4 * row[:, 0].std() / np.sqrt(len(row))


def test_the_smallest_detectable_effect(tmp_path: Path) -> None:
    result, work = plan(tmp_path, question(sizes=(120,), search=False, detectable=True))
    found = result.detectable
    assert found.status == "confirmed"
    assert found.n == 120
    assert found.strength is not None
    at = {point.strength: point.power for point in found.curve}
    assert at[1.0] == figure(result, 120, Measure.POWER)
    # common random numbers: power rises with the strength, and the smallest reaching it was found to 0.01
    ordered = [at[s] for s in sorted(at)]
    assert all(b >= a - 0.02 for a, b in pairwise(ordered))
    reached = min(s for s, p in at.items() if p >= 0.8)
    assert found.strength >= reached
    assert found.confirmation.power - 1.96 * found.confirmation.mcse > 0.79
    assert found.onset_ratio == pytest.approx(0.2**found.strength)
    assert found.set_point_shift == pytest.approx(-found.strength)
    assert 0 < found.experimental < found.control < 1
    assert found.contrast == pytest.approx(found.experimental - found.control, abs=1e-12)
    assert found.closed_form_experimental is not None
    assert any(name.startswith("confirmation") for name in work.stages)


def test_the_scaled_effect_at_one_is_the_scenario_itself() -> None:
    scenario, calibration = solved_trial(*FREQUENT)
    same, baseline = scaled(scenario, calibration.baseline, LetermovirEffect(0.2, -1.0), 1.0)
    own = trial((50,), *FREQUENT)
    other = replace(own, scenario=same, baseline=baseline)
    np.testing.assert_array_equal(own.chunk(0).values, other.chunk(0).values)
    weaker = replace(
        own, **dict(zip(("scenario", "baseline"), scaled(scenario, baseline, LetermovirEffect(0.2, -1.0), 0.0), strict=True))
    )
    control, drug = weaker.chunk(0).values[:, 0, 1, 0], own.chunk(0).values[:, 0, 1, 0]
    np.testing.assert_array_equal(control, drug)  # the controls are the same patients
    assert weaker.chunk(0).values[:, 0, 2, 0].mean() > own.chunk(0).values[:, 0, 2, 0].mean()


def test_only_the_drug_is_varied(tmp_path: Path) -> None:
    asked = question(sizes=(60,), search=False, detectable=True, replicates=64)
    with pytest.raises(InputError, match="no effect that could be varied"):
        plan(tmp_path / "none", asked, 'letermovir.effect="none"')
    turned = ('designs.superiority.arms=["letermovir","preemptive"]',)
    with pytest.raises(InputError, match="experimental arm alone"):
        plan(tmp_path / "turned", asked, *turned)


def test_what_if_the_incidence_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario, calibration = solved_trial(*FREQUENT)
    weaker = scaled(scenario, calibration.baseline, LetermovirEffect(0.2, -1.0), 0.3)
    monkeypatch.setattr(trial_power, "variants", lambda _: iter([(0.2, *weaker)]))
    result, _ = plan(tmp_path, question(sizes=(100,), search=False, power=None, replicates=192))
    (item,) = result.what_if
    assert item.target == 0.2
    assert item.power < figure(result, 100, Measure.POWER)
    assert item.control == pytest.approx(figure(result, 100, Measure.MEAN_ESTIMATE, "by_arm", "preemptive"))
