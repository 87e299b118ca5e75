"""Expected net benefit of sampling: the value of a study to all who will be treated, less what it costs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cmvsim.core.records import FloatArray, IntArray
from cmvsim.economics.evsi import Evsi
from cmvsim.valuation.discounting import UNDISCOUNTED, Discounting


@dataclass(frozen=True, slots=True)
class Beneficiaries:
    """Who gains from a better decision.

    Attributes
    ----------
    per_year
        Patients to whom the decision applies, evenly over the year.
    years
        For which the decision stands, from now.
    delay
        Years from the last enrolment to the report (follow-up, analysis): nobody gains before it.
    enrolled_per_year
        Patients that the study enrols in a year, so that a larger study reports later; infinite: all at once.
    discounting
        Of their gains.
    """

    per_year: float
    years: float
    delay: float = 0.0
    discounting: Discounting = UNDISCOUNTED
    enrolled_per_year: float = math.inf

    def reports(self, patients: int) -> float:
        """Years until a study of so many patients reports."""
        return patients / self.enrolled_per_year + self.delay

    def people(self, patients: int = 0) -> float:
        """Discounted number of patients after the report of a study; 0 where it comes after the decision has expired."""
        return self.per_year * self.discounting.annuity(min(self.reports(patients), self.years), self.years)


@dataclass(frozen=True, eq=False, slots=True)
class Enbs:
    """Expected net benefit of sampling by study size.

    Attributes
    ----------
    sizes
        (sizes,).
    people
        (sizes,) to whom the decision applies after the report.
    population, cost
        (sizes,) value to all patients, and cost of the study.
    value, se
        (sizes,).
    best
        Size of the largest value; 0 where no study is worth its cost.
    as_good
        Sizes whose value is within 1.96 standard errors of the difference from the largest.
    """

    sizes: IntArray
    people: FloatArray
    population: FloatArray
    cost: FloatArray
    value: FloatArray
    se: FloatArray
    best: int
    as_good: tuple[int, ...]


def enbs(study: Evsi, who: Beneficiaries, *, fixed: float = 0.0, per_patient: float = 0.0) -> Enbs:
    """Net benefit of studies of several sizes.

    Parameters
    ----------
    study
        Value per decision.
    fixed, per_patient
        Cost of the study: once, and for each of its patients. Both are spent now and not discounted.
    """
    people = np.array([who.people(int(n)) for n in study.sizes])
    population = people * study.rising
    cost: FloatArray = fixed + per_patient * study.sizes.astype(np.float64)
    value, se = population - cost, people * study.se
    top = int(np.argmax(value))
    influence = people * study.influence
    apart = np.sqrt(((influence - influence[:, [top]]) ** 2).sum(axis=0)) / influence.shape[0]
    near = value[top] - value <= 1.96 * apart
    return Enbs(
        study.sizes,
        people,
        population,
        cost,
        value,
        se,
        int(study.sizes[top]) if value[top] > 0 else 0,
        tuple(int(n) for n in study.sizes[near]),
    )
