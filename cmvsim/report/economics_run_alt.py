"""Figures of an economic evaluation as Markdown, each with what it shows in words for those who do not see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cmvsim.report.economics_names import euros, names_of, price_rows, span

Show = Callable[[str], list[str]]


def pictures(results: Mapping[str, Any]) -> Show:
    """A function from a figure's name to its lines; none for a figure that the run does not have."""
    words = alt_texts(results)
    return lambda name: [f"![{words[name]}](figures/{name}.png)", ""] if name in words else []


def alt_texts(results: Mapping[str, Any]) -> dict[str, str]:
    """What each figure of the run shows, by name."""
    names, rows = names_of(results), price_rows(results)
    threshold, currency = euros(results["shown_threshold"]), results["settings"]["currency"]
    found = {"cost_stack": f"Increment of cost by component of each strategy, {currency} per patient"}
    if rows:
        place = results["thresholds"].index(results["shown_threshold"])
        told = "; ".join(f"{names[r.strategy]} {euros(r.value[place])} ({span(r.low[place], r.high[place])})" for r in rows)
        today = " or ".join(sorted({euros(results["settings"]["letermovir_prices"][r.strategy]) for r in rows}))
        found["prices"] = (
            f"Price of a day of letermovir worth paying at {threshold} {currency} per QALY, by strategy and by group of "
            "patients, beside "
            f"today's {today} {currency}: {told}"
        )
        found["break_even_price"] = (
            f"Price of a day of letermovir worth paying by threshold, a line for each strategy, all {_side(results)} "
            f"today's {today} {currency}"
        )
    if len(results.get("incidences", ())) > 1:
        found["incidence"] = (
            "Price of a day of letermovir worth paying by the incidence of any DNAemia, a line for each strategy"
        )
    if results.get("one_way"):
        found["one_way"] = "Tornado: net benefit at the ends of what is not known of each input, the longest bar first"
    if "psa" in results:
        found |= _of_draws(results, names)
    return found


def _side(results: Mapping[str, Any]) -> str:
    prices = results["settings"]["letermovir_prices"]
    below = all(max(row.value) < prices[row.strategy] for row in price_rows(results))
    return "below" if below else "beside"


def _of_draws(results: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    curves = results["psa"]["curves"]["smoothed"]
    chosen = list(dict.fromkeys(names[name] for name in curves["chosen"]))
    best = (
        f"{chosen[0]} is chosen at every threshold" if len(chosen) == 1 else f"chosen, by threshold: {', then '.join(chosen)}"
    )
    return {
        "plane": "Cost-effectiveness plane: increments of cost and of QALYs of every draw, and their means, by strategy",
        "acceptability": f"Acceptability: probability of each strategy of being best, by threshold; {best}",
        "expected_loss": "Expected loss of each strategy by threshold",
        "evpi": f"Value of perfect information by threshold, at most {euros(max(curves['evpi']), 2)} per patient",
    }
