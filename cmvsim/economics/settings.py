"""What an evaluation needs of the scenario's ``[economics]``, its names looked up: prices, value sets, tail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cmvsim.core.errors import InputError, Problem, did_you_mean
from cmvsim.core.ledger import Item
from cmvsim.core.records import FloatArray
from cmvsim.models.strategies import reference_strategy
from cmvsim.scenarios.scenario import Scenario
from cmvsim.valuation import PriceList, ValueSet, price_list, value_set
from cmvsim.valuation.economics import EconomicsSpec, TailSpec

LONGEST = 366.0
"""Horizon, days: costs and effects of the simulated time are not discounted."""


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """How patients are valued.

    Attributes
    ----------
    strategies
        Names, the comparator first.
    unit_costs
        (strategies, items): a day of letermovir costs what the strategy's dose does.
    pack_days
        Days in a pack where packs are counted; 0 where days are.
    adult, youth
        Value sets; None: everybody by `adult`.
    tail
        Life after the horizon; None where it is left out.
    rate_costs, rate_effects
        Effective annual discount rates, past one year.
    prices
        The list that `unit_costs` come from.
    tested_on_drug
        False: planned tests that fall on days of letermovir are not charged.
    """

    strategies: tuple[str, ...]
    unit_costs: FloatArray
    pack_days: float
    adult: ValueSet
    youth: ValueSet | None
    tail: TailSpec | None
    rate_costs: float
    rate_effects: float
    prices: PriceList
    tested_on_drug: bool = True

    @property
    def day_prices(self) -> FloatArray:
        """(strategies,) price of a day of letermovir."""
        return self.unit_costs[:, Item.LETERMOVIR_DAY.code]

    @classmethod
    def of(
        cls, scenario: Scenario, strategies: Sequence[str] | None = None, prices: PriceList | None = None
    ) -> EvaluationSettings:
        """Look everything up.

        Parameters
        ----------
        strategies
            Names to compare; the comparator is added in front. All by default.
        prices
            In place of the list that the scenario names: its prices as drawn or varied.

        Raises
        ------
        InputError
            If the scenario has no such strategy, no section ``[economics]``, no price of an item, or its horizon is too late.
        """
        plan = economics_of(scenario)
        if float(scenario.study.horizon) > LONGEST:
            problem = f"{float(scenario.study.horizon):g} days: what is simulated is not discounted, so it ends within a year"
            raise InputError(
                Problem(problem, scenario.id, "study.horizon", f"at most {LONGEST:g}, and [economics.tail] beyond")
            )
        names = chosen(scenario, strategies)
        prices = prices or price_list(plan.price_list.value)
        prices.require(range(len(Item)), where=scenario.id)
        costs = np.tile(prices.unit_costs, (len(names), 1))
        for row, name in zip(costs, names, strict=True):
            row[Item.LETERMOVIR_DAY.code] = _day_price(scenario, plan, prices, name)
        youth = plan.value_set_youth.value
        return cls(
            names,
            costs,
            float(plan.pack_days) if plan.counted.value == "packs" else 0.0,
            value_set(plan.value_set.value),
            value_set(youth) if youth else None,
            plan.tail if plan.tail.include else None,
            float(plan.discount_costs),
            float(plan.discount_effects),
            prices,
            plan.tested_on_drug,
        )

    def with_letermovir_price(self, price: float) -> EvaluationSettings:
        """The same with another price of a day of letermovir, whatever the dose."""
        return self.with_prices({Item.LETERMOVIR_DAY: price})

    def with_prices(self, prices: Mapping[Item, float]) -> EvaluationSettings:
        """The same with other prices of some items."""
        costs = self.unit_costs.copy()
        for item, price in prices.items():
            costs[:, item.code] = price
        return replace(self, unit_costs=costs)


def economics_of(scenario: Scenario) -> EconomicsSpec:
    """The section.

    Raises
    ------
    InputError
        If there is none.
    """
    if scenario.economics is None:
        raise InputError(
            Problem("has no section [economics]", scenario.id, allowed='e.g. extends = "cmv-cart", whose section it then has')
        )
    return scenario.economics


def chosen(scenario: Scenario, strategies: Sequence[str] | None) -> tuple[str, ...]:
    """The comparator, and the strategies asked for (all by default).

    Raises
    ------
    InputError
        If there is no such strategy.
    """
    for name in strategies or ():
        if name not in scenario.strategies:
            raise InputError(
                Problem(f"there is no strategy '{name}'", scenario.id, "--strategies", did_you_mean(name, scenario.strategies))
            )
    reference = reference_strategy(scenario.strategies)
    assert reference is not None  # Scenario.check: comparisons need one
    return tuple(dict.fromkeys((reference, *(strategies or scenario.strategies))))


def at_least_two(names: Sequence[str], scenario: str) -> None:
    """Refuse a comparison of one strategy with itself.

    Raises
    ------
    InputError
        Where nothing stands beside the comparator.
    """
    if len(names) < 2:
        raise InputError(
            Problem(
                f"there is only '{names[0]}' to choose from",
                scenario,
                "strategies",
                "a scenario with a strategy beside it, e.g. letermovir-strategies",
            )
        )


def _day_price(scenario: Scenario, plan: EconomicsSpec, prices: PriceList, strategy: str) -> float:
    """A day of letermovir in this perspective; the list's own where the strategy gives none."""
    own, dose = float(prices.unit_costs[Item.LETERMOVIR_DAY.code]), scenario.strategies[strategy].dose
    if own == 0 or dose is None:
        return own
    price = plan.day_price(float(dose))
    assert price is not None  # Scenario.check: every dose of a strategy has a price
    return float(price)
