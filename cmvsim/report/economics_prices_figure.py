"""The answer in one figure: what a day of letermovir may cost, by strategy and by group of patients, beside today's price."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from cmvsim.report.economics_figures import COLOURS, GRID
from cmvsim.report.economics_names import Z95, enough, euros, names_of, price_rows, wrapped
from cmvsim.report.style import GREY

Mark = tuple[str, float, float, float, bool]
"""Whom it is for; price; its 95%; whether it is the base case."""
NOTHING = (float("nan"),) * 3
HIGHEST = 1.25
"""Times the highest price to be shown: intervals of few patients are cut there."""


def prices(results: Mapping[str, Any]) -> Figure:
    """A panel for each strategy: all patients, each group, and those who would have an infection, each with its 95%."""
    names, currency = names_of(results), results["settings"]["currency"]
    rows = price_rows(results)
    marks = {row.strategy: _marks(results, row.strategy) for row in rows}
    figure = Figure(figsize=(7.8, 0.9 + sum(0.55 + 0.27 * len(part) for part in marks.values())), layout="constrained")
    heights = [2 + len(part) for part in marks.values()]
    panels = figure.subplots(len(rows), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    today = [results["settings"]["letermovir_prices"][row.strategy] for row in rows]
    shown = [mark[1] for part in marks.values() for mark in part if np.isfinite(mark[1])]
    low, high = min([0.0, *shown]), max([*today, *shown])
    for axes, row, price in zip(panels, rows, today, strict=True):
        place = [item["strategy"] for item in results["strategies"]].index(row.strategy)
        tint = COLOURS[place % len(COLOURS)]
        for y, (_, value, least, most, base) in enumerate(marks[row.strategy]):
            axes.plot([least, most], [y, y], color=tint, lw=2.2 if base else 1.1, solid_capstyle="butt")
            axes.plot([value], [y], "o", ms=7 if base else 5, color=tint, mfc=tint if base else "white")
        axes.axvline(price, color=GREY, ls="--", lw=1)
        axes.axvline(0, color=GREY, lw=0.8)
        axes.set_yticks(range(len(marks[row.strategy])), [mark[0] for mark in marks[row.strategy]], fontsize=8.5)
        axes.set_ylim(len(marks[row.strategy]) - 0.4, -0.6)
        axes.set_title(wrapped(names[row.strategy], 90), fontsize=9.5)
        axes.grid(axis="x", color=GRID, lw=0.6)
        axes.tick_params(axis="y", length=0)
    margin = 0.03 * (high - low)
    panels[-1].set_xlim(low * HIGHEST - margin, high * HIGHEST)
    panels[-1].set_xlabel(
        f"{currency} for a day of letermovir (dashed: today's {' or '.join(sorted({euros(p) for p in today}))})"
    )
    panels[-1].xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    threshold = euros(results["shown_threshold"])
    title = f"Price worth paying at {threshold} {currency} per QALY, with 95% intervals"
    figure.suptitle(title, fontsize=11, x=0.01, ha="left")
    return figure


def _marks(results: Mapping[str, Any], strategy: str) -> list[Mark]:
    place = results["thresholds"].index(results["shown_threshold"])
    row = next(item for item in price_rows(results) if item.strategy == strategy)
    found: list[Mark] = []
    if "psa" in results:
        found.append(("base case: all patients, mean of draws", row.value[place], row.low[place], row.high[place], True))
    fixed = (row.fixed[place], row.fixed_low[place], row.fixed_high[place])
    found.append(("all patients, inputs as they stand", *fixed, "psa" not in results))
    for part in results["strata"]:
        more = next(item for item in part["increments"] if item["strategy"] == strategy)
        if more["drug_days"] > 0 and not enough(more, part["patients"]):
            found.append((f"{part['label']}: too few averted", *NOTHING, False))
        elif more["drug_days"] > 0:
            found.append(
                (f"{part['label']} (of {part['patients']:,} simulated)", *_ends(more["break_even_price"][place]), False)
            )
    oracle = next((item for item in results["oracle"] if item["strategy"] == strategy), None)
    if oracle:
        found.append(("only those who would have an infection", *_ends(oracle["break_even_price"][place]), False))
    return found


def _ends(price: Mapping[str, Any]) -> tuple[float, float, float]:
    nothing = float("nan")
    value = nothing if price["value"] is None else float(price["value"])
    error = nothing if price["se"] is None else Z95 * float(price["se"])
    return value, value - error, value + error
