"""The CMV endpoints derived from small studies made by hand: every choice of the plan, one patient at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from cmvsim.core.errors import InputError
from cmvsim.data import Courses, Disposition, EndReason, Occurrences, Result, Samples, Study, Subjects
from cmvsim.endpoints import AnalysisSpec, endpoint

NAN = math.nan
OUT, CENSORED, EVENT, DEATH, HCT, RELAPSE = -1, 0, 1, 2, 3, 4
NEG, LOW, NUM = Result.NOT_DETECTED, Result.BELOW_LLOQ, Result.QUANTIFIED

Sample = tuple[float, float, Result, float]  # nominal, day, result, load


def _study(
    samples: Sequence[Sample],
    *,
    end: float = 90,
    reason: EndReason = EndReason.COMPLETED,
    death: float = NAN,
    events: dict[str, float] | None = None,
    courses: dict[str, tuple[float, float]] | None = None,
    stratum: int = 0,
) -> Study:
    rows = [*samples, (NAN, NAN, Result.NONE, NAN)]  # padding
    columns = [np.array([[column]]) for column in zip(*rows, strict=True)]
    return Study(
        subjects=Subjects(np.full((1, 1), stratum, np.int8), ("B-ALL", "DLBCL"), ("leukaemia", "lymphoma")),
        samples=Samples(columns[0], columns[1], columns[2].astype(np.int8), columns[3], "plasma", 35.0),
        disposition=Disposition(np.full((1, 1), float(end)), np.full((1, 1), reason, np.int8), np.full((1, 1), death)),
        events={name: Occurrences.once(np.full((1, 1), day)) for name, day in (events or {}).items()},
        exposures={drug: Courses(np.full((1, 1, 1), a), np.full((1, 1, 1), b)) for drug, (a, b) in (courses or {}).items()},
    )


def _derive(study: Study, name: str = "cmv_reactivation", **plan: Any) -> tuple[int, float]:
    spec = AnalysisSpec.model_validate({"endpoints": ["cmv_reactivation"], **plan})
    derived = endpoint(name).derive(study, spec)
    assert derived.time.shape == derived.cause.shape == (1, 1)
    return int(derived.cause[0, 0]), float(derived.time[0, 0])


def _quantified(day: float, load: float = 100.0, nominal: float | None = None) -> Sample:
    return (day if nominal is None else nominal, day, NUM, load)


BASELINE: Sample = (0, 0, NEG, NAN)

LADDER = [BASELINE, (7, 7, LOW, NAN), _quantified(14, 60), _quantified(21, 999), _quantified(28, 1000), (35, 35, NEG, NAN)]


@pytest.mark.parametrize(
    ("definition", "day"),
    [("detected", 7), ("quantifiable", 14), ({"at_least": 60}, 14), ({"at_least": 61}, 21), ({"at_least": 1000}, 28)],
)
def test_definitions_take_the_first_sample_that_qualifies(definition: Any, day: float) -> None:
    assert _derive(_study(LADDER), definition=definition) == (EVENT, day)


def test_default_definition_is_quantifiable() -> None:
    assert _derive(_study(LADDER)) == (EVENT, 14)


def test_no_qualifying_sample_is_censored_at_the_end() -> None:
    assert _derive(_study(LADDER), definition={"at_least": 1001}) == (CENSORED, 90)
    assert _derive(_study([BASELINE])) == (CENSORED, 90)
    assert _derive(_study([]), prevalent="count") == (CENSORED, 90)


def test_order_of_rows_does_not_matter() -> None:
    assert _derive(_study(LADDER[::-1])) == (EVENT, 14)


CLINICAL = {"definition": "clinically_significant"}


@pytest.mark.parametrize(
    ("drug", "counts"),
    [
        ("valganciclovir", True),
        ("ganciclovir", True),
        ("foscarnet", True),
        ("maribavir", True),
        ("letermovir", False),
        ("valaciclovir", False),
        ("corticosteroids", False),
    ],
)
def test_clinically_significant_is_treatment_with_an_anti_cmv_drug(drug: str, counts: bool) -> None:
    study = _study(LADDER, courses={drug: (30, 44)})
    assert _derive(study, **CLINICAL) == ((EVENT, 30) if counts else (CENSORED, 90))


def test_a_relapse_that_ends_monitoring_by_a_new_therapy_is_what_ended_it() -> None:
    """Relapse within day 33 brings a new therapy: monitoring ends with day 32, the last whole day before."""
    study = _study([BASELINE], end=32, reason=EndReason.NEW_THERAPY, events={"relapse": 33.0, "new_therapy": 33.0})
    assert _derive(study, relapse="competing") == (RELAPSE, 33)
    assert _derive(study, relapse="treatment_policy") == (CENSORED, 32)
    later = _study([BASELINE], end=32, reason=EndReason.WITHDRAWN, events={"relapse": 33.0})
    assert _derive(later, relapse="competing") == (CENSORED, 32)


def test_clinically_significant_is_also_disease_whichever_is_first() -> None:
    both = {"valganciclovir": (30.0, 44.0), "foscarnet": (28.0, 40.0)}
    assert _derive(_study(LADDER, courses=both, events={"cmv_disease": 29.0}), **CLINICAL) == (EVENT, 28)
    assert _derive(_study(LADDER, courses=both, events={"cmv_disease": 20.0}), **CLINICAL) == (EVENT, 20)
    assert _derive(_study(LADDER, courses={"valganciclovir": (NAN, NAN)}, events={"cmv_disease": NAN}), **CLINICAL) == (
        CENSORED,
        90,
    )


def test_treatment_outside_the_window_is_no_event() -> None:
    assert _derive(_study([BASELINE], courses={"valganciclovir": (91, 99)}), **CLINICAL) == (CENSORED, 90)
    assert _derive(_study([BASELINE], courses={"valganciclovir": (90, 99)}), **CLINICAL) == (EVENT, 90)
    assert _derive(_study([BASELINE], courses={"valganciclovir": (0, 9)}), **CLINICAL) == (CENSORED, 90)


# -- prevalent DNAemia -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("first", [(0, 0, NUM, 80.0), (-5, -5, NUM, 80.0), (0, -1, NUM, 80.0)])
def test_a_positive_sample_at_or_before_infusion_excludes_or_counts(first: Sample) -> None:
    study = _study([first, _quantified(14)])
    assert _derive(study)[0] == OUT
    assert _derive(study, prevalent="count") == (EVENT, 0)
    spec = AnalysisSpec(endpoints=("cmv_reactivation",))
    excluded = endpoint("cmv_reactivation").derive(study, spec).excluded
    assert [(why, bool(who[0, 0])) for why, who in excluded.items()] == [("DNAemia at or before infusion", True)]
    counted = endpoint("cmv_reactivation").derive(study, spec.model_copy(update={"prevalent": "count"}))
    assert not any(who.any() for who in counted.excluded.values())


def test_baseline_below_quantification_is_prevalent_only_where_detection_counts() -> None:
    study = _study([(0, 0, LOW, NAN), _quantified(14)])
    assert _derive(study) == (EVENT, 14)
    assert _derive(study, definition="detected")[0] == OUT


def test_baseline_dnaemia_excludes_from_treatment_endpoints_too() -> None:
    assert _derive(_study([_quantified(0)], courses={"valganciclovir": (3, 20)}), **CLINICAL)[0] == OUT


# -- competing events and censoring ------------------------------------------------------------------------------
def test_death_competes_and_a_sample_on_the_same_day_comes_first() -> None:
    died = {"end": 30, "reason": EndReason.DEATH, "death": 30}
    assert _derive(_study([BASELINE], **died)) == (DEATH, 30)
    assert _derive(_study([BASELINE, _quantified(30)], **died)) == (EVENT, 30)
    assert _derive(_study([BASELINE, _quantified(29)], **died)) == (EVENT, 29)
    assert _derive(_study([BASELINE], courses={"valganciclovir": (30, 30)}, **died), **CLINICAL) == (EVENT, 30)


def test_death_at_the_edge_of_the_window() -> None:
    assert _derive(_study([BASELINE], end=90, reason=EndReason.DEATH, death=90)) == (DEATH, 90)
    assert _derive(_study([BASELINE], end=91, reason=EndReason.DEATH, death=91)) == (CENSORED, 90)
    assert _derive(_study([BASELINE], end=40, reason=EndReason.DEATH, death=40), window=30, closing_window=0) == (CENSORED, 30)


@pytest.mark.parametrize("reason", [EndReason.LOST, EndReason.WITHDRAWN, EndReason.NEW_THERAPY])
def test_end_of_monitoring_censors_even_if_death_is_known_later(reason: EndReason) -> None:
    assert _derive(_study([BASELINE], end=40, reason=reason, death=60)) == (CENSORED, 40)


def test_events_after_the_end_of_monitoring_are_ignored() -> None:
    assert _derive(_study([BASELINE, _quantified(41)], end=40, reason=EndReason.LOST)) == (CENSORED, 40)
    assert _derive(_study([BASELINE, _quantified(40)], end=40, reason=EndReason.LOST)) == (EVENT, 40)
    assert _derive(_study([BASELINE], end=40, reason=EndReason.HCT, courses={"valganciclovir": (41, 50)}), **CLINICAL) == (
        HCT,
        40,
    )
    assert _derive(_study([BASELINE], end=0, reason=EndReason.LOST)) == (CENSORED, 0)


@pytest.mark.parametrize(("policy", "cause"), [("competing", HCT), ("censor", CENSORED)])
def test_transplantation_competes_or_censors(policy: str, cause: int) -> None:
    assert _derive(_study([BASELINE], end=40, reason=EndReason.HCT, events={"hct": 40.0}), hct=policy) == (cause, 40)
    assert _derive(_study([BASELINE, _quantified(40)], end=40, reason=EndReason.HCT), hct=policy) == (EVENT, 40)


@pytest.mark.parametrize(
    ("policy", "expected"), [("treatment_policy", (EVENT, 50)), ("competing", (RELAPSE, 30)), ("censor", (CENSORED, 30))]
)
def test_relapse_policies(policy: str, expected: tuple[int, float]) -> None:
    study = _study([BASELINE, _quantified(50)], events={"relapse": 30.0})
    assert _derive(study, relapse=policy) == expected
    same_day = _study([BASELINE, _quantified(30)], events={"relapse": 30.0})
    assert _derive(same_day, relapse=policy) == (EVENT, 30), "a sample comes before relapse within a day"
    without = _study([BASELINE, _quantified(50)], events={"relapse": NAN})
    assert _derive(without, relapse=policy) == (EVENT, 50)
    dies = _study([BASELINE], events={"relapse": 40.0}, end=40, reason=EndReason.DEATH, death=40)
    first = {"treatment_policy": DEATH, "competing": RELAPSE, "censor": CENSORED}[policy]
    assert _derive(dies, relapse=policy) == (first, 40), "relapse comes before death within a day"
    late = _study([BASELINE], events={"relapse": 95.0})
    assert _derive(late, relapse=policy) == (CENSORED, 90)


def test_a_policy_that_needs_an_absent_table_is_refused() -> None:
    """Without the events table nobody knows of relapses: 'competing' cannot be the same as ignoring them."""
    study = _study([BASELINE, _quantified(50)])
    with pytest.raises(InputError, match="relapse"):
        _derive(study, relapse="competing")


def test_treatment_as_the_endpoint_needs_a_table_of_treatments() -> None:
    """Without exposures and disease the answer is unknown, not zero."""
    with pytest.raises(InputError, match=r"exposures|treat"):
        _derive(_study([BASELINE, _quantified(50)]), **CLINICAL)


# -- the closing sample ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("nominal", "day", "expected"),
    [
        (90, 93, (EVENT, 90)),
        (90, 97, (EVENT, 90)),
        (90, 98, (CENSORED, 90)),
        (90, 99, (CENSORED, 90)),
        (90, 90, (EVENT, 90)),
        (90, 88, (EVENT, 88)),
        (84, 91, (CENSORED, 90)),
        (NAN, 91, (CENSORED, 90)),
        (NAN, 90, (EVENT, 90)),
    ],
)
def test_closing_sample_counts_within_its_window(nominal: float, day: float, expected: tuple[int, float]) -> None:
    study = _study([BASELINE, _quantified(day, nominal=nominal)], end=max(90, day))
    assert _derive(study) == expected


def test_closing_window_of_the_plan() -> None:
    study = _study([BASELINE, _quantified(93, nominal=90)], end=93)
    assert _derive(study, closing_window=2) == (CENSORED, 90)
    assert _derive(study, closing_window=3) == (EVENT, 90)
    early = _study([BASELINE, _quantified(80, nominal=90)])
    assert _derive(early) == (EVENT, 80), "an early closing visit is a visit"


def test_another_window() -> None:
    study = _study([BASELINE, _quantified(31, nominal=30), _quantified(60)])
    assert _derive(study, window=30) == (EVENT, 30)
    assert _derive(study, window=30, closing_window=0) == (CENSORED, 30)
    assert _derive(study, window=60) == (EVENT, 31)


# -- by disease --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "stratum", "inside"),
    [
        ("cmv_leukaemia", 0, True),
        ("cmv_leukaemia", 1, False),
        ("cmv_lymphoma", 0, False),
        ("cmv_lymphoma", 1, True),
        ("cmv_reactivation", 0, True),
        ("cmv_reactivation", 1, True),
    ],
)
def test_rates_by_disease_take_their_strata(name: str, stratum: int, inside: bool) -> None:
    study = _study([BASELINE, _quantified(14)], stratum=stratum)
    assert _derive(study, name) == ((EVENT, 14) if inside else (OUT, 14))
    spec = AnalysisSpec(endpoints=(name,))
    assert bool(endpoint(name).derive(study, spec).excluded.get("other disease", np.zeros(1)).any()) != inside


def test_a_patient_left_out_has_one_reason() -> None:
    study = _study([_quantified(0)], stratum=1)
    spec = AnalysisSpec(endpoints=("cmv_leukaemia",))
    excluded = endpoint("cmv_leukaemia").derive(study, spec).excluded
    assert sum(int(who.sum()) for who in excluded.values()) == 1


def test_patients_of_a_batch_do_not_touch_each_other() -> None:
    """A batch of two replicates x three patients equals six studies of one."""
    lone = [
        _study(LADDER),
        _study([BASELINE], end=30, reason=EndReason.DEATH, death=30),
        _study([_quantified(0), *LADDER[1:]], stratum=1),
        _study([BASELINE, *LADDER[1:3]]),
        _study([BASELINE, _quantified(93, nominal=90)], end=93),
        _study([BASELINE], end=40, reason=EndReason.HCT),
    ]
    widest = max(s.samples.day.shape[-1] for s in lone)

    def wide(array: np.ndarray, fill: float) -> np.ndarray:
        return np.pad(array, ((0, 0), (0, 0), (0, widest - array.shape[-1])), constant_values=fill)

    def batch(parts: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(parts).reshape(2, 3, *parts[0].shape[2:])

    study = Study(
        subjects=Subjects(batch([s.subjects.stratum for s in lone]), ("B-ALL", "DLBCL"), ("leukaemia", "lymphoma")),
        samples=Samples(
            batch([wide(s.samples.nominal, NAN) for s in lone]),
            batch([wide(s.samples.day, NAN) for s in lone]),
            batch([wide(s.samples.result, 0) for s in lone]),
            batch([wide(s.samples.load, NAN) for s in lone]),
            "plasma",
            35.0,
        ),
        disposition=Disposition(
            batch([s.disposition.end for s in lone]),
            batch([s.disposition.reason for s in lone]),
            batch([s.disposition.death for s in lone]),
        ),
    )
    for name in ("cmv_reactivation", "cmv_lymphoma"):
        spec = AnalysisSpec(endpoints=(name,))
        derived = endpoint(name).derive(study, spec)
        assert [(int(c), float(t)) for c, t in zip(derived.cause.ravel(), derived.time.ravel(), strict=True)] == [
            _derive(s, name) for s in lone
        ]


def test_an_early_closing_visit_completes_the_window() -> None:
    """Who completed monitoring within the closing window before day 90 was followed like those who came later."""
    assert _derive(_study([BASELINE, (90, 85, NEG, NAN)], end=85)) == (CENSORED, 90)
    assert _derive(_study([BASELINE, (90, 83, NEG, NAN)], end=83)) == (CENSORED, 90)
    assert _derive(_study([BASELINE, (90, 82, NEG, NAN)], end=82)) == (CENSORED, 82)
    assert _derive(_study([BASELINE, (90, 85, NEG, NAN)], end=85), closing_window=4) == (CENSORED, 85)
    assert _derive(_study([BASELINE, _quantified(85, nominal=90)], end=85)) == (EVENT, 85)
    assert _derive(_study([BASELINE, (90, 85, NEG, NAN)], end=85, reason=EndReason.WITHDRAWN)) == (CENSORED, 85)
    assert _derive(_study([BASELINE, (90, 85, NEG, NAN)], end=85, death=88)) == (DEATH, 88)
    assert _derive(_study([BASELINE, (90, 85, NEG, NAN)], end=85, death=91)) == (CENSORED, 90)


def test_closing_visits_spread_over_their_window_do_not_raise_the_incidence() -> None:
    """100 patients at each day 83, ..., 97, five of them positive: 5%, not more by censoring the early negative ones."""
    from cmvsim.estimators.competing import aalen_johansen

    derived = [
        _derive(_study([BASELINE, _quantified(day, nominal=90) if k < 5 else (90, day, NEG, NAN)], end=day))
        for day in range(83, 98)
        for k in range(100)
    ]
    cause, time = (np.array([column], dtype=np.float64) for column in zip(*derived, strict=True))
    got = aalen_johansen(time, cause.astype(np.int8), 90.0)
    np.testing.assert_allclose(np.ravel(got.estimate), 0.05, rtol=1e-12)
