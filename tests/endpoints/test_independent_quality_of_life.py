"""Quality of life: visits laid out from diaries, and each estimate against plain least squares or plain Python."""

from __future__ import annotations

import itertools
import math
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmvsim.core.errors import InputError
from cmvsim.core.records import Status
from cmvsim.data.study import EndReason, Result
from cmvsim.endpoints import AnalysisSpec, endpoint
from cmvsim.endpoints.base import by_term, derivation
from cmvsim.endpoints.derived import Longitudinal
from cmvsim.endpoints.quality_of_life import time_average
from cmvsim.valuation import value_set
from tests.endpoints.diaries import NAN, Diary, any_diary, first_quantified, prevalent, study_of

ENTRY = endpoint("hrql")
PLAN = AnalysisSpec(endpoints=("hrql",))
DAYS = (28, 60, 90)
SETS = {1: "belgium_y3l", 2: "france_5l"}


def _choice(name: str):
    return next(c for c in ENTRY.estimators if c.id == name)


def value_of(answer: tuple[float, float, int, tuple[int, ...], float], what: str) -> float:
    """Measurement of one questionnaire."""
    _, _, instrument, levels, vas = answer
    if what == "vas":
        return vas
    if what == "mobility":
        return float(levels[0] > 1) if levels[0] else NAN
    if 0 in levels:
        return NAN
    return float(1 - sum(value_set(SETS[instrument]).decrements[k, level - 1] for k, level in enumerate(levels)))


def visits_of(d: Diary, what: str, *, death_as_zero: bool = False) -> tuple[str, float, list[float], list[int]]:
    """Why left out (or ""), baseline, values and CMV status at the planned days."""
    baseline = NAN
    for answer in d.answers:
        if answer[0] <= 0 and not math.isnan(value_of(answer, what)):
            baseline = value_of(answer, what)
    first = first_quantified(d)
    values, exposed = [], []
    for day in DAYS:
        here = [a for a in d.answers if a[0] == day]
        value = value_of(here[0], what) if here else NAN
        value = 0.0 if death_as_zero and d.death <= day else value
        when = here[0][1] if here and not math.isnan(here[0][1]) else day
        values.append(value)
        exposed.append(int(first <= when))
    if prevalent(d):
        why = "DNAemia"
    elif not d.answers:
        why = "never asked"
    elif math.isnan(baseline):
        why = "no answer before"
    else:
        why = "no answer after" if all(math.isnan(v) for v in values) else ""
    return why, baseline, values, exposed


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False))
def test_visits_against_diaries(random: Random) -> None:
    parts = [[any_diary(random) for _ in range(3)] for _ in range(2)]
    parts[0][0].answers = [(day, day, 2, (1, 2, 3, 4, 5), 50.0) for day in (-5.0, 28.0, 60.0, 90.0)]  # all days are there
    study = study_of(parts)
    for name, what, zero in (
        ("gee", "index", False),
        ("gee_vas", "vas", False),
        ("death_as_zero", "index", True),
        ("problems_mobility", "mobility", False),
    ):
        derived = derivation(ENTRY, _choice(name), study, PLAN)
        assert isinstance(derived, Longitudinal)
        assert derived.days == DAYS
        for r, part in enumerate(parts):
            for n, d in enumerate(part):
                why, baseline, values, exposed = visits_of(d, what, death_as_zero=zero)
                reasons = [reason for reason, who in derived.excluded.items() if who[r, n]]
                assert len(reasons) == (1 if why else 0)
                assert not why or reasons[0].startswith(why)
                assert bool(derived.entered[r, n]) == (not why)
                if why:
                    continue
                assert derived.baseline[r, n] == pytest.approx(baseline)
                assert list(derived.value[r, n]) == pytest.approx(values, nan_ok=True)
                assert list(derived.exposed[r, n]) == exposed
                assert derived.groups[derived.group[r, n]] == {1: "EQ-5D-Y", 2: "EQ-5D-5L"}[d.answers[0][2]]


@pytest.fixture(scope="module")
def cohort() -> tuple[list[Diary], Longitudinal]:
    """Forty adults, thirteen with CMV; some visits missed."""
    random = Random(7)
    diaries = []
    for n in range(40):
        d = Diary()
        for nominal in (-5.0, 28.0, 60.0, 90.0):
            if nominal < 0 or random.random() < 0.85:
                levels = tuple(random.randint(1, 4) for _ in range(5))
                d.answers.append((nominal, nominal, 2, levels, float(random.randint(20, 90))))
        if n % 3 == 0:
            day = float(random.randint(5, 80))
            d.samples = [(NAN, day, Result.QUANTIFIED, 300.0)]
        diaries.append(d)
    return diaries, ENTRY.derive(study_of([diaries]), PLAN)


def _rows(diaries: list[Diary]) -> list[tuple[float, int, int, float]]:
    rows = []
    for d in diaries:
        why, baseline, values, exposed = visits_of(d, "index")
        if not why:
            rows += [(v, k, e, baseline) for k, (v, e) in enumerate(zip(values, exposed, strict=True)) if not math.isnan(v)]
    return rows


def test_the_difference_is_least_squares_with_visit_means_and_baseline(cohort: tuple[list[Diary], Longitudinal]) -> None:
    diaries, derived = cohort
    got = by_term(_choice("gee").estimate(derived, PLAN, (40,)))
    assert tuple(got) == _choice("gee").terms(PLAN) == ("EQ-5D-5L index", "EQ-5D-Y index")
    rows = _rows(diaries)
    y = np.array([row[0] for row in rows])
    x = np.array([[e, b, *(float(k == day) for day in range(3))] for _, k, e, b in rows])
    want = np.linalg.lstsq(x, y, rcond=None)[0][0]
    assert got["EQ-5D-5L index"].status[0, 0] == Status.OK
    assert got["EQ-5D-5L index"].estimate[0, 0] == pytest.approx(want, rel=1e-9)
    assert got["EQ-5D-5L index"].n[0, 0] == derived.entered.sum()
    assert got["EQ-5D-Y index"].status[0, 0] == Status.EMPTY


def test_the_mixed_model_lies_near_and_fits_one_data_set(cohort: tuple[list[Diary], Longitudinal]) -> None:
    _, derived = cohort
    gee = by_term(_choice("gee").estimate(derived, PLAN, (40,)))["EQ-5D-5L index"]
    mixed = by_term(_choice("mixed_model").estimate(derived, PLAN, (40,)))["EQ-5D-5L index"]
    assert not _choice("mixed_model").batched
    assert mixed.status[0, 0] == Status.OK
    assert abs(mixed.estimate[0, 0] - gee.estimate[0, 0]) < 2 * gee.se[0, 0]


def test_time_average_is_the_area_of_trapezoids(cohort: tuple[list[Diary], Longitudinal]) -> None:
    diaries, derived = cohort
    average, ever = time_average(derived)
    for n, d in enumerate(diaries):
        why, baseline, values, exposed = visits_of(d, "index")
        if why:
            continue
        points = [(0.0, baseline)] + [(t, v) for t, v in zip(DAYS, values, strict=True) if not math.isnan(v)]
        area = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in itertools.pairwise(points))
        assert average[0, n] == pytest.approx(area / points[-1][0])
        assert ever[0, n] == exposed[DAYS.index(int(points[-1][0]))]
    assert by_term(_choice("area").estimate(derived, PLAN, (40,)))["EQ-5D-5L index"].status[0, 0] == Status.OK


def test_classes_of_change_count_everybody_once(cohort: tuple[list[Diary], Longitudinal]) -> None:
    diaries, _ = cohort
    choice = _choice("paretian")
    got = by_term(choice.estimate(derivation(ENTRY, choice, study_of([diaries]), PLAN), PLAN, (40,)))
    want: dict[str, int] = {}
    for d in diaries:
        why, _, values, exposed = visits_of(d, "index")
        if why:
            continue
        before = d.answers[0][3]
        last = max(k for k, v in enumerate(values) if not math.isnan(v))
        after = next(a[3] for a in d.answers if a[0] == DAYS[last])
        better = any(b > a for b, a in zip(before, after, strict=True))
        worse = any(b < a for b, a in zip(before, after, strict=True))
        name = {(0, 0): "same", (1, 0): "better", (0, 1): "worse", (1, 1): "mixed"}[int(better), int(worse)]
        term = f"EQ-5D-5L {name}, {'with CMV' if exposed[last] else 'without CMV'}"
        want[term] = want.get(term, 0) + 1
    assert len(want) >= 3
    for term, values in got.items():
        if term.startswith("EQ-5D-5L"):
            assert values.estimate[0, 0] == want.get(term, 0), term
        else:
            assert values.status[0, 0] == Status.EMPTY


def test_a_dead_patient_is_nothing_while_alive_and_zero_in_the_sensitivity_analysis() -> None:
    d = Diary(end=40.0, death=40.0, reason=EndReason.DEATH)
    d.answers = [(-5.0, -5.0, 2, (1, 1, 1, 1, 1), 80.0), (28.0, 28.0, 2, (1, 1, 1, 1, 1), 80.0)]
    study = study_of([[d, Diary(answers=[(day, day, 2, (2,) * 5, 50.0) for day in (-5.0, 28.0, 60.0, 90.0)])]])
    alive = ENTRY.derive(study, PLAN)
    assert list(alive.value[0, 0]) == pytest.approx([1.0, NAN, NAN], nan_ok=True)
    assert list(alive.alive[0, 0]) == [True, False, False]
    zero = derivation(ENTRY, _choice("death_as_zero"), study, PLAN)
    assert list(zero.value[0, 0]) == pytest.approx([1.0, 0.0, 0.0])


def test_no_variation_is_no_certainty() -> None:
    """Everybody answers the same before and after: the difference is 0 with no error, which is no estimate."""
    diaries = [Diary(answers=[(day, day, 2, (1,) * 5, 80.0) for day in (-5.0, 28.0, 60.0)]) for _ in range(12)]
    for d in diaries[:5]:
        d.samples = [(NAN, 40.0, Result.QUANTIFIED, 100.0)]
    got = by_term(_choice("gee").estimate(ENTRY.derive(study_of([diaries]), PLAN), PLAN, (12,)))["EQ-5D-5L index"]
    assert got.status[0, 0] == Status.NOT_ESTIMABLE
    assert np.isnan(got.estimate[0, 0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value_set": "france_51"}, "did you mean 'france_5l'"),
        ({"value_set": "belgium_y3l"}, "is of EQ-5D-Y-3L"),
        ({"value_set_youth": "france_5l"}, "is of EQ-5D-5L"),
    ],
)
def test_value_sets_are_checked(change: dict[str, str], message: str) -> None:
    study = study_of([[Diary(answers=[(-5.0, -5.0, 2, (1,) * 5, 80.0)])]])
    with pytest.raises(InputError, match=message):
        ENTRY.derive(study, PLAN.model_copy(update=change))


def test_another_value_set_changes_children_only() -> None:
    both = [Diary(answers=[(day, day, instrument, (2,) * 5, 80.0) for day in (-5.0, 28.0)]) for instrument in (1, 2)]
    study = study_of([both])
    german = ENTRY.derive(study, PLAN.model_copy(update={"value_set_youth": "germany_y3l"}))
    belgian = ENTRY.derive(study, PLAN)
    assert german.value[0, 0, 0] == pytest.approx(1 - (0.0242 + 0.0191 + 0.0837 + 0.1337 + 0.1254))
    assert belgian.value[0, 0, 0] == pytest.approx(1 - (0.06427099 + 0.04580016 + 0.1037746 + 0.15670509 + 0.10455303))
    assert german.value[0, 1, 0] == belgian.value[0, 1, 0] == pytest.approx(0.85028)


def test_without_questionnaires_the_table_is_named() -> None:
    study = study_of([[Diary()]])
    with pytest.raises(InputError, match=r"questionnaires\.csv"):
        ENTRY.derive(type(study)(study.subjects, study.samples, study.disposition), PLAN)
