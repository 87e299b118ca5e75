"""CMV disease and the virome, and what stands beside the primary rate: against rules applied to one patient at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protocol_build import (
    CAUSE,
    LOW,
    NAN,
    NEG,
    NUM,
    VIRUSES,
    Patient,
    any_batch,
    any_plan,
    build,
    cmv_day,
    counted_day,
    follow_up,
    is_positive,
    plan,
    prevalent,
)

from cmvsim.core.errors import InputError
from cmvsim.core.records import Estimates, Status
from cmvsim.data import EndReason
from cmvsim.endpoints import AnalysisSpec, endpoint
from cmvsim.endpoints.analyse import analyse
from cmvsim.endpoints.base import EstimatorChoice, by_term, derivation, plan_of
from cmvsim.endpoints.derived import TimeToEvent
from cmvsim.estimators import aalen_johansen, gray, restricted_mean_time_lost

SEEDS = st.integers(0, 2**32)
Rule = Callable[[Patient, AnalysisSpec], tuple[float, int] | None]
"""(day, cause), or None for a patient who is not in the analysis."""


def choice(name: str, which: str) -> EstimatorChoice:
    return next(c for c in endpoint(name).estimators if c.id == which)


def estimated(name: str, which: str, study: Any, spec: AnalysisSpec) -> dict[str, Estimates]:
    chosen = choice(name, which)
    own = plan_of(chosen, spec)
    return dict(by_term(chosen.estimate(derivation(endpoint(name), chosen, study, own), own, (study.patients,))))


def other_part(p: Patient, spec: AnalysisSpec) -> bool:
    return spec.parts == "prospective" and p.part != 1


def reactivation(p: Patient, spec: AnalysisSpec) -> tuple[float, int] | None:
    if other_part(p, spec) or (spec.prevalent == "exclude" and prevalent(p, spec)):
        return None
    if prevalent(p, spec):
        return 0.0, 1
    last, why = follow_up(p, spec)
    day = cmv_day(p, spec)
    return (day, 1) if day is not None and day <= last else (last, CAUSE[why])


def disease(p: Patient, spec: AnalysisSpec) -> tuple[float, int] | None:
    days = [d for d, c in zip(p.events.get("cmv_disease", []), p.certainty, strict=True) if c != 0]
    first = min(days, default=None)
    before = first is not None and first <= 0
    if other_part(p, spec) or (spec.prevalent == "exclude" and (prevalent(p, spec) or before)):
        return None
    if before:
        return 0.0, 1
    last, why = follow_up(p, spec)
    return (first, 1) if first is not None and first <= last else (last, CAUSE[why])


def infected(p: Patient, virus: str, spec: AnalysisSpec) -> tuple[bool, bool, bool, float | None]:
    """(has a baseline sample, it was positive, it has a load, first day of infection)."""
    baseline = max((s for s in p.virome.get(virus, []) if s[1] <= 0), key=lambda s: s[1], default=None)
    if baseline is None:
        return False, False, False, None
    carrier = baseline[2] in (LOW, NUM)
    days = []
    for nominal, day, result, load in p.virome[virus]:
        on = counted_day(nominal, day, spec)
        if not 0 < on <= spec.window or result not in (LOW, NUM):
            continue
        rises = virus == "anellovirus" and NUM == result == baseline[2]
        if not carrier or (rises and round(10 * load) - round(10 * baseline[3]) >= 10 * spec.conversion_rise):
            days.append(on)
    return True, carrier, baseline[2] == NUM, min(days, default=None)


def infection_by(virus: str) -> Rule:
    def rule(p: Patient, spec: AnalysisSpec) -> tuple[float, int] | None:
        sampled, carrier, has_load, first = infected(p, virus, spec)
        unfit = not sampled or (carrier and (virus != "anellovirus" or not has_load))
        if other_part(p, spec) or unfit:
            return None
        last, why = follow_up(p, spec)
        return (first, 1) if first is not None and first <= last else (last, CAUSE[why])

    return rule


RULES: dict[str, Rule] = {
    "cmv_reactivation": reactivation,
    "cmv_disease": disease,
    **{virus: infection_by(virus) for virus in VIRUSES},
}


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=60, deadline=None)
@given(seed=SEEDS)
def test_day_and_cause_are_those_of_the_rules(name: str, seed: int) -> None:
    batch, spec = any_batch(seed), any_plan(seed)
    derived = endpoint(name).derive(build(batch), spec)
    assert isinstance(derived, TimeToEvent)
    for r, row in enumerate(batch):
        for n, p in enumerate(row):
            expected = RULES[name](p, spec)
            reasons = [why for why, who in derived.excluded.items() if who[r, n]]
            if expected is None:
                assert (int(derived.cause[r, n]), len(reasons)) == (-1, 1)
            else:
                assert (float(derived.time[r, n]), int(derived.cause[r, n]), reasons) == (*expected, [])


# -- disease, by hand --------------------------------------------------------------------------------------------
def one(name: str, p: Patient, **changes: Any) -> tuple[float, int]:
    derived = endpoint(name).derive(build([[p]]), plan(**changes))
    return float(derived.time[0, 0]), int(derived.cause[0, 0])


def test_possible_disease_does_not_count_and_unsaid_certainty_does() -> None:
    both = Patient(events={"cmv_disease": [20.0, 40.0]}, certainty=[0, 1])
    assert one("cmv_disease", both) == (40, 1)
    assert one("cmv_disease", replace(both, certainty=[-1, 2])) == (20, 1)
    assert one("cmv_disease", replace(both, certainty=[0, 0])) == (90, 0)
    assert one("cmv_reactivation", both, definition="clinically_significant") == (40, 1), "nor is it clinically significant"
    dies = replace(both, end=40.0, reason=EndReason.DEATH, death=40.0)
    assert one("cmv_disease", dies) == (40, 1), "disease on the day of death counts"
    assert one("cmv_disease", replace(dies, end=39.0, death=39.0)) == (39, 2)


def test_disease_needs_a_table() -> None:
    study = build([[Patient()]])
    with pytest.raises(InputError, match="CMV disease"):
        endpoint("cmv_disease").derive(replace(study, events={}), plan())


# -- virome, by hand ---------------------------------------------------------------------------------------------
def carries(load: float, day: float = 0.0) -> tuple[float, float, int, float]:
    return (day, day, int(NUM), load)


def test_the_baseline_is_the_last_sample_on_or_before_day_0() -> None:
    later = (14.0, 15.0, int(LOW), NAN)
    clear, found = (-5.0, -5.0, int(NEG), NAN), (0.0, 0.0, int(LOW), NAN)
    assert one("pegivirus", Patient(virome={"pegivirus": [later, clear]})) == (15, 1)
    assert one("pegivirus", Patient(virome={"pegivirus": [found, later, clear]}))[1] == -1
    cleared = [(-5.0, -5.0, int(LOW), NAN), (0.0, 0.0, int(NEG), NAN), later]
    assert one("pegivirus", Patient(virome={"pegivirus": cleared})) == (15, 1)
    assert one("pegivirus", Patient(virome={"pegivirus": [later]}))[1] == -1, "without a baseline sample"


def test_a_rise_counts_at_the_threshold_and_only_for_anellovirus() -> None:
    path = [carries(3.4), carries(4.39, 14.0), carries(4.4, 28.0)]
    assert one("anellovirus", Patient(virome={"anellovirus": path})) == (28, 1)
    assert one("anellovirus", Patient(virome={"anellovirus": path}), conversion_rise=0.9) == (14, 1)
    assert one("anellovirus", Patient(virome={"anellovirus": path}), conversion_rise=1.01) == (90, 0)
    assert one("redondovirus", Patient(virome={"redondovirus": path}))[1] == -1
    vague = [(0.0, 0.0, int(LOW), NAN), carries(6.0, 14.0)]
    assert one("anellovirus", Patient(virome={"anellovirus": vague}))[1] == -1


def test_any_positive_sample_counts_carriers_and_only_samples_after_infusion() -> None:
    row = [
        Patient(virome={"pegivirus": [(0.0, 0.0, int(LOW), NAN), (14.0, 14.0, int(LOW), NAN)]}),
        Patient(virome={"pegivirus": [(0.0, 0.0, int(LOW), NAN), (14.0, 14.0, int(NEG), NAN)]}),
        Patient(virome={"pegivirus": [(14.0, 14.0, int(NEG), NAN), (90.0, 97.0, int(LOW), NAN)]}),
        Patient(virome={"pegivirus": [(14.0, 14.0, int(NEG), NAN), (90.0, 98.0, int(LOW), NAN)]}),
        Patient(virome={"pegivirus": [(0.0, 0.0, int(LOW), NAN)]}),
    ]
    got = estimated("pegivirus", "any_positive", build([row]), plan())["any positive"]
    assert (got.events.item(), got.n.item(), got.estimate.item()) == (2, 4, 0.5)


def test_prevalence_at_each_planned_visit() -> None:
    row = [
        Patient(virome={"pegivirus": [(0.0, 0.0, int(LOW), NAN), (28.0, 30.0, int(LOW), NAN)]}),
        Patient(virome={"pegivirus": [(0.0, 0.0, int(NEG), NAN)]}),
        Patient(virome={"pegivirus": [(0.0, 0.0, int(NEG), NAN), (28.0, 26.0, int(NEG), NAN)]}),
        Patient(),
    ]
    got = estimated("pegivirus", "prevalence_by_visit", build([row]), plan())
    assert {term: (e.events.item(), e.n.item()) for term, e in got.items()} == {"day 0": (1, 3), "day 28": (1, 2)}


# -- beside the primary rate -------------------------------------------------------------------------------------
def intervals(p: Patient, spec: AnalysisSpec, *, late: bool) -> tuple[float, float] | None:
    seen = reactivation(p, spec)
    if seen is None:
        return None
    day, cause = seen
    negative = [counted_day(s[0], s[1], spec) for s in p.samples if not is_positive(s[2], s[3], spec)]
    last = max((d for d in negative if 0 <= d <= day), default=0.0)
    if cause == 1:
        return (last, day) if day > 0 else (0.0, 0.0)
    if cause == 0:
        return last, math.inf
    return (last, day) if late and last < day else (float(spec.window), math.inf)


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS)
def test_visit_intervals_of_each_patient(seed: int) -> None:
    batch, spec = any_batch(seed), any_plan(seed)
    chosen = choice("cmv_reactivation", "visit_intervals")
    if spec.definition.name == "clinically_significant":
        with pytest.raises(InputError, match="clinically significant"):
            derivation(endpoint("cmv_reactivation"), chosen, build(batch), spec)
        return
    got = derivation(endpoint("cmv_reactivation"), chosen, build(batch), spec)
    for r, row in enumerate(batch):
        for n, p in enumerate(row):
            for late, left, right in ((False, got.left, got.right), (True, got.left_late, got.right_late)):
                expected = intervals(p, spec, late=late)
                if expected is None:
                    assert math.isnan(left[r, n])
                else:
                    assert (float(left[r, n]), float(right[r, n])) == expected


def test_bounds_take_those_who_died_between_visits_as_free_and_as_not() -> None:
    """Ten patients seen to the end: 3 events, 2 deaths after a gap, 1 death on the day of a negative sample."""
    seen = [(0.0, 0.0, int(NEG), NAN), (28.0, 28.0, int(NEG), NAN), (90.0, 90.0, int(NEG), NAN)]
    event = [(0.0, 0.0, int(NEG), NAN), (28.0, 28.0, int(NUM), 90.0)]
    died = {"reason": EndReason.DEATH, "end": 40.0, "death": 40.0}
    row = [Patient(samples=seen) for _ in range(4)] + [Patient(samples=event) for _ in range(3)]
    row += [Patient(samples=seen[:2], **died) for _ in range(2)]
    row += [Patient(samples=seen[:2], **{**died, "end": 28.0, "death": 28.0})]
    study = build([row])
    got = estimated("cmv_reactivation", "visit_intervals", study, plan())
    assert got["lower bound"].estimate.item() == pytest.approx(0.3, abs=1e-8)
    assert got["upper bound"].estimate.item() == pytest.approx(0.5, abs=1e-8)
    primary = estimated("cmv_reactivation", "aalen_johansen", study, plan())[""]
    assert primary.estimate.item() == pytest.approx(0.3)
    assert all(e.status.item() == Status.OK and math.isnan(e.ci_low.item()) for e in got.values())


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_time_lost_is_that_of_the_library_and_without_censoring_a_mean(seed: int) -> None:
    spec = plan()
    batch = any_batch(seed, 1, 25)
    study = build(batch)
    got = estimated("cmv_reactivation", "time_lost", study, spec)["days"]
    derived = endpoint("cmv_reactivation").derive(study, spec)
    direct = restricted_mean_time_lost(derived.time, derived.cause, 90.0)
    assert got.estimate.item() == direct.estimate.item() or math.isnan(direct.estimate.item())
    ends = [reactivation(p, spec) for p in batch[0]]
    known = [e for e in ends if e is not None]
    if known and all(cause > 0 or day == 90 for day, cause in known) and got.status.item() == Status.OK:
        assert got.estimate.item() == pytest.approx(np.mean([90 - day if cause == 1 else 0.0 for day, cause in known]))


def by_hand(parts: list[tuple[float, float]]) -> tuple[float, float, float]:
    """Combined incidence with its limits, from incidences and their standard errors."""
    theta = [math.log(-math.log(1 - f)) for f, _ in parts]
    variance = [(se / ((1 - f) * -math.log(1 - f))) ** 2 for f, se in parts]
    total = sum(1 / v for v in variance)
    middle = sum(t / v for t, v in zip(theta, variance, strict=True)) / total
    half = 1.959963984540054 / math.sqrt(total)
    return tuple(1 - math.exp(-math.exp(x)) for x in (middle, middle - half, middle + half))  # type: ignore[return-value]


def quantified(day: float) -> list[tuple[float, float, int, float]]:
    return [(0.0, 0.0, int(NEG), NAN), (day, day, int(NUM), 80.0)]


NOT_SEEN = [(0.0, 0.0, int(NEG), NAN)]


def two_parts(first: int, second: int, size: int = 12) -> list[Patient]:
    row = []
    for part, events in enumerate((first, second)):
        row += [Patient(part=part, samples=quantified(7.0 * (k + 1))) for k in range(events)]
        row += [Patient(part=part, samples=NOT_SEEN, end=60.0, reason=EndReason.LOST)]
        row += [Patient(part=part, samples=NOT_SEEN) for _ in range(size - events - 1)]
    return row


def test_parts_are_combined_on_the_complementary_log_log_scale() -> None:
    study = build([two_parts(3, 7)])
    got = estimated("cmv_reactivation", "inverse_variance", study, plan())[""]
    own = []
    for part in ("retrospective", "prospective"):
        derived = endpoint("cmv_reactivation").derive(study, plan(parts=part))
        alone = aalen_johansen(derived.time, derived.cause, 90.0)
        own.append((alone.estimate.item(), alone.se.item()))
    assert (got.estimate.item(), got.ci_low.item(), got.ci_high.item()) == pytest.approx(by_hand(own), rel=1e-12)
    log = [math.log(-math.log(1 - limit)) for limit in (got.ci_low.item(), got.ci_high.item())]
    slope = (1 - got.estimate.item()) * -math.log(1 - got.estimate.item())
    assert got.se.item() == pytest.approx(slope * (log[1] - log[0]) / (2 * 1.959963984540054), rel=1e-10)
    assert (got.n.item(), got.events.item(), got.status.item()) == (24, 10, Status.OK)
    prospective = estimated("cmv_reactivation", "prospective", study, plan())[""]
    assert (prospective.n.item(), prospective.events.item()) == (12, 7)
    assert prospective.estimate.item() == own[1][0]


def test_a_part_without_patients_or_events() -> None:
    alone = build([[p for p in two_parts(3, 7) if p.part == 1]])
    whole = estimated("cmv_reactivation", "aalen_johansen", alone, plan())[""]
    for which in ("inverse_variance", "prospective"):
        got = estimated("cmv_reactivation", which, alone, plan())[""]
        for name in ("estimate", "se", "ci_low", "ci_high", "n", "events", "status"):
            assert getattr(got, name).item() == getattr(whole, name).item(), (which, name)
    none = estimated("cmv_reactivation", "inverse_variance", build([two_parts(0, 7)]), plan())[""]
    assert none.status.item() == Status.NOT_ESTIMABLE
    assert math.isnan(none.estimate.item())
    nobody = build([[Patient(samples=[(0.0, 0.0, int(NUM), 50.0)])]])
    assert estimated("cmv_reactivation", "inverse_variance", nobody, plan())[""].status.item() == Status.EMPTY
    without = build([[Patient(part=1, samples=NOT_SEEN)] * 5])
    got = estimated("cmv_reactivation", "inverse_variance", without, plan())[""]
    assert (got.status.item(), got.estimate.item()) == (Status.NO_EVENTS, 0.0)
    assert 0.4 < got.ci_high.item() < 0.6, "Clopper-Pearson of 0 in 5"


def test_a_study_that_says_nothing_of_parts_gets_a_row_that_says_so() -> None:
    study = build([two_parts(3, 7)], parts=False)
    rows = {row.estimator: row for row in analyse(study, plan()).rows}
    for which in ("prospective", "inverse_variance"):
        assert rows[which].status == "not_estimable"
        assert "parts of the study" in rows[which].note


def test_diseases_are_compared_as_the_library_compares_them() -> None:
    row = []
    for name, days in (("leukaemia", (9, 20, 33, 60)), ("lymphoma", (14, 70))):
        row += [Patient(disease=name, samples=quantified(float(day))) for day in days]
        row += [Patient(disease=name, samples=NOT_SEEN, end=50.0, reason=EndReason.DEATH, death=50.0)]
        row += [Patient(disease=name, samples=NOT_SEEN) for _ in range(9)]
    row += [Patient(disease="myeloma", samples=quantified(30.0))]
    study, spec = build([row]), plan()
    rates = {}
    for name in ("leukaemia", "lymphoma"):
        rates[name] = estimated(f"cmv_{name}", "aalen_johansen", study, spec)[""]
    first, second = rates.values()
    for asked in ("cmv_leukaemia", "cmv_lymphoma"):
        difference = estimated(asked, "risk_difference", study, spec)["leukaemia - lymphoma"]
        assert difference.estimate.item() == pytest.approx(first.estimate.item() - second.estimate.item(), rel=1e-14)
        assert difference.se.item() == pytest.approx(math.hypot(first.se.item(), second.se.item()), rel=1e-14)
        half = 1.959963984540054 * difference.se.item()
        assert difference.ci_high.item() == pytest.approx(difference.estimate.item() + half, rel=1e-12)
        test = estimated(asked, "gray_test", study, spec)["Gray's test"]
        whole = endpoint("cmv_reactivation").derive(study, spec)
        group = np.array([[("leukaemia", "lymphoma", "myeloma").index(p.disease) for p in row]])
        direct = gray(whole.time, np.where(group == 2, -1, whole.cause), np.minimum(group, 1))
        assert test.estimate.item() == direct.p_value.item()
        assert (test.n.item(), test.events.item()) == (26, 6)
    one_group = build([[Patient(samples=quantified(9.0))] * 3])
    assert estimated("cmv_leukaemia", "gray_test", one_group, spec)["Gray's test"].status.item() == Status.NOT_ESTIMABLE
