"""The planned initial stay against what is published, with tolerances of 4 to 5 Monte Carlo SE."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from scipy.special import ndtr

from cmvsim.core.errors import InputError
from cmvsim.core.streams import Role
from cmvsim.core.value import Value
from cmvsim.evidence import parameter
from cmvsim.models.population import Population
from cmvsim.models.resources import PlannedStay, planned_stay, worst_toxicity
from cmvsim.models.time_grid import STEPS_PER_DAY
from cmvsim.models.windows import Windows
from cmvsim.scenarios import resolve
from cmvsim.simulation.draws import ChunkDraws

N = 2000 * 64
SPEC = resolve("cmv-cart").spec
INF = math.inf


@cache
def draws() -> ChunkDraws:
    return ChunkDraws(5, Role.STUDY, 0, 2000)


@cache
def population() -> Population:
    return Population(SPEC.population, draws())


def grades(severe: float, life_threatening: float = 0.0) -> np.ndarray:
    """Worst grades with the given shares of 3 or more and of 4; a third of the rest has grade 2."""
    u = np.random.default_rng(2).random(N)
    mild = np.where(u > 1 - (1 - severe) / 3, 2, 1)
    return np.where(u < life_threatening, 4, np.where(u < severe, 3, mild))


def stays(grade: np.ndarray, **more: np.ndarray) -> PlannedStay:
    return planned_stay(SPEC.resources.initial_stay, population(), grade, draws(), **more)


@pytest.mark.parametrize(
    ("disease", "product", "published", "severe"),
    [
        ("leukaemia", "tisagenlecleucel", 37.9, 0.21),
        ("lymphoma", "tisagenlecleucel", 23.8, 0.07),
        ("lymphoma", "axicabtagene", 25.9, 0.28),
    ],
)
def test_closed_form_mean_stay_is_the_published_one(disease: str, product: str, published: float, severe: float) -> None:
    """Of all patients, the days before infusion included, with the share of severe toxicity of that product."""
    stay = stays(grades(severe)).hospital
    diseases = np.array([stratum.disease for stratum in SPEC.population.strata.values()])
    product_of = np.array(SPEC.population.products)[population().product]
    mine = (diseases[population().stratum] == disease) & (product_of == product)
    days = (stay.stop - stay.start)[mine]
    se = days.std() / math.sqrt(mine.sum())
    # the catalogue's medians have three digits: 0.1 days; severe toxicity left out would miss by 0.5 days or more
    assert 4 * se + 0.1 < 7 * severe
    assert abs(days.mean() - published) < 4 * se + 0.1


def test_closed_form_intensive_care_is_given_to_15_in_100_of_a_european_mix() -> None:
    """20% of grade 3 or more, 5% of grade 4: 15% in the European cohort, of which about 2 points are for severe infections."""
    planned = stays(grades(0.20, 0.05))
    share, published = np.isfinite(planned.icu.start).mean(), parameter("icu_lbcl_eu").centre
    se = math.sqrt(published * (1 - published) / N)
    assert abs(share + 0.02 - published) < 0.01 + 4 * se  # the cohort's own half-width is 4 points
    exact = 0.05 * 0.9 + 0.15 * 0.4 + 0.8 / 3 * 0.08 + 0.8 * 2 / 3 * 0.01
    assert abs(share - exact) < 4.5 * se
    assert 4.5 * se < 0.005


@pytest.mark.parametrize(("grade", "expected"), [(0, 0.01), (1, 0.01), (2, 0.08), (3, 0.40), (4, 0.90), (5, 0.90)])
def test_closed_form_intensive_care_by_grade(grade: int, expected: float) -> None:
    share = np.isfinite(stays(np.full(N, grade)).icu.start).mean()
    assert abs(share - expected) < 4.5 * math.sqrt(expected * (1 - expected) / N)


def test_properties_of_the_windows() -> None:
    planned = stays(grades(0.5, 0.3))
    hospital, icu = planned.hospital, planned.icu
    assert (hospital.start == -5).all()
    assert (hospital.stop > 0).all()
    there = np.isfinite(icu.start)
    assert (np.isfinite(icu.stop) == there).all()
    assert (icu.start[there] == 6).all()
    assert ((icu.start < icu.stop) & (icu.stop <= hospital.stop))[there].all()
    assert (icu.stop == hospital.stop)[there].any()  # discharge waits for it in some
    for times in (hospital.stop, icu.stop[there]):
        np.testing.assert_array_equal(times * STEPS_PER_DAY, np.rint(times * STEPS_PER_DAY))


def test_severe_toxicity_adds_its_days_and_nothing_else_changes() -> None:
    mild, severe = stays(np.full(N, 2)), stays(np.full(N, 3))
    planned = {name: before_intensive_care(grade) for name, grade in (("mild", 2), ("severe", 3))}
    np.testing.assert_array_equal(planned["severe"], planned["mild"] + 7)
    for stay, discharge in ((mild, planned["mild"]), (severe, planned["severe"])):
        there = np.isfinite(stay.icu.start)
        np.testing.assert_array_equal(stay.hospital.stop[~there], discharge[~there])
        np.testing.assert_array_equal(stay.hospital.stop[there], np.maximum(discharge, stay.icu.stop)[there])
    # common draws: whoever is in intensive care with grade 2 is with grade 3
    assert not (np.isfinite(mild.icu.start) & ~np.isfinite(severe.icu.start)).any()


def before_intensive_care(grade: int) -> np.ndarray:
    """Discharge where intensive care is given to nobody."""
    never = {name: Value(value=0.0) for name in ("grade_0_1", "grade_2", "grade_3", "grade_4")}
    spec = SPEC.resources.initial_stay
    spec = spec.model_copy(update={"icu": spec.icu.model_copy(update=never)})
    stay = planned_stay(spec, population(), np.full(N, grade), draws())
    assert not np.isfinite(stay.icu.start).any()
    return stay.hospital.stop


def test_closed_form_nobody_is_discharged_from_intensive_care() -> None:
    """Its days keep their law (log-normal, cut at both ends); what begins after discharge is none."""
    law, onset = SPEC.resources.initial_stay.icu_days, np.full(N, 9.5)
    stay, discharge = stays(np.full(N, 4), worst_from=onset), before_intensive_care(4)
    there = np.isfinite(stay.icu.start)
    late = there & (stay.icu.stop >= discharge)
    assert late.sum() > 1000
    np.testing.assert_array_equal(stay.hospital.stop[late], stay.icu.stop[late])
    days = stay.icu.stop[there] - stay.icu.start[there]
    low, high = (math.log(x / law.centre) / law.spread for x in (law.low, law.high))
    mass = ndtr(high - law.spread) - ndtr(low - law.spread)
    mean = law.centre * math.exp(law.spread**2 / 2) * mass / (ndtr(high) - ndtr(low))
    se = days.std() / math.sqrt(days.size)
    assert abs(days.mean() - mean) < 4.5 * se
    # cut at discharge they would be shorter by more than that
    assert mean - np.minimum(days, (discharge - onset)[there]).mean() > 6 * se
    home = stays(np.full(N, 4), worst_from=discharge)
    assert not np.isfinite(home.icu.start).any()
    np.testing.assert_array_equal(home.hospital.stop, discharge)


def test_intensive_care_begins_with_the_toxicity_where_it_is_known() -> None:
    onset = np.where(np.arange(N) % 2 == 0, 3.3, INF)
    icu = stays(np.full(N, 4), worst_from=onset).icu
    there = np.isfinite(icu.start)
    np.testing.assert_allclose(icu.start[there & (onset < INF)], 3.3, atol=2**-21)
    assert (icu.start[there & (onset == INF)] == 6).all()


def test_the_worse_of_crs_and_icans() -> None:
    never = INF
    crs = Windows(np.array([2.0, 2, 2, never]), np.array([9.0, 9, 9, never]))
    icans = Windows(np.array([6.0, 6, 1, never]), np.array([9.0, 9, 9, never]))
    grade, onset = worst_toxicity(np.array([3, 1, 2, 0]), crs, np.array([1, 4, 2, 0]), icans)
    assert grade.tolist() == [3, 4, 2, 0]
    assert onset.tolist() == [2, 6, 1, never]


@pytest.mark.parametrize(
    ("override", "at", "says"),
    [
        ("resources.initial_stay.admission=2", "resources.initial_stay", "at or before infusion"),
        ("resources.initial_stay.length.lymphoma.axicabtagene=3", "resources.initial_stay", "ends before infusion"),
        (
            "resources.initial_stay.length.lymphoma.axicabtagene={ median = 20, varies = { sdlog = 0.3 } }",
            "resources.initial_stay",
            "give it low = 5 or more",
        ),
        (
            "resources.initial_stay.length.lymphoma.axi=20",
            "resources.initial_stay.length.lymphoma.axi",
            "no stratum gives 'axi'",
        ),
        ("resources.outpatient.consultation_every=0.1", "resources.outpatient", "at least 0.5 days"),
        ("resources.cmv.admission.foscarnet=1.2", "resources.cmv.admission.foscarnet", "1.2 is not allowed"),
        ("resources.support.gcsf_days=-1", "resources.support.gcsf_days", "-1 is not allowed"),
    ],
)
def test_mistakes_are_told(override: str, at: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        resolve("cmv-cart", (override,))
    assert [(problem.at, says in problem.message) for problem in caught.value.problems] == [(at, True)]


def test_a_product_without_a_stay_is_told() -> None:
    spec = SPEC.resources.initial_stay
    lacking = spec.model_copy(
        update={"length": {**spec.length, "lymphoma": {"axicabtagene": spec.length["lymphoma"]["axicabtagene"]}}}
    )
    (problem,) = lacking.check(SPEC.population, "a.toml")
    assert problem.at == "resources.initial_stay.length.lymphoma"
    assert problem.message == "lymphoma has no initial stay with 'tisagenlecleucel'"
    assert spec.check(SPEC.population, "a.toml") == []
