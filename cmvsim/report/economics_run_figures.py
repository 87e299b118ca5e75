"""Figures of an economic evaluation: prices worth paying, by strategy, patients, threshold and incidence; cost stack; draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cmvsim.economics.net_benefit import decision_curves
from cmvsim.economics.probabilistic import PsaDraws
from cmvsim.economics.psa import TornadoBar
from cmvsim.economics.psa_tables import varied
from cmvsim.report.economics_figures import (
    COLOURS,
    GRID,
    Units,
    acceptability,
    losses,
    perfect_information,
    plane,
)
from cmvsim.report.economics_names import (
    Z95,
    euros,
    input_name,
    names_of,
    price_rows,
    short_amount,
    strategy_name,
    wrapped,
)
from cmvsim.report.economics_prices_figure import prices
from cmvsim.report.economics_run_tables import COMPONENTS
from cmvsim.report.economics_tornado_figure import tornado_figure
from cmvsim.report.style import GREY, png

PARTS = ("#332288", "#88CCEE", "#117733", "#DDCC77", "#CC6677", "#AA4499", "#44AA99", "#999933")
"""Of cost components: colours of no strategy (Tol's muted scheme)."""
PAID = "#BDBDBD"
"""Of the drug itself: the longest bar, and the least interesting."""
BARS = 14
SEEN = 0.002
"""Share of the longest bar below which a component is not drawn."""


def figures(results: Mapping[str, Any]) -> dict[str, str | bytes]:
    """All figures of the run by file name."""
    found: dict[str, str | bytes] = {"figures/cost_stack.png": png(cost_stack(results))}
    if any(row["drug_days"] > 0 for row in results["increments"]):
        found["figures/prices.png"] = png(prices(results))
        found["figures/break_even_price.png"] = png(break_even_by_threshold(results))
    bars = [_bar(row) for row in results.get("one_way", ()) if _drawable(row)][:BARS]
    if bars:
        found["figures/one_way.png"] = png(_one_way(bars, results))
    if len(results.get("incidences", ())) > 1:
        found["figures/incidence.png"] = png(by_incidence(results))
    return found


def _one_way(bars: Sequence[TornadoBar], results: Mapping[str, Any]) -> Figure:
    title = f"{names_of(results)[bars[0].strategy]}:\nnet benefit at {euros(bars[0].threshold)} per QALY, each input alone"
    names = {bar.parameter: input_name(bar.parameter) for bar in bars}
    return tornado_figure(bars, Units(results["settings"]["currency"], "QALY"), names=names, ends=short_amount, title=title)


def _drawable(row: Mapping[str, Any]) -> bool:
    ends = (row["net_benefit_low"], row["net_benefit_high"])
    return all(value is not None and value == value for value in ends)


def _bar(row: Mapping[str, Any]) -> TornadoBar:
    ends = (row["net_benefit_low"], row["net_benefit_high"])
    at = (row["low"], row["high"])
    return TornadoBar(row["threshold"], row["strategy"], "comparator", row["input"], at, ends, row["base"])


def psa_figures(psa: PsaDraws, thresholds: Sequence[float], currency: str, labels: Mapping[str, str]) -> dict[str, str | bytes]:
    """Figures of the draws."""
    units = Units(currency, "QALY")
    names = [strategy_name(labels[key]) for key in psa.strategies]
    curves = decision_curves(psa.cost, psa.qaly, thresholds, varied(psa))
    raw = decision_curves(psa.cost, psa.qaly, thresholds)
    return {
        "figures/plane.png": png(plane(names, psa.cost, psa.qaly, units, thresholds[-1:])),
        "figures/acceptability.png": png(acceptability(names, curves, units)),
        "figures/expected_loss.png": png(losses(names, curves, units)),
        "figures/evpi.png": png(perfect_information(raw, curves, units)),
    }


def colour(results: Mapping[str, Any], strategy: str) -> str:
    """One colour for each strategy, the same in all figures."""
    place = [row["strategy"] for row in results["strategies"]].index(strategy)
    return COLOURS[place % len(COLOURS)]


def cost_stack(results: Mapping[str, Any]) -> Figure:
    """What strategies cost more (right) or less (left) than the comparator, by component."""
    rows, names, settings = results["increments"], names_of(results), results["settings"]
    figure = Figure(figsize=(7.6, 1.6 + 0.6 * len(rows)))
    axes = figure.subplots()
    places = np.arange(len(rows))
    right, left = np.zeros(len(rows)), np.zeros(len(rows))
    least = SEEN * max(abs(row["components"][key]) for row in rows for key in COMPONENTS)
    for k, (key, label) in enumerate(COMPONENTS.items()):
        values = np.array([row["components"][key] for row in rows])
        if np.abs(values).max() <= least:
            continue
        start = np.where(values >= 0, right, left)
        tint = PAID if key == "prophylaxis" else PARTS[k % len(PARTS)]
        axes.barh(places, values, left=start, color=tint, label=label, height=0.6)
        right, left = right + np.maximum(values, 0), left + np.minimum(values, 0)
    totals = np.array([row["cost"]["value"] for row in rows])
    axes.plot(totals, places, "D", color="black", mec="white", ms=6, ls="", label="net")
    for place, total, end in zip(places, totals, right, strict=True):
        text = f"{total:+,.0f}"
        axes.annotate(text, (max(end, total), place), xytext=(6, 0), textcoords="offset points", va="center", fontsize=8.5)
    axes.axvline(0, color=GREY, lw=0.8)
    axes.set_yticks(places, [wrapped(names[row["strategy"]]) for row in rows])
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlabel(f"{settings['currency']} per patient, against {names[settings['comparator']].lower()}")
    axes.set_title("Increment of cost by component, inputs as they stand")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=8.5)
    return figure


def break_even_by_threshold(results: Mapping[str, Any]) -> Figure:
    """Price of a day at which each strategy is as good as the comparator, by threshold, beside today's price."""
    names, currency = names_of(results), results["settings"]["currency"]
    figure = Figure(figsize=(7.0, 4.4), layout="constrained")
    axes = figure.subplots()
    x = np.array(results["thresholds"]) / 1000
    for row in price_rows(results):
        tint = colour(results, row.strategy)
        axes.fill_between(x, row.low, row.high, color=tint, alpha=0.15, lw=0)
        axes.plot(x, row.value, color=tint, lw=1.6, label=names[row.strategy])
    _today(axes, results, float(x[-1]), "right")
    over = f"mean of {results['psa']['draws']:,} draws, band: 95% of them" if "psa" in results else "band: 95% of simulation"
    axes.set(
        xlabel=f"threshold, thousand {currency} per QALY",
        ylabel=f"{currency} for a day of letermovir",
        title=f"Price worth paying by threshold ({over})",
    )
    _dressed(axes)
    return figure


def by_incidence(results: Mapping[str, Any]) -> Figure:
    """Break-even price by the incidence of any DNAemia, with the error of simulation."""
    place = results["thresholds"].index(results["shown_threshold"])
    names, currency = names_of(results), results["settings"]["currency"]
    figure = Figure(figsize=(7.0, 4.4), layout="constrained")
    axes = figure.subplots()
    x = np.array([100 * row["incidence"] for row in results["incidences"]])
    giving = [k for k, row in enumerate(results["incidences"][0]["increments"]) if row["drug_days"] > 0]
    step = 0.012 * float(np.ptp(x))
    for order, k in enumerate(giving):
        rows = [item["increments"][k] for item in results["incidences"]]
        values, errors = (
            np.array([row["break_even_price"][place][key] for row in rows], dtype=float) for key in ("value", "se")
        )
        name = rows[0]["strategy"]
        aside = x + step * (order - (len(giving) - 1) / 2)  # intervals of several strategies would hide each other
        tint = colour(results, name)
        axes.errorbar(
            *(aside, values, Z95 * errors), label=names[name], color=tint, marker="o", ms=3.5, lw=1.6, capsize=2, elinewidth=0.9
        )
    _today(axes, results, float(x[0]), "left")
    axes.set(
        xlabel="incidence of any DNAemia (the scenario's target), %",
        ylabel=f"{currency} for a day of letermovir",
        title=f"Price worth paying at {results['shown_threshold']:,.0f} {currency} per QALY, by incidence (95% of simulation)",
    )
    _dressed(axes)
    return figure


def _today(axes: Axes, results: Mapping[str, Any], x: float, side: str) -> None:
    """Today's price, as a line over the whole figure."""
    today = {results["settings"]["letermovir_prices"][row.strategy] for row in price_rows(results)}
    for price in sorted(today):
        axes.axhline(price, color=GREY, ls="--", lw=1)
        text = f"today's price, {euros(price)}"
        axes.annotate(text, (x, price), xytext=(0, 3), textcoords="offset points", ha=side, fontsize=8.5, color=GREY)


def _dressed(axes: Axes) -> None:
    """Grid, a frame from 0, and a legend that hides nothing."""
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]) if axes.get_ylim()[0] < -1 else 0.0)
    axes.axhline(0, color=GREY, lw=0.8)
    axes.grid(axis="y", color=GRID, lw=0.6)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles, [wrapped(label, 70) for label in labels], loc="upper left", bbox_to_anchor=(0.0, -0.16), fontsize=8.5, ncols=1
    )
