"""Section 14, resource use: what care costs time and tests, and the planned initial stay.

The planned stay is the one that a patient would have without CMV. It comes before the course of CMV, because inpatients
are tested more often; what CMV, infections and their treatment add to it is in :mod:`cmvsim.simulation.stays`. Prices come
later.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import model_validator

from cmvsim.core.errors import Problem, did_you_mean
from cmvsim.core.quantities import Days, NonNegative, PositiveDays, Probability, StudyDay, VaryingDays
from cmvsim.core.records import FloatArray, IntArray
from cmvsim.core.spec import Spec
from cmvsim.core.streams import Draws
from cmvsim.core.value import Between, Value
from cmvsim.models.population import Disease, Population, PopulationSpec
from cmvsim.models.time_grid import on_grid
from cmvsim.models.treatment import ANTIVIRALS, Antiviral
from cmvsim.models.windows import Windows

INTRAVENOUS: tuple[Antiviral, ...] = ("ganciclovir", "foscarnet")
"""Drugs that an outpatient gets in the day hospital."""
SEVERE = 3
"""Grade from which toxicity is severe."""
SHORTEST_INTERVAL = 0.5
"""Days between two visits or tests, at least."""


class IcuByGrade(Spec):
    """Probability of intensive care in the initial stay, by the worst grade of acute toxicity."""

    grade_0_1: Probability
    grade_2: Probability
    grade_3: Probability
    grade_4: Probability

    def of_grade(self) -> FloatArray:
        """By grade 0 to 5; a grade 5 is treated as a grade 4."""
        one, two, three, four = (float(x) for x in (self.grade_0_1, self.grade_2, self.grade_3, self.grade_4))
        return np.array([one, one, two, three, four, four])


class InitialStaySpec(Spec):
    """The planned initial stay, as without CMV.

    Attributes
    ----------
    admission
        Day of admission, at or before infusion.
    length
        Days from admission to discharge without severe toxicity, by disease and product; longer where intensive care is.
    severe_toxicity_days
        Days that a worst grade of 3 or more adds.
    icu, icu_from, icu_days
        Probability of intensive care, the day from which it is given where no onset of toxicity is known, and its length.
    """

    admission: StudyDay
    length: dict[Disease, dict[str, VaryingDays]]
    severe_toxicity_days: Days
    icu: IcuByGrade
    icu_from: StudyDay
    icu_days: VaryingDays

    @model_validator(mode="after")
    def _check(self) -> InitialStaySpec:
        before = -float(self.admission)
        if before < 0:
            raise ValueError(f"admission = {-before:g}: patients are admitted at or before infusion")
        for disease, row in self.length.items():
            for product, law in row.items():
                shortest = law.centre if law.spread == 0 else law.low or 0.0
                if shortest < before:
                    raise ValueError(
                        f"length.{disease}.{product}: a stay of {shortest:g} days from day {-before:g} ends before infusion; "
                        f"give it low = {before:g} or more"
                    )
        return self

    def check(self, population: PopulationSpec, where: str) -> list[Problem]:
        """Problems of products that are named here and in no stratum, or the other way round."""
        at = "resources.initial_stay.length"
        needed = {(stratum.disease, name) for stratum in population.strata.values() for name in stratum.products}
        given = {(disease, name) for disease, row in self.length.items() for name in row}
        missing = [
            Problem(f"{disease} has no initial stay with '{name}'", where, f"{at}.{disease}")
            for disease, name in sorted(needed - given)
        ]
        return missing + [
            Problem(
                f"no stratum gives '{name}' for {disease}",
                where,
                f"{at}.{disease}.{name}",
                did_you_mean(name, (other for d, other in needed if d == disease)),
            )
            for disease, name in sorted(given - needed)
        ]


class ByAntiviral(Spec):
    """A probability for each drug against CMV."""

    valganciclovir: Probability
    ganciclovir: Probability
    foscarnet: Probability
    maribavir: Probability


class IntervalByAntiviral(Spec):
    """Days between two tests on each drug against CMV."""

    valganciclovir: PositiveDays
    ganciclovir: PositiveDays
    foscarnet: PositiveDays
    maribavir: PositiveDays


def by_code(table: ByAntiviral | IntervalByAntiviral) -> FloatArray:
    """Values by the code of a drug; NaN at 0, which is none."""
    values: list[Value] = [getattr(table, drug) for drug in ANTIVIRALS]
    return np.array([np.nan, *(float(value) for value in values)])


class CmvStaySpec(Spec):
    """Stays that CMV brings.

    Attributes
    ----------
    prolongation_days
        Days by which a course of treatment begun in the initial stay prolongs it.
    admission, admission_days
        Probability of an additional stay when a drug is begun out of the initial stay, and its length.
    disease_days, disease_icu_share
        Days in hospital for CMV disease, and the share of them, from the first on, in intensive care.
    kidney_injury_days
        Days in hospital for a kidney injury on treatment.
    """

    prolongation_days: VaryingDays
    admission: ByAntiviral
    admission_days: VaryingDays
    disease_days: VaryingDays
    disease_icu_share: Probability
    kidney_injury_days: Days


class InfectionStaySpec(Spec):
    """Stays that bacterial and fungal infections bring.

    Attributes
    ----------
    admission
        Probability that an infection out of the planned stay, not severe, leads to a stay; a severe one always does.
    days
        Length of the stay.
    severe_icu, severe_icu_share
        Probability that a severe infection needs intensive care, and the share of the stay, from its first day on, spent there.
    """

    admission: Probability
    days: VaryingDays
    severe_icu: Probability
    severe_icu_share: Probability


class OutpatientSpec(Spec):
    """Care of outpatients treated for CMV, each at the start of the drug and then at an interval.

    Attributes
    ----------
    consultation_every
        Days between consultations on an oral drug.
    day_hospital_every
        Days between sessions in the day hospital on an intravenous drug.
    blood_test_every
        Days between blood counts and creatinine, by drug.
    """

    consultation_every: PositiveDays
    day_hospital_every: PositiveDays
    blood_test_every: IntervalByAntiviral

    @model_validator(mode="after")
    def _check(self) -> OutpatientSpec:
        named = {name: getattr(self, name) for name in ("consultation_every", "day_hospital_every")}
        named |= {f"blood_test_every.{drug}": getattr(self.blood_test_every, drug) for drug in ANTIVIRALS}
        for name, value in named.items():
            if float(value) < SHORTEST_INTERVAL:
                raise ValueError(f"{name} = {float(value):g}: at least {SHORTEST_INTERVAL:g} days lie between two")
        return self


class SupportSpec(Spec):
    """Drugs that are counted otherwise than by the days of their course.

    Attributes
    ----------
    tocilizumab_doses
        Infusions of a course, all counted at its start.
    gcsf_days
        Days of growth factor from the start of a neutropenia on treatment, no longer than it lasts.
    """

    tocilizumab_doses: NonNegative
    gcsf_days: Days


class ResourcesSpec(Spec):
    """Resource use, in quantities: stays, visits, tests and drugs."""

    initial_stay: InitialStaySpec
    cmv: CmvStaySpec
    infections: InfectionStaySpec
    outpatient: OutpatientSpec
    support: SupportSpec


@dataclass(frozen=True, slots=True)
class PlannedStay:
    """The initial stay as it would be without CMV; all patients have one.

    Attributes
    ----------
    hospital
        (P,) admission to discharge.
    icu
        (P,) intensive care within it; start = stop = +inf where there is none.
    """

    hospital: Windows
    icu: Windows


@dataclass(frozen=True, slots=True)
class Stays:
    """Stays as they were, cut at death and horizon, disjoint and in order of time.

    Attributes
    ----------
    in_hospital
        (W, P), intensive care included.
    in_icu
        (W', P), each within a stay.
    planned
        (P,) the planned initial stay, cut likewise: the part that would have been without CMV.
    """

    in_hospital: Windows
    in_icu: Windows
    planned: Windows


def worst_toxicity(crs_grade: IntArray, crs: Windows, icans_grade: IntArray, icans: Windows) -> tuple[IntArray, FloatArray]:
    """Worst grade of CRS and ICANS, and onset of the worse of the two (the earlier where they are alike), all (P,)."""
    worst = np.maximum(crs_grade, icans_grade)
    onset = np.fmin(np.where(crs_grade == worst, crs.start, np.inf), np.where(icans_grade == worst, icans.start, np.inf))
    return worst, onset


def planned_stay(
    spec: InitialStaySpec,
    population: Population,
    worst_grade: IntArray,
    draws: Draws,
    *,
    worst_from: FloatArray | None = None,
) -> PlannedStay:
    """Planned initial stays of a chunk, on the operational grid.

    Parameters
    ----------
    population
        Strata and products of the patients.
    worst_grade
        (P,) worst grade of acute toxicity (CRS, ICANS), 0 to 5.
    worst_from
        (P,) onset of that toxicity, NaN or +inf where there is none: intensive care begins then, else on the day of the
        specification. Both from :func:`worst_toxicity`.
    draws
        Streams ``resources.initial_stay``, ``resources.initial_icu``, ``resources.icu_days``.
    """
    admission = on_grid(np.float64(float(spec.admission)))
    length = _by_cell(spec, population, draws("resources.initial_stay"))
    severe = np.where(worst_grade >= SEVERE, on_grid(np.float64(float(spec.severe_toxicity_days))), 0.0)
    start = np.broadcast_to(admission, length.shape).copy()
    stop = start + length + severe
    in_icu = draws("resources.initial_icu") < spec.icu.of_grade()[worst_grade]
    begins = np.full(length.shape, float(on_grid(np.float64(float(spec.icu_from)))))
    if worst_from is not None:
        known = np.isfinite(worst_from)
        begins[known] = on_grid(worst_from[known])
    begins = np.maximum(begins, start)
    ends = begins + on_grid(spec.icu_days.of_normal(draws("resources.icu_days")))
    in_icu &= (begins < ends) & (begins < stop)  # at home there is no planned intensive care
    stop = np.where(in_icu, np.maximum(stop, ends), stop)  # nobody is discharged from it
    return PlannedStay(Windows(start, stop), Windows(np.where(in_icu, begins, np.inf), np.where(in_icu, ends, np.inf)))


def _by_cell(spec: InitialStaySpec, population: Population, z: FloatArray) -> FloatArray:
    """Length of the stay without severe toxicity, by the law of each patient's disease and product."""
    length = np.empty(z.shape)
    for index, stratum in enumerate(population.spec.strata.values()):
        for code, product in enumerate(population.spec.products):
            law: Between | None = spec.length.get(stratum.disease, {}).get(product)
            mine = np.flatnonzero((population.stratum == index) & (population.product == code))
            if mine.size:
                assert law is not None  # the scenario's check named what is missing
                length[mine] = on_grid(law.of_normal(z[mine]))
    return length
