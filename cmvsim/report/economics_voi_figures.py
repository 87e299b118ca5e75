"""Figures of the value of information: EVPI by price, EVSI by size, EVPPI bars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from cmvsim.report.economics_names import euros, input_name, wrapped
from cmvsim.report.style import BLUE, GREY, ORANGE, png

Z95 = 1.959963984540054
MOST = 10


def figures(results: Mapping[str, Any]) -> dict[str, str | bytes]:
    """All figures of the run by file name."""
    return {
        "figures/evpi_by_price.png": png(by_price(results)),
        "figures/evsi.png": png(by_size(results)),
        "figures/evppi.png": png(partial(results)),
    }


def by_price(results: Mapping[str, Any]) -> Figure:
    """EVPI by the price of a day, raw and smoothed, beside today's and the break-even price."""
    rows = results["by_price"]
    x = np.array([row["price"] for row in rows])
    y, se = (np.array([row[key] for row in rows]) for key in ("smoothed", "smoothed_se"))
    figure = Figure(figsize=(7.0, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.fill_between(x, np.maximum(y - Z95 * se, 0), y + Z95 * se, color=BLUE, alpha=0.2, lw=0)
    axes.plot(x, y, color=BLUE, lw=1.6, label="smoothed by regression on the inputs")
    axes.plot(x, [row["raw"] for row in rows], color=GREY, lw=1.2, ls=":", label="raw: noise of few patients included")
    top = float(max([(y + Z95 * se).max(), 1e-9, *(row["raw"] for row in rows)]))
    for price, label, side in (
        (results["today"], f"today's price, {euros(results['today'])}", "right"),
        (results["break_even"]["price"], f"break-even, {euros(results['break_even']['price'])}", "left"),
    ):
        axes.axvline(price, color=ORANGE if side == "left" else GREY, ls="--", lw=1)
        axes.annotate(
            label,
            (price, top * 1.04),
            xytext=(4 if side == "left" else -4, 0),
            textcoords="offset points",
            ha=side,
            fontsize=8.5,
            color=ORANGE if side == "left" else GREY,
        )
    axes.set_ylim(0, top * 1.15)
    axes.set(
        xlabel="EUR for a day of letermovir",
        ylabel="EUR per patient",
        title=f"Value of perfect information at {results['threshold']:,.0f} EUR per QALY",
    )
    axes.grid(axis="y", color="#E5E5E5", lw=0.6)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2, fontsize=8.5)
    return figure


def by_size(results: Mapping[str, Any]) -> Figure:
    """EVSI of the study by its size, beside the value of what it informs."""
    rows, informed = results["evsi"], results["informed"]
    x = np.array([row["patients"] for row in rows], dtype=float)
    y, se = (np.array([row[key] for row in rows]) for key in ("rising", "se"))
    figure = Figure(figsize=(7.0, 4.2))
    axes = figure.subplots()
    axes.fill_between(x, np.maximum(y - Z95 * se, 0), y + Z95 * se, color=BLUE, alpha=0.2, lw=0)
    axes.plot(x, y, color=BLUE, marker="o", ms=4, lw=1.6, label="this study")
    axes.axhline(informed["value"], color=ORANGE, ls="--", lw=1.2, label="what it informs, known exactly")
    axes.plot(x, [row["floor"] for row in rows], color=GREY, ls=":", lw=1.2, label="noise alone: a study that tells nothing")
    axes.set_ylim(bottom=0)
    axes.set_xlim(0, x.max() * 1.03)
    axes.set(
        xlabel="patients in the study",
        ylabel="EUR per patient to be treated",
        title=f"Value of the study (EVSI) at {results['price']:,.0f} EUR a day, 95% band",
    )
    axes.grid(axis="y", color="#E5E5E5", lw=0.6)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=3, fontsize=8.5)
    return figure


def partial(results: Mapping[str, Any]) -> Figure:
    """EVPPI of groups and of the single inputs worth most."""
    bars = [(row["group"], row, BLUE) for row in results["groups"]]
    bars += [(wrapped(input_name(row["input"]), 46), row, GREY) for row in results["singles"][:MOST]]
    figure = Figure(figsize=(7.6, 1.2 + 0.3 * len(bars)))
    axes = figure.subplots()
    places = np.arange(len(bars))
    values = [row["value"] for _, row, _ in bars]
    errors = [Z95 * row["se"] for _, row, _ in bars]
    low = np.minimum(values, errors)  # an interval does not go below 0
    axes.barh(places, values, color=[tint for *_, tint in bars], height=0.65, alpha=0.85)
    axes.errorbar(values, places, xerr=[low, errors], fmt="none", ecolor="black", elinewidth=0.8, capsize=2)
    floors = np.array([row.get("floor", results["noise_floor"]) for _, row, _ in bars])
    axes.plot(floors, places, ls="", marker="|", ms=11, mew=1.6, color=ORANGE, label="noise alone (of single inputs its mean)")
    if not max(values, default=0.0) > 0:
        axes.set_xlim(0, max(1.0, 1.1 * float(floors.max(initial=0.0))))
        axes.set_title("No group and no input is worth anything here", loc="right", fontsize=8.5, color=GREY)
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.55 / figure.get_size_inches()[1]), fontsize=8.5)
    axes.set_xlim(left=0)
    axes.set_yticks(places, [name for name, *_ in bars], fontsize=8.5)
    axes.invert_yaxis()
    axes.axhline(len(results["groups"]) - 0.5, color="#BDBDBD", lw=0.8)
    axes.set(xlabel="EUR per patient, 95%", title="Perfect information on groups (above) and single inputs (below)")
    return figure
