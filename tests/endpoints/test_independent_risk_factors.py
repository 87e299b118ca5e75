"""Risk factors: rows of the model day by day from diaries, and the fits against the estimators called by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from cmvsim.core.errors import InputError
from cmvsim.core.records import Status
from cmvsim.data.study import EndReason, Result
from cmvsim.endpoints import AnalysisSpec, endpoint
from cmvsim.endpoints.base import by_term, derivation
from cmvsim.endpoints.covariates import COVARIATES, covariate
from cmvsim.estimators.cox import cox
from tests.endpoints.diaries import NAN, Diary, any_diary, first_quantified, prevalent, study_of

ALL = (
    "age",
    "leukaemia",
    "male",
    "prior_allogeneic_hct",
    "product:tisagenlecleucel",
    "corticosteroids",
    "corticosteroids_current",
    "tocilizumab",
    "aciclovir",
    "severe_crs",
    "severe_icans",
    "neutropenia",
    "icu",
    "relapse",
    "bacterial_infection",
)
PLAN = AnalysisSpec(endpoints=("risk_factors",), risk_factors=ALL)
ENTRY = endpoint("risk_factors")


def known(d: Diary, name: str, evening: float) -> float:
    """What is known of a covariate on the evening of a day."""

    def begun(*drugs: str) -> bool:
        return any(start <= evening for drug in drugs for start, _ in d.courses.get(drug, []))

    def on(drug: str) -> bool:
        return any(start <= evening and not evening >= stop for start, stop in d.courses.get(drug, []))

    def reached(event: str, grade: int = 0) -> bool:
        return any(day <= evening and how >= grade for day, how in d.events.get(event, []))

    return float(
        {
            "age": d.age / 10,
            "leukaemia": d.stratum == 0,
            "male": d.male,
            "prior_allogeneic_hct": d.prior,
            "product:tisagenlecleucel": d.product == 1,
            "corticosteroids": begun("corticosteroids"),
            "corticosteroids_current": on("corticosteroids"),
            "tocilizumab": begun("tocilizumab"),
            "aciclovir": begun("aciclovir", "valaciclovir"),
            "severe_crs": reached("crs", 3),
            "severe_icans": reached("icans", 3),
            "neutropenia": reached("neutropenia"),
            "icu": any(start <= evening for start, _, icu in d.stays if icu),
            "relapse": reached("relapse"),
            "bacterial_infection": reached("bacterial_infection"),
        }[name]
    )


def outcome(d: Diary) -> tuple[float, int]:
    """Day and cause, death and transplantation competing; a closing visit of day 83 to 89 completes the window."""
    end, codes = d.end, {EndReason.DEATH: 2, EndReason.HCT: 3}
    if d.reason is EndReason.COMPLETED and 83 <= end < 90:
        dies = end < d.death <= 90
        end, codes[d.reason] = (d.death, 2) if dies else (max(end, 90.0 if not d.death <= end else end), 0)
    first = first_quantified(replace(d, end=end))
    if first < math.inf:
        return first, 1
    return (end, codes.get(d.reason, 0)) if end <= 90 else (90.0, 0)


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False))
def test_rows_say_what_was_known_the_evening_before_each_day(random: Random) -> None:
    parts = [[any_diary(random) for _ in range(3)] for _ in range(2)]
    derived = ENTRY.derive(study_of(parts), PLAN)
    assert derived.terms == ALL
    for r, part in enumerate(parts):
        for n, d in enumerate(part):
            mine = range(n * derived.rows, (n + 1) * derived.rows)
            rows = [k for k in mine if derived.cause[r, k] >= 0]
            if prevalent(d):
                assert not rows
                continue
            time, cause = outcome(d)
            edges = [derived.entry[r, rows[0]], *(derived.time[r, k] for k in rows)]
            assert edges[0] == -1
            assert edges[-1] == time
            assert edges == sorted(set(edges))
            assert [derived.entry[r, k] for k in rows[1:]] == edges[1:-1], "rows abut"
            assert [derived.cause[r, k] for k in rows] == [0] * (len(rows) - 1) + [cause]
            assert all(derived.patient[r, k] == n for k in rows)
            for day in range(int(time) + 1):
                (row,) = [k for k in rows if derived.entry[r, k] < day <= derived.time[r, k]]
                assert list(derived.covariates[r, row]) == pytest.approx([known(d, name, day - 1) for name in ALL])


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False), st.booleans())
def test_landmarks_take_those_still_at_risk_and_what_was_known_then(random: Random, binary: bool) -> None:
    diaries = [any_diary(random) for _ in range(4)]
    study = study_of([diaries])
    choice = next(c for c in ENTRY.estimators if c.id == ("landmark_logistic" if binary else "landmark_fine_gray"))
    derived = derivation(ENTRY, choice, study, PLAN)
    assert derived.rows == 2
    for n, d in enumerate(diaries):
        time, cause = outcome(d)
        for place, day in enumerate((14, 28)):
            k = 2 * n + place
            inside = not prevalent(d) and time > day and not (binary and cause == 0 and time < 90)
            assert derived.cause[0, k] == (cause if inside else -1)
            if inside:
                assert list(derived.covariates[0, k]) == pytest.approx([known(d, name, day) for name in ALL])
    out = sum(who.astype(int) for who in derived.excluded.values())
    assert np.array_equal(out, ~derived.entered), "nobody is dropped silently, nor twice"


def _patient(onset: float | None, steroids: float | None = None, **more: object) -> Diary:
    d = Diary(**more)  # type: ignore[arg-type]
    if onset is not None:
        d.samples = [(onset, onset, Result.QUANTIFIED, 200.0)]
    if steroids is not None:
        d.courses["corticosteroids"] = [(steroids, NAN)]
    return d


HAND = [
    _patient(20, 5, age=60),
    _patient(35, None, age=40),
    _patient(None, 10, age=30),
    _patient(None, None, age=70),
    _patient(50, 3, age=55),
    _patient(None, 60, age=45, end=70.0, reason=EndReason.DEATH, death=70.0),
    _patient(60, None, age=65),
    _patient(None, None, age=20),
]
SMALL = AnalysisSpec(endpoints=("risk_factors",), risk_factors=("age", "male", "corticosteroids"))


def test_a_constant_covariate_is_left_out_and_the_others_are_those_without_it() -> None:
    """Nobody is male: his term is not estimable, the others are those of rows written by hand without it."""
    other = [_patient(None), replace(HAND[1], male=1.0), *HAND[2:]]
    study = study_of([HAND, other])
    choice = ENTRY.estimators[0]
    terms = by_term(choice.estimate(ENTRY.derive(study, SMALL), SMALL, (8,)))
    assert tuple(terms) == choice.terms(SMALL) == SMALL.risk_factors
    rows = []  # patient, begin, end, event, age, steroids
    for n, d in enumerate(HAND):
        time, cause = outcome(d)
        start = d.courses.get("corticosteroids", [(math.inf, NAN)])[0][0]
        if start < time:
            rows += [(n, -1, start, 0, d.age / 10, 0), (n, start, time, cause, d.age / 10, 1)]
        else:
            rows.append((n, -1, time, cause, d.age / 10, 0))
    _, begin, end, cause, age, steroids = (np.array(column, dtype=float)[None] for column in zip(*rows, strict=True))
    fit = cox(end, cause.astype(int), np.stack([age, steroids], axis=-1), entry=begin)
    assert fit.status[0] == Status.OK
    for name, place in (("age", 0), ("corticosteroids", 1)):
        got = terms[name]
        assert got.status[0, 0] == Status.OK
        assert got.estimate[0, 0] == pytest.approx(math.exp(fit.coef[0, place]), rel=1e-9)
        assert got.se[0, 0] == pytest.approx(fit.se[0, place], rel=1e-9)
        assert (got.n[0, 0], got.events[0, 0]) == (8, 4), "patients, not rows"
    assert terms["male"].status[0, 0] == Status.NOT_ESTIMABLE
    assert math.isnan(terms["male"].estimate[0, 0])


def test_univariable_fits_are_fits_of_one_covariate() -> None:
    study = study_of([HAND])
    plan = SMALL.model_copy(update={"risk_factors": ("age", "corticosteroids")})
    alone = plan.model_copy(update={"risk_factors": ("age",)})
    unadjusted = next(c for c in ENTRY.estimators if c.id == "cox_unadjusted")
    got = by_term(unadjusted.estimate(ENTRY.derive(study, plan), plan, (8,)))["age"]
    want = by_term(ENTRY.estimators[0].estimate(ENTRY.derive(study, alone), alone, (8,)))["age"]
    both = by_term(ENTRY.estimators[0].estimate(ENTRY.derive(study, plan), plan, (8,)))["age"]
    assert got.estimate[0, 0] == pytest.approx(want.estimate[0, 0], rel=1e-9)
    assert abs(math.log(got.estimate[0, 0] / both.estimate[0, 0])) > 1e-3, "the covariates are not independent"


def test_baseline_models_take_baseline_covariates_only() -> None:
    study = study_of([HAND])
    for name in ("fine_gray", "logistic", "logistic_firth"):
        choice = next(c for c in ENTRY.estimators if c.id == name)
        assert choice.terms(SMALL) == ("age", "male")
        terms = by_term(choice.estimate(derivation(ENTRY, choice, study, SMALL), SMALL, (4, 8)))
        assert terms["age"].status[0, 1] == Status.OK, name
        assert terms["male"].status[0, 1] == Status.NOT_ESTIMABLE, name
    late = SMALL.model_copy(update={"risk_factors": ("icu",)})
    with pytest.raises(InputError, match="known at infusion"):
        derivation(ENTRY, next(c for c in ENTRY.estimators if c.id == "logistic"), study, late)


def test_a_patient_without_a_value_is_left_out_and_counted() -> None:
    study = study_of([[_patient(20, age=NAN), *HAND[1:]]])
    derived = ENTRY.derive(study, SMALL)
    assert [bool(x) for x in derived.entered[0]] == [False] + [True] * 7
    assert derived.excluded["age not recorded"][0].sum() == 1


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("agee",), "did you mean 'age'"),
        (("age", "age"), "named twice"),
        ((), "no covariates"),
        (("product:axicabtagen",), "did you mean 'axicabtagene'"),
    ],
)
def test_mistakes_in_names_are_said(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ENTRY.derive(study_of([HAND]), SMALL.model_copy(update={"risk_factors": names}))


@pytest.mark.parametrize("name", COVARIATES)
def test_what_was_not_recorded_is_said_with_its_table(name: str) -> None:
    whole = study_of([HAND])
    bare = type(whole)(
        type(whole.subjects)(whole.subjects.stratum, whole.subjects.strata, whole.subjects.diseases),
        whole.samples,
        whole.disposition,
    )
    if name == "leukaemia":
        return  # strata are always there
    with pytest.raises(InputError, match=r"not recorded.*\.csv"):
        ENTRY.derive(bare, SMALL.model_copy(update={"risk_factors": (name,)}))
    assert covariate(name).label
    assert covariate(name).unit


def test_firth_has_a_number_where_maximum_likelihood_has_none() -> None:
    """A rare covariate separates; plain scoring steps overshoot for ever here. The penalised score is 0 at the estimate."""
    random = Random(1)
    diaries = [any_diary(random) for _ in range(80)]
    for d in diaries:
        d.end, d.reason, d.death = 90.0, EndReason.COMPLETED, NAN
    plan = AnalysisSpec(endpoints=("risk_factors",), landmarks=(14,))
    study = study_of([diaries])
    choices = {c.id: c for c in ENTRY.estimators}
    likely, firth = choices["landmark_logistic"], choices["landmark_logistic_firth"]
    derived = derivation(ENTRY, firth, study, plan)
    assert all(v.status[0, 0] != Status.OK for v in by_term(likely.estimate(derived, plan, (80,))).values())
    got = by_term(firth.estimate(derived, plan, (80,)))
    inside = derived.cause[0] >= 0
    varies = np.ptp(derived.covariates[0][inside], axis=0) > 0
    x = derived.covariates[0][inside][:, varies]
    y = (derived.cause[0][inside] == 1).astype(float)
    assert [v.status[0, 0] == Status.OK for v in got.values()] == list(varies)
    slopes = np.log([v.estimate[0, 0] for v, kept in zip(got.values(), varies, strict=True) if kept])

    def score(intercept: float) -> np.ndarray:
        design = np.column_stack([np.ones(len(y)), x])
        p = 1 / (1 + np.exp(-design @ np.array([intercept, *slopes])))
        w = p * (1 - p)
        information = (design * w[:, None]).T @ design
        leverage = w * np.einsum("ij,jk,ik->i", design, np.linalg.inv(information), design)
        return design.T @ (y - p + leverage * (0.5 - p))

    intercept = optimize.brentq(lambda b: score(b)[0], -8, 8, xtol=1e-13)
    assert np.abs(score(intercept)).max() < 1e-6
