"""The deterministic part of an economic evaluation: all tables at the inputs as they stand, in one tree."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cmvsim.calibration import Calibration
from cmvsim.calibration.redraw import Redraw
from cmvsim.core.ledger import Item
from cmvsim.economics.break_even import net_benefit_grid
from cmvsim.economics.budget_impact import budget_impact
from cmvsim.economics.cohort import evaluate_cohort, model_of
from cmvsim.economics.comparison import audits, increment_rows, increments_of, strategy_rows
from cmvsim.economics.evaluate import Outcomes
from cmvsim.economics.frontier import frontier
from cmvsim.economics.illness import cost_of_illness
from cmvsim.economics.one_way import PATIENTS, one_way_rows
from cmvsim.economics.settings import EvaluationSettings, economics_of
from cmvsim.economics.targeting import oracle_rows, rule_rows
from cmvsim.economics.variants import IncidenceRow, crossing, incidence_rows, variant_rows
from cmvsim.evidence import parameter
from cmvsim.scenarios import ResolvedScenario
from cmvsim.valuation import PriceList

Progress = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]
"""Progress of a stage, by its label."""

FEW = 16_384
"""Patients of the tables beside the base case (structural choices, incidences, cost of illness), at most."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What an evaluation is asked.

    Attributes
    ----------
    strategies
        The comparator first.
    thresholds
        Willingness to pay per QALY.
    patients
        Of the base case.
    quick
        Without structural choices, other incidences and the cost of illness.
    """

    strategies: tuple[str, ...]
    thresholds: tuple[float, ...]
    patients: int
    seed: int
    quick: bool = False

    @property
    def middle(self) -> int:
        """Place of the threshold that single numbers are shown at: the one nearest to half of the range."""
        wanted = self.thresholds[-1] / 2
        return int(np.argmin([abs(value - wanted) for value in self.thresholds]))


def deterministic(
    scenario: ResolvedScenario, calibration: Calibration, redraw: Redraw, asked: Asked, progress: Progress
) -> tuple[dict[str, Any], Outcomes]:
    """All tables of the base case, and the outcomes they come from."""
    spec = scenario.spec
    settings = EvaluationSettings.of(spec, asked.strategies)
    model = model_of(spec, calibration.baseline)
    with progress(f"{asked.patients:,} patients under {len(asked.strategies)} strategies") as tick:
        outcomes = evaluate_cohort(model, settings, asked.patients, asked.seed, tick=tick)
    tree: dict[str, Any] = {
        "settings": settings_tree(scenario, settings),
        "strategies": [asdict(row) for row in strategy_rows(outcomes)],
        "increments": [asdict(row) for row in increment_rows(outcomes, settings.day_prices, asked.thresholds)],
        "frontier": [
            asdict(row) for row in frontier(outcomes.strategies, outcomes.total.mean(axis=1), outcomes.qaly.mean(axis=1))
        ],
        "strata": strata(scenario, outcomes, settings, asked),
        "rules": [asdict(row) for row in rule_rows(outcomes, settings.day_prices, asked.thresholds)],
        "oracle": [asdict(row) for row in oracle_rows(outcomes, settings.day_prices, asked.thresholds)],
        "price_by_threshold": price_grids(outcomes, settings, asked),
        "pairing": [asdict(row) for row in audits(outcomes, asked.thresholds[asked.middle])],
        "budget": budget(scenario, outcomes),
    }
    if not asked.quick:
        few = min(asked.patients, FEW)
        tree |= beside(scenario, calibration, redraw, asked, few, progress)
        tree["one_way"] = one_way(scenario, redraw, asked, tree["increments"], progress)
        with progress("cost of illness by the study, beside the truth") as tick:
            rows = cost_of_illness(model, settings, spec.analysis, patients=few, study=spec.study.patients, seed=asked.seed)
            tick(1, 1)
        tree["cost_of_illness"] = [asdict(row) for row in rows]
    return tree, outcomes


def one_way(
    scenario: ResolvedScenario, redraw: Redraw, asked: Asked, increments: list[dict[str, Any]], progress: Progress
) -> list[dict[str, Any]]:
    """Each uncertain input alone, for the strategy that comes nearest to being worth it."""
    giving = [row for row in increments if row["drug_days"] > 0]
    if not giving:
        return []
    best = max(giving, key=lambda row: row["break_even_price"][asked.middle]["value"])["strategy"]
    pair, threshold = (asked.strategies[0], best), asked.thresholds[asked.middle]
    with progress("each input alone") as tick:
        patients = min(asked.patients, PATIENTS)
        return [asdict(row) for row in one_way_rows(scenario, redraw, pair, threshold, patients, asked.seed, tick)]


def settings_tree(scenario: ResolvedScenario, settings: EvaluationSettings) -> dict[str, Any]:
    """How patients were valued, in words and numbers."""
    plan, prices = economics_of(scenario.spec), settings.prices
    labels = {name: scenario.spec.strategies[name].label for name in settings.strategies}
    return {
        "labels": labels,
        "comparator": settings.strategies[0],
        "horizon": float(scenario.spec.study.horizon),
        "price_list": prices.name,
        "perspective": prices.perspective,
        "holds": prices.holds,
        "currency": prices.currency,
        "price_year": prices.year,
        "index": prices.index,
        "unit_costs": {item.value: _unit_cost(prices, item) for item in Item},
        "letermovir_prices": {name: float(p) for name, p in zip(settings.strategies, settings.day_prices, strict=True)},
        "counted": plan.counted.value,
        "value_set": plan.value_set.value,
        "value_set_youth": plan.value_set_youth.value,
        "tail": plan.tail.include,
        "discount_costs": settings.rate_costs,
        "discount_effects": settings.rate_effects,
    }


def _unit_cost(prices: PriceList, item: Item) -> dict[str, Any]:
    entry = prices.evidence.get(item)
    cited = parameter(entry) if entry else None
    return {
        "price": float(prices.unit_costs[item.code]),
        "evidence": entry or "",
        "year": prices.price_years.get(item),
        "grade": cited.grade if cited else "",
        "why": cited.reason if cited else prices.zeros.get(item, ""),
    }


def strata(scenario: ResolvedScenario, outcomes: Outcomes, settings: EvaluationSettings, asked: Asked) -> list[dict[str, Any]]:
    """Strategies and increments in each stratum."""
    found = []
    for place, (name, stratum) in enumerate(scenario.spec.population.strata.items()):
        part = outcomes.of_stratum(place)
        if part.patients > 1:
            found.append(
                {
                    "stratum": name,
                    "label": stratum.label,
                    "patients": part.patients,
                    "strategies": [asdict(row) for row in strategy_rows(part)],
                    "increments": [asdict(row) for row in increment_rows(part, settings.day_prices, asked.thresholds)],
                }
            )
    return found


def price_grids(outcomes: Outcomes, settings: EvaluationSettings, asked: Asked) -> list[dict[str, Any]]:
    """Two ways at once, exactly: increment of net benefit by price of a day (share of today's) and threshold."""
    shares = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
    grids = []
    for place in range(1, len(outcomes.strategies)):
        today = float(settings.day_prices[place])
        prices = [share * today for share in shares]
        grid = net_benefit_grid(increments_of(outcomes, place, today), prices, asked.thresholds)
        grids.append(
            {
                "strategy": outcomes.strategies[place],
                "prices": prices,
                "thresholds": list(asked.thresholds),
                "net_benefit": grid.tolist(),
            }
        )
    return grids


def budget(scenario: ResolvedScenario, outcomes: Outcomes) -> list[dict[str, Any]]:
    """Budget impact of each strategy in the comparator's place; undiscounted."""
    plan = economics_of(scenario.spec).budget
    uptake = [float(share) for share in plan.uptake]
    found = []
    for place in range(1, len(outcomes.strategies)):
        more = outcomes.total[place] - outcomes.total[0]
        se = float(more.std(ddof=1) / more.size**0.5) if more.size > 1 else 0.0
        impact = budget_impact([float(plan.eligible)] * len(uptake), uptake, float(more.mean()), se)
        found.append(
            {
                "strategy": outcomes.strategies[place],
                "eligible": float(plan.eligible),
                "uptake": uptake,
                "treated": impact.treated.tolist(),
                "net": impact.net.tolist(),
                "se": impact.se.tolist(),
                "total": impact.total,
                "total_se": impact.total_se,
            }
        )
    return found


def beside(
    scenario: ResolvedScenario, calibration: Calibration, redraw: Redraw, asked: Asked, patients: int, progress: Progress
) -> dict[str, Any]:
    """Structural choices and other incidences."""
    with progress("structural choices") as tick:
        variants = variant_rows(scenario, calibration, redraw, asked.strategies, asked.thresholds, patients, asked.seed, tick)
    with progress("other incidences") as tick:
        incidences = incidence_rows(scenario, redraw, asked.strategies, asked.thresholds, patients, asked.seed, tick)
    return {
        "structural": [asdict(row) for row in variants],
        "incidences": [asdict(row) for row in incidences],
        "worth_from_incidence": worth_from(incidences, asked),
    }


def worth_from(rows: tuple[IncidenceRow, ...], asked: Asked) -> list[dict[str, Any]]:
    """Incidence from which each strategy is worth today's price, by threshold; None where it never is."""
    return [
        {
            "strategy": name,
            "highest_tried": rows[-1].incidence if rows else None,
            "incidence": [crossing(rows, place, k) for k in range(len(asked.thresholds))],
            "more_effective_from": next((r.incidence for r in rows if r.increments[place].qaly.value > 0), None),
        }
        for place, name in enumerate(asked.strategies[1:])
    ]
