"""One arm tested, two stages and interim looks on CMV trials: twins, agreement with the plain experiments, answers."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planning_setup import Workplace
from trial_setup import PRIMARY, STATED

from cmvsim.calibration import Calibration, calibrate
from cmvsim.calibration.redraw import Redraw
from cmvsim.core.errors import InputError
from cmvsim.core.records import Status
from cmvsim.core.streams import Role
from cmvsim.data.cut import cut, known_until
from cmvsim.data.study import EndReason
from cmvsim.endpoints import endpoint
from cmvsim.endpoints.evaluable import evaluable
from cmvsim.montecarlo.experiment import FIELDS
from cmvsim.planning import single_arm
from cmvsim.planning.assurance import AssuranceExperiment
from cmvsim.planning.one_analysis import assured_of
from cmvsim.planning.sequential import SequentialExperiment
from cmvsim.planning.single_arm import PROPORTION, SingleArmExperiment, TwoStageExperiment
from cmvsim.planning.staged import StagedPlanner, StagedQuestion, StagedResult
from cmvsim.planning.trial import TrialExperiment
from cmvsim.planning.trial_sequential import CmvLooks, planned_events
from cmvsim.scenarios import ResolvedScenario, resolve
from cmvsim.scenarios.parameters import uncertain_inputs
from cmvsim.scenarios.sampling import draw_parameters
from cmvsim.scenarios.vary import vary
from cmvsim.simulation.draws import ChunkDraws

DESIGNS = (
    "designs.test={kind='single_arm_test',null_incidence=0.3,strategy='letermovir',power=0.8}",
    "designs.simon={kind='simon_two_stage',p0=0.3,p1=0.1,strategy='letermovir'}",
    "designs.dated={kind='group_sequential',arms=['preemptive','letermovir'],looks={calendar=[200.0,300.0]},delay=30.0}",
)
N = 120


@pytest.fixture(scope="module")
def solved() -> tuple[ResolvedScenario, Calibration]:
    scenario = resolve("letermovir-trial", (*STATED, *DESIGNS))
    return scenario, calibrate(scenario, 16_384)


@pytest.fixture(scope="module")
def looks(solved: tuple[ResolvedScenario, Calibration]) -> CmvLooks:
    trial = CmvLooks(solved[0], solved[1].baseline, "sequential", N, PRIMARY)
    return replace(trial, planned=planned_events(trial))


def values(experiment: Any, index: int, row: int, field: str) -> np.ndarray:
    return experiment.chunk(index).values[:, :, row, FIELDS.index(field)]


def test_the_last_look_is_the_analysis_of_the_trial_without_looks(
    solved: tuple[ResolvedScenario, Calibration], looks: CmvLooks
) -> None:
    plain = TrialExperiment(solved[0], solved[1].baseline, (N,), (PRIMARY,), "superiority", False, 3)
    last = looks.looks(3, Role.STUDY, 1)[-1]
    for name in ("estimate", "ci_low", "events", "n"):
        np.testing.assert_array_equal(getattr(last.estimates["risk_difference"], name), values(plain, 1, 0, name)[:, 0])
    assert (last.enrolled == N).all()
    assert (last.complete == N).all()


def test_looks_come_with_their_events(looks: CmvLooks) -> None:
    found = looks.looks(3, Role.STUDY, 0)
    wanted = [math.ceil(share * looks.planned - 1e-9) for share in (0.5, 0.75)]
    for look, events in zip(found, wanted, strict=False):
        early = look.day < found[-1].day
        assert early.mean() > 0.5
        assert (look.events[early] >= events).all()
        assert (look.events[early] <= events + 2).all(), "events of one day are seen together"
        assert (look.enrolled >= look.complete).all()
    assert (np.diff([look.day for look in found], axis=0) >= 0).all()
    assert abs(found[-1].events.mean() - looks.planned) < 4 * found[-1].events.std() / 8 + 0.5


def test_independent_twin_of_what_a_look_knows(looks: CmvLooks) -> None:
    """Day and cause of each patient at a look from those of the whole study, by hand."""
    draws = ChunkDraws(3, Role.STUDY, 0, N)
    study, enrolment = looks.study(draws), looks.enrolment(draws)
    infusion = enrolment - float(looks.scenario.spec.study.inclusion)
    day = np.full(64, 250.5)
    known = known_until(infusion, day)
    derived, whole = (
        looks.derived(cut(study, known, enrolment=float(looks.scenario.spec.study.inclusion))),
        looks.derived(study),
    )
    disposition, checked = study.disposition, 0
    for r in range(20):
        for i in range(N):
            last = math.floor(250.5 - infusion[r, i])
            if last < 0 or whole.cause[r, i] < 0:
                assert derived.cause[r, i] == -1 or last >= 0  # who had DNAemia at infusion may not be known to
                continue
            ended = disposition.end[r, i] <= last
            if whole.cause[r, i] > 0 and whole.time[r, i] <= last:
                assert (derived.time[r, i], derived.cause[r, i]) == (whole.time[r, i], whole.cause[r, i])
            elif ended:
                assert derived.time[r, i] == whole.time[r, i]
            else:
                assert (derived.time[r, i], derived.cause[r, i]) == (min(last, looks.plan.window), 0)
                checked += 1
    assert checked > 100, "patients short of the horizon enter censored"


def test_without_an_effect_both_arms_have_the_control_strategy(looks: CmvLooks) -> None:
    draws = ChunkDraws(3, Role.CONFIRMATION, 0, N)
    null, real = replace(looks, null=True), looks
    control = null.derived(null.study(draws)).only(0)
    with_drug = real.derived(real.study(draws)).only(0)
    np.testing.assert_array_equal(control.cause, with_drug.cause)  # the same patients under the same strategy
    assert (null.derived(null.study(draws)).only(1).cause == 1).sum() > (
        real.derived(real.study(draws)).only(1).cause == 1
    ).sum()


def test_looks_by_date_and_the_delay_of_a_decision(solved: tuple[ResolvedScenario, Calibration]) -> None:
    trial = CmvLooks(solved[0], solved[1].baseline, "dated", N, PRIMARY, planned=20)
    first, second, last = trial.looks(3, Role.STUDY, 0)
    enrolment = trial.enrolment(ChunkDraws(3, Role.STUDY, 0, N))
    np.testing.assert_array_equal(first.day, 200.0)
    np.testing.assert_array_equal(second.enrolled, (enrolment <= 330).sum(axis=1))
    assert (last.day > second.day).all()
    assert (first.complete <= (enrolment <= 200).sum(axis=1)).all()


def test_evaluable_patients_by_the_rule(solved: tuple[ResolvedScenario, Calibration]) -> None:
    experiment = SingleArmExperiment(solved[0], solved[1].baseline, (40, N), (PRIMARY,), False, 3, design="test")
    study = experiment.study(0)
    derived = endpoint(PRIMARY).derive(study, experiment.plan)
    counted = {}
    for rule in ("outcome_known", "censored_event_free", "censored_event"):
        known, event = evaluable(derived, 98.0, rule)  # type: ignore[arg-type]
        for r in range(5):
            n = events = 0
            for i in range(N):
                time, cause = derived.time[r, i], derived.cause[r, i]  # type: ignore[attr-defined]
                if cause < 0 or (rule == "outcome_known" and cause == 0 and time < 98):
                    continue
                n += 1
                events += cause == 1 or (rule == "censored_event" and cause == 0 and time < 98)
            assert (known[r].sum(), (known & event)[r].sum()) == (n, events)
        counted[rule] = int(known.sum())
    assert counted["outcome_known"] < counted["censored_event"] == counted["censored_event_free"]
    with pytest.raises(ValueError, match="rule"):
        evaluable(derived, 98.0, "nobody")  # type: ignore[arg-type]
    known, event = evaluable(derived, 98.0, "outcome_known")  # type: ignore[arg-type]
    n, x = values(experiment, 0, 0, "n"), values(experiment, 0, 0, "events")
    np.testing.assert_array_equal(n[:, 0], known[:, :40].sum(axis=1))
    np.testing.assert_array_equal(x[:, 1], (known & event).sum(axis=1))
    assert [row.estimator for row in experiment.rows] == [PROPORTION, "aalen_johansen"]
    assert study.replicates == 64
    assert not (study.disposition.reason == EndReason.ONGOING).any()


def test_two_stages_of_the_model(solved: tuple[ResolvedScenario, Calibration]) -> None:
    experiment = TwoStageExperiment(solved[0], solved[1].baseline, (N,), (PRIMARY,), False, 3, design="simon")
    made = experiment.chunk(0)
    n, design = made.values[:, 0, 0, FIELDS.index("n")], experiment.tested.stages
    extras = dict(zip(experiment.extras, made.extras[:, 0].T, strict=True))
    assert set(n) <= {design.n1, design.n}
    np.testing.assert_array_equal(n == design.n, extras["continued"] == 1)
    assert (extras["enrolled"] >= n).all()
    np.testing.assert_array_equal(experiment.tested.goes_on(extras["first_events"]), extras["continued"] == 1)


@pytest.mark.parametrize("few", [4, 16])
def test_independent_loop_over_draws_of_looks_and_stages(solved: tuple[ResolvedScenario, Calibration], few: int) -> None:
    """An assurance's chunk is that of the same studies, simulated one draw after the other."""
    scenario, calibration = solved
    redraw, inputs = Redraw(scenario, calibration, 1024).prepare(), uncertain_inputs(scenario)
    draws = draw_parameters(inputs, 64 // few, 3, 1)
    looked = assured_of(scenario, calibration.baseline, "sequential", PRIMARY, (80, 120), 3)
    staged = assured_of(scenario, calibration.baseline, "simon", PRIMARY, (), 3)
    assert looked.sizes == (80, 120)
    for studies, name in ((looked, "z.risk_difference.2"), (staged, "enrolled")):
        found = AssuranceExperiment(studies, redraw, inputs, few).chunk(1)
        assert found.failures == ()
        for draw in (0, 64 // few - 1):
            varied = vary(scenario, draws.changes(draw))
            baseline = redraw.baseline(varied, laws="solved")
            index = 64 // few + draw
            if studies is staged:
                (patients,) = studies.sizes
                one: Any = TwoStageExperiment(varied, baseline, (patients,), (PRIMARY,), False, 3, design="simon").few(few)
                parts = [one.chunk(index)]
            else:
                trials = [
                    CmvLooks(varied, baseline, "sequential", n, PRIMARY, t.planned)
                    for n, t in zip((80, 120), looked.trials, strict=True)
                ]  # type: ignore[union-attr]
                parts = [SequentialExperiment(trial, 3, replicates=few).chunk(index) for trial in trials]
            here = slice(draw * few, (draw + 1) * few)
            place = studies.extras.index(name)
            for size, part in enumerate(parts):
                np.testing.assert_array_equal(found.extras[here, size, place], part.extras[:, 0, place])
                np.testing.assert_array_equal(found.values[here, size], part.values[:, 0])


def test_two_stages_go_on_with_more_patients_where_they_run_out(solved: tuple[ResolvedScenario, Calibration]) -> None:
    """Simulated with too few, the studies are those that were simulated with enough."""
    scenario, calibration = solved
    short, enough = (
        TwoStageExperiment(scenario, calibration.baseline, (n,), (PRIMARY,), False, 3, design="simon") for n in (30, 240)
    )
    assert enough.tested.stages.n > 30 * 0.6
    mine, theirs = short.chunk(0), enough.chunk(0)
    np.testing.assert_array_equal(mine.values, theirs.values)
    np.testing.assert_array_equal(mine.extras, theirs.extras)


def test_a_stage_or_look_that_raises_fails_alone(
    solved: tuple[ResolvedScenario, Calibration], looks: CmvLooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever raises in some replicates, the others keep their numbers."""
    stages = TwoStageExperiment(solved[0], solved[1].baseline, (N,), (PRIMARY,), False, 3, design="simon")
    whole, fine = stages.chunk(0), SequentialExperiment(looks, 3).chunk(0)
    sought = {float(x) for x in whole.extras[:, 0, 0] if x > np.median(whole.extras[:, 0, 0])}
    genuine = single_arm.two_stages

    def refuse(*given: Any) -> Any:
        outcome = genuine(*given)
        if outcome is not None and outcome.first_events in sought:
            raise ArithmeticError("too many events")
        return outcome

    monkeypatch.setattr(single_arm, "two_stages", refuse)
    odd = stages.chunk(0)
    bad = np.isin(whole.extras[:, 0, 0], list(sought))
    assert 0 < bad.sum() < 64
    assert [failure.replicate for failure in odd.failures] == list(np.flatnonzero(bad))
    np.testing.assert_array_equal(odd.values[~bad], whole.values[~bad])
    assert (odd.values[bad, 0, 0, FIELDS.index("status")] == Status.RAISED).all()

    def refuse_late(self: CmvLooks, study: Any, *given: Any) -> Any:
        if study.disposition.end.shape[0] == 64 or study.disposition.end[0, 0] < 60:
            raise ArithmeticError("the first patient left early")
        return looked(self, study, *given)

    looked = CmvLooks._looked
    monkeypatch.setattr(CmvLooks, "_looked", refuse_late)
    some = SequentialExperiment(looks, 3).chunk(0)
    left = looks.study(ChunkDraws(3, Role.STUDY, 0, N)).disposition.end[:, 0] < 60
    assert 0 < left.sum() < 64
    assert [failure.replicate for failure in some.failures] == list(np.flatnonzero(left))
    np.testing.assert_array_equal(some.extras[~left], fine.extras[~left])
    assert np.isnan(some.extras[left]).all()


def test_looks_without_events_of_their_own_are_refused(solved: tuple[ResolvedScenario, Calibration], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="would see no more events"):
        answer(solved, tmp_path, design="sequential", sizes=(16,), replicates=64)
    early = resolve("letermovir-trial", (*STATED, *DESIGNS, "designs.dated.looks={calendar=[6.0,300.0]}"))
    with pytest.raises(InputError, match="sees no event"):
        answer((early, solved[1]), tmp_path / "early", design="dated", sizes=(N,), replicates=64)


def answer(solved: tuple[ResolvedScenario, Calibration], folder: Path, **asked: Any) -> StagedResult:
    base: dict[str, Any] = {"endpoint": PRIMARY, "sizes": (), "power": None, "replicates": 128, "seed": 5}
    scenario, calibration = solved
    kind = scenario.spec.designs[asked["design"]].kind
    question = StagedQuestion(kind=kind, **{**base, **asked})
    return StagedPlanner(scenario, calibration, question, Workplace(folder)).answer()  # type: ignore[arg-type]


def test_answer_of_one_test(solved: tuple[ResolvedScenario, Calibration], tmp_path: Path) -> None:
    found = answer(solved, tmp_path, design="test", power=0.6)
    assert found.facts["n"] >= found.facts["stable"] >= found.facts["first"]
    point = next(item for item in found.facts["confirmation"] if item["n"] == found.facts["n"])
    assert found.facts["confirmed"] == (point["value"] - 1.96 * point["mcse"] > 0.59)
    at = [row for row in found.rows if row.n == found.facts["stable"]]
    assert {(row.estimator, row.measure) for row in at} >= {
        (PROPORTION, "power"),
        ("enumeration", "power"),
        ("enumeration", "type1"),
    }
    none = resolve("letermovir-trial", (*STATED, *DESIGNS, "designs.test.direction='above'"))
    with pytest.raises(InputError, match="no number of patients"):
        answer((none, solved[1]), tmp_path / "none", design="test", power=0.6)


def test_answer_of_two_stages(solved: tuple[ResolvedScenario, Calibration], tmp_path: Path) -> None:
    found = answer(solved, tmp_path, design="simon")
    rows = {(row.measure, row.estimator, row.term): row.value for row in found.rows}
    assert rows["type1", "enumeration", "p0"] <= 0.05
    assert rows["power", "enumeration", "p1"] >= 0.8
    # evaluable patients are exchangeable, so enumeration at their incidence is the simulated design
    se = math.sqrt(0.25 / 128)
    assert abs(rows["power", PROPORTION, ""] - rows["power", "enumeration", "simulated incidence"]) < 5 * se
    assert rows["expected_n", PROPORTION, ""] > rows["expected_evaluable", PROPORTION, ""]
    assert sum(found.pictured["share"]) == pytest.approx(1)


def test_answer_of_a_trial_with_looks(solved: tuple[ResolvedScenario, Calibration], tmp_path: Path) -> None:
    found = answer(solved, tmp_path, design="sequential", sizes=(N,))
    rows = {(row.measure, row.estimator, row.term): row.value for row in found.rows}
    own = "risk_difference"
    stops = sum(rows["p_stop_efficacy", own, name] for name in ("look 1", "look 2", "final"))
    assert stops == pytest.approx(rows["power", own, ""])
    assert rows["type1", own, "futility overruled"] >= rows["type1", own, ""]
    assert rows["type1", "gray_test", "futility overruled"] < 0.05 + 4.5 * math.sqrt(0.05 * 0.95 / 128)
    assert rows["expected_n", own, ""] <= N
    assert ("power", "integration", "") in rows
    assert ("boundary", "integration", "final") in rows
    assert found.facts["looks"][0]["planned_events"] > 3
    ends = [sum(found.pictured[name]) for name in ("claim", "futile", "against")]
    assert 0 < sum(ends) <= 1


def test_the_size_of_a_trial_with_looks(solved: tuple[ResolvedScenario, Calibration], tmp_path: Path) -> None:
    found = answer(solved, tmp_path, design="sequential", sizes=(N,), power=0.5, replicates=192)
    facts = found.facts
    (point,) = facts["confirmation"]
    assert facts["n"] == point["n"] == facts["looks"][0]["n"]
    assert facts["confirmed"]
    assert point["value"] - 1.96 * point["mcse"] > 0.49
    assert point["value"] < 0.75, "not far more than was asked for"
    none = resolve("letermovir-trial", (*STATED, *DESIGNS, "designs.sequential.arms=['letermovir','preemptive']"))
    with pytest.raises(InputError, match="no trial of up to"):
        answer((none, solved[1]), tmp_path / "none", design="sequential", sizes=(N,), power=0.5, replicates=64)
