"""Numbers of one evaluation: strategies, increments against the comparator, strata, break-even prices.

All of it from the per-patient outcomes of one cohort. Standard errors are of patient sampling, of paired differences where
strategies are compared: how well these inputs are worked out, not how well they are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cmvsim.core.ledger import Component, Item
from cmvsim.core.records import FloatArray
from cmvsim.economics.break_even import BreakEven, Increments, break_even_price
from cmvsim.economics.evaluate import Outcomes
from cmvsim.economics.fieller import fieller_of_patients
from cmvsim.economics.pairing import Pairing, pairing_audit

LETERMOVIR = Item.LETERMOVIR_DAY.code


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over patients and its standard error."""

    value: float
    se: float

    @classmethod
    def of(cls, values: FloatArray) -> Mean:
        """Over the last axis; one patient has no standard error."""
        error = float(values.std(ddof=1)) / values.size**0.5 if values.size > 1 else float("nan")
        return cls(float(values.mean()) if values.size else float("nan"), error)


@dataclass(frozen=True, slots=True)
class StrategyRow:
    """Means of one strategy, per patient.

    Attributes
    ----------
    components, quantities, events
        By name; `cost` is the sum of the components.
    """

    strategy: str
    patients: int
    cost: Mean
    qaly: Mean
    life_years: Mean
    tail_qaly: float
    components: dict[str, float]
    quantities: dict[str, float]
    events: dict[str, float]


@dataclass(frozen=True, slots=True)
class IncrementRow:
    """A strategy against the comparator, per patient.

    Attributes
    ----------
    averted
        Increment of cost without the drug, sign turned: what CMV no longer costs.
    drug_days, drug_cost
        Of letermovir.
    icer, icer_low, icer_high, icer_refused
        Ratio, Fieller interval of patient sampling, or why there is none.
    net_benefit
        Increment of net monetary benefit by threshold.
    break_even_price
        Of a day of letermovir, by threshold.
    break_even_days
        Of letermovir, whose cost at today's price the same effect would be worth, by threshold.
    infections_averted
        Clinically significant ones; `number_needed_to_treat` is patients given the drug for each.
    events
        Increments by name.
    """

    strategy: str
    against: str
    cost: Mean
    qaly: Mean
    life_years: Mean
    averted: Mean
    drug_days: float
    drug_cost: float
    tail_qaly: float
    icer: float
    icer_low: float
    icer_high: float
    icer_refused: str
    net_benefit: tuple[Mean, ...]
    break_even_price: tuple[Mean, ...]
    break_even_days: tuple[float, ...]
    infections_averted: Mean
    number_needed_to_treat: float
    components: dict[str, float]
    events: dict[str, float]


def strategy_rows(outcomes: Outcomes) -> tuple[StrategyRow, ...]:
    """One row for each strategy."""
    total = outcomes.total
    return tuple(
        StrategyRow(
            name,
            outcomes.patients,
            Mean.of(total[k]),
            Mean.of(outcomes.qaly[k]),
            Mean.of(outcomes.life_years[k]),
            float(outcomes.tail_qaly[k].mean()),
            {str(part): float(outcomes.cost[k, part.code].mean()) for part in Component},
            {str(item): float(outcomes.quantity[k, item.code].mean()) for item in Item},
            {event: float(values[k].mean()) for event, values in outcomes.events.items()},
        )
        for k, name in enumerate(outcomes.strategies)
    )


def increments_of(outcomes: Outcomes, place: int, day_price: float, *, counted: bool = True) -> Increments:
    """A strategy against the comparator as :class:`cmvsim.economics.break_even.Increments`.

    Parameters
    ----------
    day_price
        What a day of letermovir costs in these outcomes.
    counted
        Days as the outcomes were charged for them: by packs where packs were counted.
    """
    days = drug_days(outcomes, place, day_price) if counted else outcomes.quantity[place, LETERMOVIR]
    other = outcomes.total[place] - outcomes.total[0] - day_price * days
    return Increments(other, days, outcomes.qaly[place] - outcomes.qaly[0])


def drug_days(outcomes: Outcomes, place: int, day_price: float) -> FloatArray:
    """(P,) days of letermovir that were paid; taken days where the drug costs nothing."""
    paid = outcomes.cost[place, Component.PROPHYLAXIS.code]
    days: FloatArray = paid / day_price if day_price > 0 else outcomes.quantity[place, LETERMOVIR]
    return days


def increment_rows(outcomes: Outcomes, day_prices: FloatArray, thresholds: Sequence[float]) -> tuple[IncrementRow, ...]:
    """One row for each strategy but the comparator.

    Parameters
    ----------
    day_prices
        (strategies,) price of a day of letermovir.
    """
    return tuple(
        _increment(outcomes, place, float(day_prices[place]), thresholds) for place in range(1, len(outcomes.strategies))
    )


def _increment(outcomes: Outcomes, place: int, day_price: float, thresholds: Sequence[float]) -> IncrementRow:
    found = increments_of(outcomes, place, day_price)
    cost, effect = outcomes.total[place] - outcomes.total[0], found.effect
    ratio = fieller_of_patients(cost, effect) if outcomes.patients > 1 else None
    price: BreakEven = break_even_price(found, thresholds)
    averted = outcomes.events["clinically_significant"][0] - outcomes.events["clinically_significant"][place]
    given = outcomes.events["received_drug"][place].mean()
    days = float(found.quantity.mean())
    worth = [threshold * effect.mean() - found.other_cost.mean() for threshold in thresholds]
    return IncrementRow(
        outcomes.strategies[place],
        outcomes.strategies[0],
        Mean.of(cost),
        Mean.of(effect),
        Mean.of(outcomes.life_years[place] - outcomes.life_years[0]),
        Mean.of(-found.other_cost),
        days,
        days * day_price,
        float((outcomes.tail_qaly[place] - outcomes.tail_qaly[0]).mean()),
        ratio.ratio if ratio else float("nan"),
        ratio.low if ratio else float("nan"),
        ratio.high if ratio else float("nan"),
        ratio.refused if ratio else "one patient",
        tuple(Mean.of(threshold * effect - cost) for threshold in thresholds),
        tuple(Mean(float(v), float(e)) for v, e in zip(price.value, price.se, strict=True)),
        tuple(float(value / day_price) if day_price > 0 else float("nan") for value in worth),
        Mean.of(averted),
        float(given / averted.mean()) if averted.mean() > 0 else float("inf"),
        {str(part): float((outcomes.cost[place, part.code] - outcomes.cost[0, part.code]).mean()) for part in Component},
        {event: float((values[place] - values[0]).mean()) for event, values in outcomes.events.items()},
    )


def audits(outcomes: Outcomes, threshold: float) -> tuple[Pairing, ...]:
    """What common random numbers save: of cost, of QALYs, and of net benefit at a threshold."""
    names = outcomes.strategies
    benefit = threshold * outcomes.qaly - outcomes.total
    return (
        *pairing_audit(names, outcomes.total, outcome="cost"),
        *pairing_audit(names, outcomes.qaly, outcome="qaly"),
        *pairing_audit(names, benefit, outcome=f"net benefit at {threshold:,.0f}"),
    )
