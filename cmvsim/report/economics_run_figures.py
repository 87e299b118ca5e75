"""Figures of an economic evaluation: cost stack, break-even price by threshold and by incidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from cmvsim.economics.net_benefit import decision_curves
from cmvsim.economics.probabilistic import PsaDraws
from cmvsim.economics.psa import TornadoBar
from cmvsim.economics.psa_tables import varied
from cmvsim.report.economics_figures import Units, acceptability, losses, perfect_information, plane, tornado_figure
from cmvsim.report.economics_run_tables import COMPONENTS
from cmvsim.report.style import BLUE, GREEN, GREY, ORANGE, png

PALETTE = (BLUE, ORANGE, GREEN, "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#F0E442")
PAID = "#BDBDBD"
"""Of the drug itself: the longest bar, and the least interesting."""
BARS = 14
Z95 = 1.959963984540054


def figures(results: Mapping[str, Any]) -> dict[str, str | bytes]:
    """All figures of the run by file name."""
    found: dict[str, str | bytes] = {"figures/cost_stack.png": png(cost_stack(results))}
    if any(row["drug_days"] > 0 for row in results["increments"]):
        found["figures/break_even_price.png"] = png(break_even_by_threshold(results))
    bars = [_bar(row) for row in results.get("one_way", ()) if _drawable(row)][:BARS]
    if bars:
        found["figures/one_way.png"] = png(tornado_figure(bars, Units(results["settings"]["currency"], "QALY")))
    if len(results.get("incidences", ())) > 1:
        found["figures/incidence.png"] = png(by_incidence(results))
    return found


def _drawable(row: Mapping[str, Any]) -> bool:
    ends = (row["net_benefit_low"], row["net_benefit_high"])
    return all(value is not None and value == value for value in ends)


def _bar(row: Mapping[str, Any]) -> TornadoBar:
    ends = (row["net_benefit_low"], row["net_benefit_high"])
    at = (row["low"], row["high"])
    return TornadoBar(row["threshold"], row["strategy"], "comparator", row["input"], at, ends, row["base"])


def psa_figures(psa: PsaDraws, thresholds: Sequence[float], currency: str) -> dict[str, str | bytes]:
    """Figures of the draws."""
    units = Units(currency, "QALY")
    curves = decision_curves(psa.cost, psa.qaly, thresholds, varied(psa))
    raw = decision_curves(psa.cost, psa.qaly, thresholds)
    return {
        "figures/plane.png": png(plane(psa.strategies, psa.cost, psa.qaly, units, thresholds[-1:])),
        "figures/acceptability.png": png(acceptability(psa.strategies, curves, units)),
        "figures/expected_loss.png": png(losses(psa.strategies, curves, units)),
        "figures/evpi.png": png(perfect_information(raw, curves, units)),
    }


def colour(results: Mapping[str, Any], strategy: str) -> str:
    """One colour for each strategy, the same in all figures."""
    names = [row["strategy"] for row in results["strategies"]]
    place = names.index(strategy)
    return PALETTE[place % len(PALETTE)]


def cost_stack(results: Mapping[str, Any]) -> Figure:
    """What strategies cost more (right) or less (left) than the comparator, by component."""
    rows = results["increments"]
    figure = Figure(figsize=(7.6, 1.6 + 0.55 * len(rows)))
    axes = figure.subplots()
    places = np.arange(len(rows))
    right, left = np.zeros(len(rows)), np.zeros(len(rows))
    for k, (key, label) in enumerate(COMPONENTS.items()):
        values = np.array([row["components"][key] for row in rows])
        if np.abs(values).max() < 1:
            continue
        start = np.where(values >= 0, right, left)
        tint = PAID if key == "prophylaxis" else PALETTE[k % len(PALETTE)]
        axes.barh(places, values, left=start, color=tint, label=label, height=0.6)
        right, left = right + np.maximum(values, 0), left + np.minimum(values, 0)
    totals = np.array([row["cost"]["value"] for row in rows])
    axes.plot(totals, places, "D", color="black", mec="white", ms=6, ls="", label="net")
    axes.axvline(0, color=GREY, lw=0.8)
    axes.set_yticks(places, [row["strategy"].replace("_", " ") for row in rows])
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    settings = results["settings"]
    axes.set_xlabel(f"{settings['currency']} per patient, against {settings['comparator'].replace('_', ' ')}")
    axes.set_title("Increment of cost by component")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=8.5)
    return figure


def break_even_by_threshold(results: Mapping[str, Any]) -> Figure:
    """Price of a day at which each strategy is as good as the comparator, by threshold, beside today's price."""
    figure = Figure(figsize=(7.0, 4.2))
    axes = figure.subplots()
    x = np.array(results["thresholds"]) / 1000
    for row in results["increments"]:
        if not row["drug_days"] > 0:
            continue
        y = np.array([mean["value"] for mean in row["break_even_price"]], dtype=float)
        se = np.array([mean["se"] for mean in row["break_even_price"]], dtype=float)
        tint = colour(results, row["strategy"])
        axes.fill_between(x, y - Z95 * se, y + Z95 * se, color=tint, alpha=0.2, lw=0)
        axes.plot(x, y, color=tint, lw=1.6, label=row["strategy"].replace("_", " "))
    today = {results["settings"]["letermovir_prices"][row["strategy"]] for row in results["increments"] if row["drug_days"] > 0}
    for price in sorted(today):
        axes.axhline(price, color=GREY, ls="--", lw=1)
        axes.annotate(
            "today's price", (x[-1], price), xytext=(0, 3), textcoords="offset points", ha="right", fontsize=8.5, color=GREY
        )
    axes.set_ylim(bottom=0)
    axes.set(
        xlabel=f"willingness to pay, thousand {results['settings']['currency']} per QALY",
        ylabel=f"{results['settings']['currency']} for a day of letermovir",
        title="Break-even price",
    )
    axes.grid(axis="y", color="#E5E5E5", lw=0.6)
    axes.legend(loc="center right", fontsize=8.5)
    return figure


def by_incidence(results: Mapping[str, Any]) -> Figure:
    """Break-even price by the incidence of clinically significant infection under the comparator."""
    place = results["thresholds"].index(results["shown_threshold"])
    figure = Figure(figsize=(7.0, 4.2))
    axes = figure.subplots()
    x = [100 * row["incidence"] for row in results["incidences"]]
    for k, row in enumerate(results["incidences"][0]["increments"]):
        if not row["drug_days"] > 0:
            continue
        prices = [item["increments"][k]["break_even_price"][place]["value"] for item in results["incidences"]]
        axes.plot(
            x,
            prices,
            color=colour(results, row["strategy"]),
            marker="o",
            ms=3.5,
            lw=1.6,
            label=row["strategy"].replace("_", " "),
        )
    today = {results["settings"]["letermovir_prices"][row["strategy"]] for row in results["increments"] if row["drug_days"] > 0}
    for price in sorted(today):
        axes.axhline(price, color=GREY, ls="--", lw=1)
        axes.annotate(
            "today's price", (x[0], price), xytext=(0, 3), textcoords="offset points", ha="left", fontsize=8.5, color=GREY
        )
    axes.set_ylim(bottom=0)
    axes.set(
        xlabel="incidence of any DNAemia (the scenario's target), %",
        ylabel=f"{results['settings']['currency']} for a day of letermovir",
        title=f"Break-even price at {results['shown_threshold']:,.0f} per QALY",
    )
    axes.grid(axis="y", color="#E5E5E5", lw=0.6)
    axes.legend(loc="best", fontsize=8.5)
    return figure
