"""The section ``[economics]``: how strategies are valued.

Nothing in it acts on a patient; only ``cmvsim economics`` reads it.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from cmvsim.core.errors import Problem, did_you_mean
from cmvsim.core.quantities import (
    DailyDose,
    DayPrice,
    Money,
    Number,
    PatientsPerYear,
    Probability,
    Utility,
    YearlyHazard,
    Years,
)
from cmvsim.core.spec import Spec
from cmvsim.core.value import Stated, Value

Uptake = Annotated[tuple[Probability, ...], Field(strict=False)]
Thresholds = Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(strict=False, min_length=1)]


class DosePrice(Spec):
    """Price of a day of letermovir at a daily dose."""

    dose: DailyDose
    price: DayPrice


class TailState(Spec):
    """What becomes of patients alive at the horizon.

    Attributes
    ----------
    death
        Yearly hazard of death, constant until the end of the tail.
    utility
        Mean index, constant.
    """

    death: YearlyHazard
    utility: Utility


class TailSpec(Spec):
    """Life after the horizon: closed form, by disease and remission at the horizon; discounted like everything else.

    Attributes
    ----------
    include
        False in the base case: that letermovir changes who is alive after CAR-T cells is not established.
    years
        Length of the tail.
    remission, relapsed
        By disease.
    """

    include: bool = False
    years: Number
    remission: dict[Literal["leukaemia", "lymphoma"], TailState]
    relapsed: dict[Literal["leukaemia", "lymphoma"], TailState]


class BudgetSpec(Spec):
    """Who could be treated, and how fast a strategy is taken up.

    Attributes
    ----------
    eligible
        Patients a year.
    uptake
        Share of them under the new strategy, by year.
    """

    eligible: PatientsPerYear
    uptake: Uptake


class InformationSpec(Spec):
    """What a study costs, and for how long its answer is of use.

    Attributes
    ----------
    fixed, per_patient
        Cost of the study.
    enrolled_per_year
        Patients that it enrols in a year, all sites together: a larger study reports later.
    delay
        Years from the last enrolment to the report.
    years
        For which the decision stands, from now.
    """

    fixed: Money
    per_patient: Money
    enrolled_per_year: PatientsPerYear
    delay: Years
    years: Years

    @model_validator(mode="after")
    def _check(self) -> InformationSpec:
        if float(self.enrolled_per_year) <= 0:
            raise ValueError("enrolled_per_year must be above 0: nobody could be enrolled")
        return self


class EconomicsSpec(Spec):
    """How strategies are valued.

    Attributes
    ----------
    price_list
        Name of the unit costs (:mod:`cmvsim.valuation.prices`); it has a perspective, a currency and a year.
    letermovir_prices
        Price of a day by dose; it stands in the list's place where the list does not price the drug at 0.
    counted
        Letermovir by days taken, or by packs dispensed.
    pack_days
        Days in a pack.
    tested_on_drug
        False: planned tests that fall on days of letermovir are not charged (that fewer tests detect later is not followed).
    value_set, value_set_youth
        EQ-5D value sets; patients under 16 are valued by the latter, "" for the former's.
    discount_costs, discount_effects
        Effective annual rates. What happens to a patient is discounted from the end of the first year on: effects in the
        tail (no costs are counted there). What information is worth is money, discounted from now at the rate of costs.
    thresholds
        Willingness to pay per QALY at which net benefit is shown: a range, as France has no threshold.
    tail
        Life after the horizon.
    budget
        For the budget impact.
    information
        For the value of a study.
    """

    price_list: Stated[str]
    letermovir_prices: Annotated[tuple[DosePrice, ...], Field(strict=False, min_length=1)]
    counted: Stated[Literal["days", "packs"]]
    pack_days: Number
    tested_on_drug: bool = True
    value_set: Stated[str]
    value_set_youth: Stated[str]
    discount_costs: Probability
    discount_effects: Probability
    thresholds: Stated[Thresholds]
    tail: TailSpec
    budget: BudgetSpec
    information: InformationSpec

    @model_validator(mode="after")
    def _check(self) -> EconomicsSpec:
        if any(later <= earlier for earlier, later in pairwise(self.thresholds.value)):
            raise ValueError("thresholds must ascend")
        if float(self.pack_days) < 1 or float(self.tail.years) < 0:
            raise ValueError("pack_days is at least 1, tail.years at least 0")
        doses = [float(entry.dose) for entry in self.letermovir_prices]
        if len(set(doses)) < len(doses):
            raise ValueError("letermovir_prices names a dose twice")
        return self

    def day_price(self, dose: float) -> Value | None:
        """Price of a day of letermovir at a dose; None where none is named."""
        return next((entry.price for entry in self.letermovir_prices if float(entry.dose) == dose), None)

    def check(
        self, diseases: Iterable[str], doses: Iterable[float], price_lists: Iterable[str], value_sets: Iterable[str], where: str
    ) -> list[Problem]:
        """Problems that need the rest of the scenario: its diseases and doses, and the lists and sets that there are."""
        sets, lists = tuple(value_sets), tuple(price_lists)
        problems = [
            Problem(f"there is no {what} '{name}'", where, f"economics.{key}", did_you_mean(name, known))
            for what, key, name, known in (
                ("value set", "value_set", self.value_set.value, sets),
                ("value set", "value_set_youth", self.value_set_youth.value, ("", *sets)),
                ("price list", "price_list", self.price_list.value, lists),
            )
            if name not in known
        ]
        known_doses = ", ".join(f"{float(entry.dose):g}" for entry in self.letermovir_prices)
        problems += [
            Problem(f"no price of a day at {dose:g} mg", where, "economics.letermovir_prices", f"there are: {known_doses} mg")
            for dose in sorted(set(doses))
            if self.day_price(dose) is None
        ]
        problems += [
            Problem(f"'{disease}' is missing", where, f"economics.tail.{state}")
            for disease in sorted(set(diseases))
            for state, table in (("remission", self.tail.remission), ("relapsed", self.tail.relapsed))
            if disease not in table
        ]
        return problems
