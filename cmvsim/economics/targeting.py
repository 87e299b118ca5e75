"""For which patients: how well a rule finds those whom the drug could help, and what the best possible rule would be worth.

A rule is positive in those who get the drug under a strategy; what it should find is clinically significant infection under
the comparator, in the same patients. All shares are over the whole cohort.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cmvsim.core.records import FloatArray
from cmvsim.economics.break_even import break_even_price
from cmvsim.economics.comparison import Mean, drug_days, increments_of
from cmvsim.economics.evaluate import Outcomes


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A strategy read as a rule.

    Attributes
    ----------
    treated
        Share who get the drug.
    sensitivity, specificity
        Of getting it, for clinically significant infection under the comparator.
    risk_treated, risk_others
        Share with that infection among those who get the drug under the strategy, and among the others.
    needed_to_treat
        Patients given the drug for each clinically significant infection averted; +inf where none is.
    cost_per_infection
        Net cost of each such infection averted; NaN where none is.
    net_benefit
        Increment of net monetary benefit per patient of the cohort, by threshold.
    break_even_price
        Of a day of the drug, by threshold.
    """

    strategy: str
    treated: float
    sensitivity: float
    specificity: float
    risk_treated: float
    risk_others: float
    needed_to_treat: float
    cost_per_infection: float
    net_benefit: tuple[Mean, ...]
    break_even_price: tuple[Mean, ...]


def rule_rows(outcomes: Outcomes, day_prices: FloatArray, thresholds: Sequence[float]) -> tuple[RuleRow, ...]:
    """One row for each strategy that gives the drug to anybody."""
    rows = []
    for place in range(1, len(outcomes.strategies)):
        positive = outcomes.events["received_drug"][place] > 0
        if positive.any():
            rows.append(_rule(outcomes, place, float(day_prices[place]), thresholds, positive))
    return tuple(rows)


def _rule(outcomes: Outcomes, place: int, day_price: float, thresholds: Sequence[float], positive: np.ndarray) -> RuleRow:
    infected = outcomes.events["clinically_significant"][0] > 0
    averted = (outcomes.events["clinically_significant"][0] - outcomes.events["clinically_significant"][place]).mean()
    cost = outcomes.total[place] - outcomes.total[0]
    effect = outcomes.qaly[place] - outcomes.qaly[0]
    price = break_even_price(increments_of(outcomes, place, day_price), thresholds)
    return RuleRow(
        outcomes.strategies[place],
        float(positive.mean()),
        _share(positive, infected),
        _share(~positive, ~infected),
        _share(infected, positive),
        _share(infected, ~positive),
        float(positive.mean() / averted) if averted > 0 else float("inf"),
        float(cost.mean() / averted) if averted > 0 else float("nan"),
        tuple(Mean.of(threshold * effect - cost) for threshold in thresholds),
        tuple(Mean(float(v), float(e)) for v, e in zip(price.value, price.se, strict=True)),
    )


def _share(of: np.ndarray, among: np.ndarray) -> float:
    return float(of[among].mean()) if among.any() else float("nan")


@dataclass(frozen=True, slots=True)
class OracleRow:
    """A strategy given only to those who would have a clinically significant infection without it: no rule within it is better.

    Attributes
    ----------
    share
        Of the cohort.
    reached
        Share of these to whom the strategy gives the drug.
    drug_cost, averted, qaly
        Per patient treated.
    break_even_price
        Of a day of the drug, by threshold.
    net_benefit
        Per patient treated, by threshold, at today's price.
    """

    strategy: str
    share: float
    reached: float
    drug_cost: float
    averted: float
    qaly: float
    break_even_price: tuple[Mean, ...]
    net_benefit: tuple[Mean, ...]


def oracle_rows(outcomes: Outcomes, day_prices: FloatArray, thresholds: Sequence[float]) -> tuple[OracleRow, ...]:
    """One row for each strategy that gives the drug to any of them."""
    who = np.flatnonzero(outcomes.events["clinically_significant"][0] > 0)
    if who.size < 2:
        return ()
    few = outcomes.of_patients(who)
    rows = []
    for place in range(1, len(outcomes.strategies)):
        if not few.events["received_drug"][place].any():
            continue
        day_price = float(day_prices[place])
        found = increments_of(few, place, day_price)
        price = break_even_price(found, thresholds)
        cost = few.total[place] - few.total[0]
        rows.append(
            OracleRow(
                outcomes.strategies[place],
                who.size / outcomes.patients,
                float(few.events["received_drug"][place].mean()),
                float(drug_days(few, place, day_price).mean() * day_price),
                float(-found.other_cost.mean()),
                float(found.effect.mean()),
                tuple(Mean(float(v), float(e)) for v, e in zip(price.value, price.se, strict=True)),
                tuple(Mean.of(threshold * found.effect - cost) for threshold in thresholds),
            )
        )
    return tuple(rows)
