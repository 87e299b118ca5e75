"""Cases of economic evaluation: decision tables, value of information, discounting, break-even, budget impact."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from scipy.stats import norm, qmc

from cmvsim.core.records import FloatArray
from cmvsim.economics import (
    Dominance,
    Increments,
    break_even_price,
    break_even_threshold,
    budget_impact,
    evpi,
    evppi,
    evsi,
    frontier,
    net_benefit_grid,
    normal_evpi,
)
from cmvsim.qualification.cases import Case, Comparison
from cmvsim.valuation.discounting import Discounting, discounting


def decision_table(case: Case) -> Iterator[Comparison]:
    """Status and ratio of each strategy."""
    rows = {row.strategy: row for row in frontier(case.args["strategies"], case.args["cost"], case.args["effect"])}
    ours = [rows[name] for name in case.args["strategies"]]
    yield Comparison("status", ", ".join(case.expected["status"]), ", ".join(str(row.status) for row in ours))
    yield case.compare("icer", case.expected["icer"], [math.nan if row.icer is None else row.icer for row in ours])


def efficient_strategies(case: Case) -> Iterator[Comparison]:
    """Which strategies are on the frontier, by their place in the list."""
    names = [str(place + 1) for place in range(len(case.args["cost"]))]
    rows = frontier(names, case.args["cost"], case.args["effect"])
    got = [int(row.strategy) for row in rows if row.status is Dominance.FRONTIER]
    yield case.same("frontier", case.expected["frontier"], sorted(got))


def _normal(case: Case, threshold: float) -> tuple[float, float, float, float]:
    """Mean and standard deviation of the increment of net benefit, and those of its expectation given effect, given cost."""
    i = case.args
    mean = threshold * i["mean_effect"] - i["mean_cost"]
    effect, cost, rho = threshold * i["sd_effect"], i["sd_cost"], i["correlation"]
    sd = math.sqrt(effect**2 + cost**2 - 2 * rho * effect * cost)
    return mean, sd, abs(effect - rho * cost), abs(cost - rho * effect)


def normal_voi(case: Case) -> Iterator[Comparison]:
    """Closed forms for normal increments of cost and effect, by threshold."""
    worlds = [_normal(case, threshold) for threshold in case.args["thresholds"]]
    got = {
        "inb": [mean for mean, *_ in worlds],
        "ceac": [float(norm.cdf(mean / sd)) for mean, sd, *_ in worlds],
        "evpi": [normal_evpi(mean, sd) for mean, sd, *_ in worlds],
        "evppi_effect": [normal_evpi(mean, sd) for mean, _, sd, _ in worlds],
        "evppi_cost": [normal_evpi(mean, sd) for mean, *_, sd in worlds],
    }
    for name, values in got.items():
        yield case.compare(name, case.expected[name], values)


def normal_evsi(case: Case) -> Iterator[Comparison]:
    """Closed form for a two-arm trial of the effect, by patients in each arm."""
    mean, _, sd, _ = _normal(case, case.args["threshold"])
    prior = case.args["sd_effect"] ** 2
    learned = [sd * math.sqrt(prior / (prior + 2 * case.args["patient_sd"] ** 2 / n)) for n in case.args["sizes"]]
    yield case.compare("evsi", case.expected["evsi"], [normal_evpi(mean, one) for one in learned])


def regression_voi(case: Case) -> Iterator[Comparison]:
    """Our regressions on draws spread evenly, against the closed forms."""
    i, size = case.args, int(case.args["size"])
    points: FloatArray = norm.ppf(qmc.Sobol(3, scramble=False).random(int(i["draws"])) + 0.5 / i["draws"])
    effect = i["mean_effect"] + i["sd_effect"] * points[:, 0]
    rho = i["correlation"]
    cost = i["mean_cost"] + i["sd_cost"] * (rho * points[:, 0] + math.sqrt(1 - rho**2) * points[:, 1])
    nb = np.column_stack([np.zeros(effect.size), i["threshold"] * effect - cost])
    data = effect + i["patient_sd"] * math.sqrt(2 / size) * points[:, 2]
    got = {
        "evpi": evpi(nb).value,
        "evppi_effect": float(evppi(nb, effect).value),
        "evsi": float(evsi(nb, data[:, None, None], [size]).value[0]),
    }
    for name, value in got.items():
        yield case.compare(name, case.expected[name], value)


def discounting_one_rate(case: Case) -> Iterator[Comparison]:
    """Annuities at one rate."""
    rule = Discounting("case", case.args["rate"])
    got = {
        "annuity_due_30": rule.annuity_due(30),
        "annuity_immediate_30": rule.annuity_immediate(30),
        "continuous_rate_ln": -math.log(float(rule.factor(1.0))),
        "continuous_annuity_30": rule.annuity(0, 30),
        "continuous_annuity_100days": float(rule.accrued_days(0, 100)) / 365.25,
        "daily_sum_100_days_cost_1_per_day": float(rule.factor_at_day(np.arange(100)).sum()),
    }
    for name, value in got.items():
        yield case.compare(name, case.expected[name], value)


def discounting_rule(case: Case) -> Iterator[Comparison]:
    """Factors of a named rule, and a stream of one a year."""
    rule = discounting(case.args["rule"])
    yield case.compare("factor", case.expected["factor"], rule.factor(case.args["years"]))
    if "stream" in case.args:
        yield case.compare("stream_due", case.expected["stream_due"], rule.annuity_due(int(case.args["stream"])))


def break_even(case: Case) -> Iterator[Comparison]:
    """Net benefit, ratio, and where net benefit is equal."""
    i = case.args
    price, threshold = i["price_per_day"], i["lambda"]
    increments = Increments.of(i["delta_cost_excluding_drug"], i["units_days"], i["delta_qaly"])
    neutral, worth = break_even_price(increments, [0, threshold]).value
    ratio = break_even_threshold(increments, price).value[0]
    names = ["none", "drug"]
    _, row = frontier(names, [0, increments.means[0] + price * increments.means[1]], [0, increments.means[2]])
    got = {
        "inmb": net_benefit_grid(increments, price, threshold)[0, 0],
        "icer": math.nan if row.icer is None else row.icer,
        "breakeven_price_per_day": worth,
        "breakeven_price_cost_neutral": neutral,
        "breakeven_lambda": ratio,
    }
    for name, value in got.items():
        yield case.compare(name, case.expected[name], value)


def impact(case: Case) -> Iterator[Comparison]:
    """Money by year, and in all."""
    got = budget_impact(case.args["eligible_per_year"], case.args["uptake"], case.args["delta_cost_per_patient"])
    yield case.compare("net_budget_impact", case.expected["net_budget_impact"], got.net)
    yield case.compare("total_undiscounted", case.expected["total_undiscounted"], got.total)


COMPUTE: dict[str, Callable[[Case], Iterator[Comparison]]] = {
    "decision_table": decision_table,
    "efficient_strategies": efficient_strategies,
    "normal_voi": normal_voi,
    "normal_evsi": normal_evsi,
    "regression_voi": regression_voi,
    "discounting_one_rate": discounting_one_rate,
    "discounting_rule": discounting_rule,
    "break_even": break_even,
    "budget_impact": impact,
}
