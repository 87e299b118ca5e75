"""Polymerase mutations from diaries: which sample counts, what counts as a change, and who is in the denominator."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cmvsim.core.errors import InputError
from cmvsim.core.records import Status
from cmvsim.data.study import Change, Result
from cmvsim.endpoints import AnalysisSpec, endpoint
from cmvsim.endpoints.base import by_term, derivation
from tests.endpoints.diaries import GENES, NAN, Diary, any_diary, study_of

ENTRY = endpoint("cmv_polymerase_mutation")
PLAN = AnalysisSpec(endpoints=("cmv_polymerase_mutation",))
NO, POLY, UNKNOWN, KNOWN, FAILED = (
    Change.NO_CHANGE,
    Change.POLYMORPHISM,
    Change.UNKNOWN,
    Change.KNOWN_RESISTANCE,
    Change.FAILED,
)


def _choice(name: str):
    return next(c for c in ENTRY.estimators if c.id == name)


def answer(d: Diary, gene: str, least: Change) -> str | bool:
    """Why a patient is left out, or whether there is a change."""
    begun = min((a for drug in ("aciclovir", "valaciclovir") for a, _ in d.courses.get(drug, [])), default=math.inf)
    if begun >= min(d.end, 90):
        return "not exposed"
    drugs = ("valganciclovir", "ganciclovir", "foscarnet", "cidofovir", *(["maribavir"] if gene == "UL97" else []))
    stop = min((a for drug in drugs for a, _ in d.courses.get(drug, [])), default=math.inf)
    failed = False
    for day, genes in sorted(d.sequenced, key=lambda sample: sample[0]):
        closing = any(nominal == 90 and taken == day for nominal, taken, _, _ in d.samples)
        in_time = day <= 90 or (day <= 97 and closing)
        if not (in_time and begun < day <= stop and day <= d.end):
            continue
        seen = genes[GENES.index(gene)]
        if seen is FAILED:
            failed = True
            continue
        return seen >= least
    return "failed" if failed else "not sequenced"


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False))
def test_every_derivation_against_diaries(random: Random) -> None:
    diaries = [any_diary(random) for _ in range(4)]
    for d in diaries:
        d.sequenced = list({day: (day, genes) for day, genes in d.sequenced}.values())  # one sample a day
        if random.random() < 0.7:
            d.courses["valaciclovir"] = [(-6.0, NAN)]
    study = study_of([diaries])
    for name, gene, least in (
        ("clopper_pearson", "UL54", KNOWN),
        ("unknown_included", "UL54", UNKNOWN),
        ("kinase", "UL97", KNOWN),
    ):
        derived = derivation(ENTRY, _choice(name), study, PLAN)
        want = [answer(d, gene, least) for d in diaries]
        assert list(derived.value[0]) == [-1 if isinstance(x, str) else int(x) for x in want], name
        counts = [int(who.sum()) for who in derived.excluded.values()]
        assert counts == [want.count(why) for why in ("not exposed", "failed", "not sequenced")]
    everybody = derivation(ENTRY, _choice("all_exposed"), study, PLAN)
    primary = [answer(d, "UL54", KNOWN) for d in diaries]
    assert list(everybody.value[0]) == [-1 if x == "not exposed" else int(x is True) for x in primary]


def _on_aciclovir(*sequenced: tuple[float, Change], **courses: tuple[float, float]) -> Diary:
    given = {"aciclovir": [(-7.0, NAN)]} | {drug: [course] for drug, course in courses.items()}
    return Diary(courses=given, sequenced=[(day, (change, NO, NO)) for day, change in sequenced])


@pytest.mark.parametrize(
    ("diary", "value"),
    [
        (_on_aciclovir((20, KNOWN)), 1),
        (_on_aciclovir((20, UNKNOWN)), 0),
        (_on_aciclovir((20, POLY)), 0),
        (_on_aciclovir((20, NO), (30, KNOWN)), 0),
        (_on_aciclovir((20, FAILED), (30, KNOWN)), 1),
        (_on_aciclovir((20, KNOWN), ganciclovir=(20.0, 40.0)), 1),
        (_on_aciclovir((20, KNOWN), foscarnet=(19.0, 40.0)), -1),
        (_on_aciclovir((20, KNOWN), maribavir=(10.0, 40.0)), 1),
        (_on_aciclovir((91, KNOWN)), -1),
        (_on_aciclovir((20, FAILED)), -1),
        (_on_aciclovir(), -1),
        (Diary(sequenced=[(20.0, (KNOWN, NO, NO))]), -1),
    ],
)
def test_by_hand(diary: Diary, value: int) -> None:
    assert int(ENTRY.derive(study_of([[diary]]), PLAN).value[0, 0]) == value


def test_maribavir_selects_changes_of_the_kinase() -> None:
    kinase = _choice("kinase")
    seen = Diary(courses={"aciclovir": [(-5.0, NAN)]}, sequenced=[(20.0, (NO, KNOWN, NO))])
    given = Diary(courses={**seen.courses, "maribavir": [(10.0, 40.0)]}, sequenced=seen.sequenced)
    assert derivation(ENTRY, kinase, study_of([[seen, given]]), PLAN).value.tolist() == [[1, -1]]


def test_the_closing_sample_counts_although_late() -> None:
    d = _on_aciclovir((93, KNOWN))
    d.end = 93.0
    d.samples = [(90.0, 93.0, Result.QUANTIFIED, 900.0)]
    assert int(ENTRY.derive(study_of([[d]]), PLAN).value[0, 0]) == 1


def test_exact_limits_among_those_sequenced() -> None:
    diaries = [_on_aciclovir((20, KNOWN)), *[_on_aciclovir((20, NO))] * 8, *[_on_aciclovir()] * 3]
    study = study_of([diaries])
    got = by_term(_choice("clopper_pearson").estimate(ENTRY.derive(study, PLAN), PLAN, (12,)))[""]
    assert (got.n[0, 0], got.events[0, 0], got.status[0, 0]) == (9, 1, Status.OK)
    assert got.estimate[0, 0] == pytest.approx(1 / 9)
    assert got.ci_low[0, 0] == pytest.approx(stats.beta.ppf(0.025, 1, 9), rel=1e-10)
    assert got.ci_high[0, 0] == pytest.approx(stats.beta.ppf(0.975, 2, 8), rel=1e-10)
    whole = _choice("all_exposed")
    got = by_term(whole.estimate(derivation(ENTRY, whole, study, PLAN), PLAN, (12,)))[""]
    assert (got.n[0, 0], got.events[0, 0]) == (12, 1)


def test_nobody_sequenced_is_empty() -> None:
    got = by_term(_choice("clopper_pearson").estimate(ENTRY.derive(study_of([[Diary()]]), PLAN), PLAN, (1,)))[""]
    assert got.status[0, 0] == Status.EMPTY
    assert np.isnan(got.estimate[0, 0])


def test_absent_tables_are_said() -> None:
    study = study_of([[Diary()]])
    without = type(study)(study.subjects, study.samples, study.disposition)
    with pytest.raises(InputError, match=r"sequencing\.csv"):
        ENTRY.derive(without, PLAN)
    with pytest.raises(InputError, match=r"exposures\.csv"):
        ENTRY.derive(type(study)(study.subjects, study.samples, study.disposition, sequencing=study.sequencing), PLAN)
