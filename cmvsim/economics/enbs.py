"""Expected net benefit of sampling: the value of a study to all who will be treated, less what it costs."""

from __future__ import annotations

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
        Years until the study reports: nobody gains before.
    discounting
        Of their gains.
    """

    per_year: float
    years: float
    delay: float = 0.0
    discounting: Discounting = UNDISCOUNTED

    @property
    def people(self) -> float:
        """Discounted number of patients; 0 where the study reports after the decision has expired."""
        return self.per_year * self.discounting.annuity(min(self.delay, self.years), self.years)


@dataclass(frozen=True, eq=False, slots=True)
class Enbs:
    """Expected net benefit of sampling by study size.

    Attributes
    ----------
    sizes
        (sizes,).
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
    people = who.people
    population = people * study.rising
    cost: FloatArray = fixed + per_patient * study.sizes.astype(np.float64)
    value, se = population - cost, people * study.se
    top = int(np.argmax(value))
    apart = np.sqrt(((study.influence - study.influence[:, [top]]) ** 2).sum(axis=0)) / study.influence.shape[0]
    near = value[top] - value <= 1.96 * people * apart
    return Enbs(
        study.sizes,
        population,
        cost,
        value,
        se,
        int(study.sizes[top]) if value[top] > 0 else 0,
        tuple(int(n) for n in study.sizes[near]),
    )
