"""The planner end to end on small runs: search, widening, confirmation, and rows that a run alone would give."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from planning_setup import PRIMARY, Workplace, question, solved

from cmvsim.core.errors import InputError
from cmvsim.core.streams import Role
from cmvsim.designs import PrecisionTarget
from cmvsim.montecarlo.estimand_values import EstimandValue, estimand_values
from cmvsim.planning import power
from cmvsim.planning.closed_forms import assured_precision_patients
from cmvsim.planning.power import Planner
from cmvsim.planning.question import Answer, PowerResult, Question


@pytest.fixture(autouse=True)
def small_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power, "estimand_values", partial(estimand_values, chunks=3))


def plan(folder: Path, asked: Question) -> tuple[PowerResult, Workplace]:
    scenario, calibration = solved()
    work = Workplace(folder)
    return Planner(scenario, calibration, asked, work).answer(), work


def answer_of(result: PowerResult) -> Answer:
    (answer,) = result.answers
    return answer


def test_a_search_finds_confirms_and_reports_its_size(tmp_path: Path) -> None:
    asked = question()
    result, work = plan(tmp_path / "search", asked)
    answer = answer_of(result)
    assert answer.status == "confirmed"
    assert answer.n is not None
    assert answer.found is not None
    assert answer.ci_low is not None
    assert answer.ci_high is not None
    assert answer.n >= answer.found
    assert answer.ci_low <= answer.found <= answer.ci_high + 1
    assert answer.enrolled == answer.n
    assert answer.screened is not None
    strata = {"child B-ALL": (0.1, 0.35), "adult B-ALL": (0.1, 0.45), "DLBCL": (0.8, 0.62)}  # share, seropositive share
    assert answer.screened == math.ceil(answer.n * sum(share / positive for share, positive in strata.values()))
    # confirmed: on new streams, at n - step, n and n + step, with the lower limit above the target less 0.01
    step = max(1, round(0.02 * answer.found))
    assert [point.n for point in answer.confirmation] == [answer.n - step, answer.n, answer.n + step]
    here = answer.confirmation[1]
    assert here.value - 1.96 * here.mcse > 0.8 - 0.01
    last = work.stages[f"confirmation-{(answer.n - answer.found) // step}"]
    assert last.role is Role.CONFIRMATION
    assert last.sizes == tuple(point.n for point in answer.confirmation)
    attempts = [made.attempt for name, made in work.stages.items() if name.startswith("confirmation")]
    assert attempts == list(range(len(attempts)))
    # the closed form stands beside it, at the protocol incidence
    incidence = next(v.value for v in result.estimands if v.kind == "protocol")
    assert answer.closed_form["n"] == assured_precision_patients(incidence, 0.12, 0.95, 0.8)
    assert abs(answer.found - answer.closed_form["n"]) < 0.25 * answer.closed_form["n"]
    # the row of the answer is the row of a run alone at that size
    assert answer.n in result.sizes
    alone, _ = plan(tmp_path / "alone", question(sizes=(answer.n,), search=False))
    mine = [row for row in result.rows if row.n == answer.n]
    assert mine == list(alone.rows)
    assert mine
    point = next(p for p in result.curve if p.n == answer.n)
    assert point == alone.curve[0]
    assert [p.value for p in result.curve] == [
        next(r.value for r in result.rows if r.n == p.n and r.endpoint == PRIMARY and r.measure == "p_half_width_le")
        for p in result.curve
    ]


def test_the_same_question_twice_is_the_same_answer(tmp_path: Path) -> None:
    first, second = (plan(tmp_path / name, question(replicates=192))[0] for name in "ab")
    assert first == second


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Answer:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(power, "estimand_values", partial(estimand_values, chunks=3))
        return answer_of(plan(tmp_path_factory.mktemp("reference"), question())[0])


def test_a_grid_above_the_crossing_is_widened_downwards(tmp_path: Path, reference: Answer) -> None:
    result, work = plan(tmp_path, question(sizes=(160, 200)))
    assert work.stages["widened-0"].sizes[0] < 160
    assert abs(answer_of(result).found - reference.found) <= 1
    assert {160, 200} <= set(result.sizes)


def test_a_starting_grid_below_the_crossing_is_widened_upwards(
    tmp_path: Path, reference: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(power, "assured_precision_patients", lambda *_: 20)
    result, work = plan(tmp_path, question())
    assert work.stages["widened-0"].sizes[-1] > work.stages["study"].sizes[-1]
    assert abs(answer_of(result).found - reference.found) <= 1


def test_the_users_own_grid_that_ends_too_early_is_not_reached(tmp_path: Path) -> None:
    result, work = plan(tmp_path, question(sizes=(20, 30), replicates=128))
    answer = answer_of(result)
    assert answer.status == "not reached"
    assert (answer.n, answer.found, answer.ci_low, answer.screened, answer.confirmation) == (None, None, None, None, ())
    assert answer.closed_form["n"] > 30
    assert set(work.stages) == {"study", "what-if-0", "what-if-1"}
    assert result.sizes == (20, 30)


def test_a_confirmation_that_never_holds_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power, "CONFIRMED_WITHIN", -1.0)  # asks for more than certainty
    monkeypatch.setattr(power, "MAX_CONFIRMATIONS", 3)
    result, work = plan(tmp_path, question(replicates=128))
    answer = answer_of(result)
    assert answer.status == "not confirmed"
    assert [name for name in work.stages if name.startswith("confirmation")] == [f"confirmation-{k}" for k in range(3)]
    assert answer.found is not None
    assert answer.n is not None
    # the size handed back is one that was looked at
    assert answer.n in {point.n for point in answer.confirmation}
    step = max(1, round(0.02 * answer.found))
    assert answer.n == answer.found + 2 * step


def test_the_confirmation_moves_the_answer_up_until_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power, "CONFIRMED_WITHIN", -0.1)  # the lower limit must exceed 0.9
    result, work = plan(tmp_path, question())
    answer = answer_of(result)
    assert answer.status == "confirmed"
    assert answer.n is not None
    assert answer.found is not None
    step = max(1, round(0.02 * answer.found))
    moves = (answer.n - answer.found) // step
    assert moves >= 1
    assert (answer.n - answer.found) % step == 0
    assert sum(name.startswith("confirmation") for name in work.stages) == moves + 1
    assert answer.confirmation[1].value - 1.96 * answer.confirmation[1].mcse > 0.9
    assert answer.n in result.sizes


def test_without_a_target_widths_are_reported_and_none_is_searched(tmp_path: Path) -> None:
    result, work = plan(tmp_path, question(sizes=None, target=None, search=False, replicates=64))
    assert result.sizes == (250,)
    assert not result.answers
    assert set(work.stages) == {"study", "what-if-0", "what-if-1"}
    assert "p_half_width_le" not in {row.measure for row in result.rows}
    width = next(row for row in result.rows if row.measure == "half_width")
    assert (result.curve[0].value, result.curve[0].mcse) == (width.value, width.mcse)


def test_a_search_without_a_target_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="half-width"):
        plan(tmp_path, question(target=None, search=True, sizes=(60,), replicates=64))


def test_replicates_stop_on_the_error_wanted_and_the_stages_follow(tmp_path: Path) -> None:
    target = PrecisionTarget(half_width=0.12, probability=0.8)
    result, work = plan(tmp_path, question(sizes=(30,), target=target, search=False, replicates=6000, mcse_target=0.02))
    assert result.stopped == "mcse"
    assert result.replicates == 2000
    assert len(list((work.folder / "study").iterdir())) == -(-2000 // 64)
    assert np.isfinite(result.curve[0].value)


def test_more_precision_costs_more_patients(tmp_path: Path, reference: Answer) -> None:
    result, _ = plan(tmp_path, question(target=PrecisionTarget(half_width=0.10, probability=0.8)))
    assert answer_of(result).found > 1.2 * reference.found


def test_a_width_that_no_study_can_have_is_refused_before_anything_is_simulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The closed form asks for 800,000 patients, above the largest size that the command line takes."""

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a study of a million patients was begun")

    monkeypatch.setattr(power, "run", never)
    with pytest.raises(InputError, match="half-width"):
        plan(tmp_path, question(target=PrecisionTarget(half_width=0.001, probability=0.8)))


@pytest.mark.parametrize("patients", [0, 5000])
def test_an_endpoint_that_never_happens_is_no_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patients: int) -> None:
    """Nobody in its population (NaN), or nobody with an event (0): a sentence for the user, or an answer."""
    nobody = tuple(
        EstimandValue(PRIMARY, "preemptive", kind, float("nan") if patients == 0 else 0.0, 0.0, patients)
        for kind in ("latent", "protocol")
    )
    monkeypatch.setattr(power, "estimand_values", lambda *_, **__: nobody)
    asked = question(replicates=64)
    if patients == 0:
        with pytest.raises(InputError):
            plan(tmp_path, asked)
    else:
        assert answer_of(plan(tmp_path, asked)[0]).closed_form["n"] == 1


def test_what_if_the_incidence_is_at_the_ends_of_its_published_interval(tmp_path: Path) -> None:
    result, _ = plan(tmp_path, question(sizes=(120,), search=False, replicates=200))
    low, high = result.what_if
    assert (low.target, high.target) == (0.213, 0.415)
    own = next(row.value for row in result.rows if row.measure == "half_width")
    assert low.half_width < own < high.half_width
    assert low.estimate < 0.24
    assert high.estimate > 0.37
    assert low.p_half_width_le is not None
    assert high.p_half_width_le is not None
    assert low.p_half_width_le >= high.p_half_width_le
