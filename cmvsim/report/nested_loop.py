"""Nested-loop plot of a validation: bias and coverage as steps over scenarios and sample sizes.

Rücker G, Schwarzer G (2014). Presenting simulation results in a nested loop plot. BMC Med Res Methodol 14:129.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from cmvsim.report.style import BLUE, GREEN, GREY, ORANGE
from cmvsim.report.validation_lines import MEASURES, Line, Place

Z95 = 1.959963984540054
LIGHT = "#E5E5E5"
COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7")  # Okabe and Ito (2008)
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.5)), (0, (6, 1.5, 1.5, 1.5)))
MOST_LINES = len(COLOURS)
"""In one panel: more cannot be told apart."""
MOST_PANELS = 6
MOST_NAMED = 9
"""Steps whose N is written below them."""
FARTHEST = 2.0
"""Standard errors of bias that the axis reaches to at most."""


def nested_loop(results: Mapping[str, Any], lines: Sequence[Line], name: str) -> Figure:
    """Standardised bias (left) and coverage (right), a row of panels for each group of analyses, the loops below."""
    panels = _panels(lines)
    shown, points = panels[:MOST_PANELS], _points(results)
    width = min(max(2.6, 0.36 * len(points) + 0.9), 5.2)
    heights = [max(1.45, 0.2 + 0.17 * _rows(chunk)) for _, chunk in shown]
    figure = Figure(figsize=(2 * width + 3.0, sum(heights) + 1.75), layout="constrained")
    ratios = {"height_ratios": [*heights, 0.75]}
    grid: Any = figure.subplots(len(shown) + 1, 2, sharex=True, squeeze=False, gridspec_kw=ratios)
    for row, (group, chunk) in zip(grid[:-1], shown, strict=True):
        for axes, measure in zip(row, MEASURES, strict=True):
            _panel(axes, measure, chunk, points, results)
        if len(panels) > 1:
            row[0].set_title(group, fontsize=9.5, fontweight="bold")
        row[1].legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8, handlelength=2.6)
    for axes in grid[-1]:
        _loops(axes, results)
    figure.align_ylabels(grid[:, 0])
    figure.align_ylabels(grid[:, 1])
    more = sum(len(chunk) for _, chunk in panels[MOST_PANELS:])
    figure.suptitle(
        f"{results['labels'][name]}: bias and coverage over scenarios and sample sizes (nested loop)",
        x=0.01,
        ha="left",
        fontsize=11,
    )
    note = "bars and grey band: 95% Monte Carlo interval, of each figure and about the dashed value; dotted: tolerated"
    figure.supxlabel(note + (f"; {more} further analyses in rows.csv" if more else ""), fontsize=8.5, color=GREY)
    return figure


def _panels(lines: Sequence[Line]) -> list[tuple[str, list[Line]]]:
    """Lines by group, at most as many in one panel as can be told apart, evenly filled."""
    made: list[tuple[str, list[Line]]] = []
    for group in dict.fromkeys(line.group for line in lines):
        mine = [line for line in lines if line.group == group]
        parts = math.ceil(len(mine) / MOST_LINES)
        size = math.ceil(len(mine) / parts)
        for part in range(parts):
            told = f"{group} ({part + 1} of {parts})" if parts > 1 else group
            made.append((told, mine[part * size : (part + 1) * size]))
    return made


def _rows(lines: Sequence[Line]) -> int:
    """Lines of text that a legend takes."""
    return sum(line.label.count("\n") + 1 for line in lines)


def _points(results: Mapping[str, Any]) -> list[Place]:
    return [(item["id"], n) for item in results["scenarios"] for n in results["sizes"]]


def _panel(axes: Axes, measure: str, lines: Sequence[Line], points: Sequence[Place], results: Mapping[str, Any]) -> None:
    """One measure of a few analyses as steps, with Monte Carlo bars on the steps."""
    level, replicates = results["level"], results["replicates"]
    nominal = level if measure == "coverage" else 0.0
    # The standardised bias of an unbiased estimator has standard error 1 / sqrt(replicates).
    half = Z95 * (math.sqrt(level * (1 - level) / replicates) if measure == "coverage" else 1 / math.sqrt(replicates))
    axes.axhspan(nominal - half, nominal + half if measure != "coverage" else min(nominal + half, 1.0), color=LIGHT, lw=0)
    axes.axhline(nominal, color=GREY, lw=1, ls="--")
    allowed = next(item for item in results["tolerances"] if item["measure"] == measure)
    bounds = [allowed["low"]] if measure == "coverage" else [allowed["low"], allowed["high"]]
    for bound in bounds:
        axes.axhline(bound, color=GREY, lw=0.9, ls=":")
    for edge in range(len(results["sizes"]), len(points), len(results["sizes"])):
        axes.axvline(edge, color=GREY, lw=0.6)
    for rank, line in enumerate(lines):
        found = [line.values.get(measure, {}).get(point, (np.nan, np.nan)) for point in points]
        y, error = (np.array(column, dtype=np.float64) for column in zip(*found, strict=True))
        style: dict[str, Any] = {"color": COLOURS[rank], "ls": DASHES[rank]}
        axes.step(np.arange(len(points) + 1), [*y, y[-1]], where="post", lw=1.5, label=line.label, **style)
        at = np.arange(len(points)) + (rank + 1) / (len(lines) + 1)
        axes.errorbar(at, y, yerr=Z95 * error, fmt="none", ecolor=COLOURS[rank], elinewidth=0.9, alpha=0.75)
    axes.set_ylim(*_reach(measure, lines, [*bounds, nominal - half, nominal + half]))
    axes.set_ylabel("bias / empirical SE" if measure != "coverage" else "coverage", fontsize=9)
    axes.tick_params(labelsize=8.5)
    axes.tick_params(axis="x", length=0)
    axes.locator_params(axis="y", nbins=5)
    if measure == "coverage":
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g}%"))


def _reach(measure: str, lines: Sequence[Line], always: Sequence[float]) -> tuple[float, float]:
    """Limits of the vertical axis: all bars where that is sensible, and the tolerated range always."""
    found = [pair for line in lines for pair in line.values.get(measure, {}).values()]
    low = min([*always, *(value - Z95 * error for value, error in found)])
    high = max([*always, *(value + Z95 * error for value, error in found)])
    if measure == "coverage":
        return max(low - 0.01, -0.01), 1.006
    return max(1.05 * low, -FARTHEST), min(1.05 * high, FARTHEST)


def _loops(axes: Axes, results: Mapping[str, Any]) -> None:
    """The levels of the two factors: scenarios by name, N as a staircase."""
    scenarios, sizes = [item["id"] for item in results["scenarios"]], results["sizes"]
    total = len(scenarios) * len(sizes)
    for place, scenario in enumerate(scenarios):
        told = textwrap.shorten(scenario, max(6, round(46 / len(scenarios))), placeholder="…")
        axes.text((place + 0.5) * len(sizes), 1.55, told, ha="center", va="center", fontsize=8.5)
        if place:
            axes.axvline(place * len(sizes), color=GREY, lw=0.6)
    steps = np.tile(np.linspace(0.12, 0.5, len(sizes)) if len(sizes) > 1 else np.array([0.3]), len(scenarios))
    axes.step(np.arange(total + 1), [*steps, steps[-1]], where="post", color=GREY, lw=1.1)
    named = [place for place in range(total) if total <= MOST_NAMED or place % len(sizes) in (0, len(sizes) - 1)]
    for place in named if total <= 3 * MOST_NAMED else []:
        axes.text(place + 0.5, steps[place] + 0.09, str(sizes[place % len(sizes)]), ha="center", va="bottom", fontsize=8)
    axes.axhline(1.15, color=LIGHT, lw=1)
    axes.set(ylim=(0, 2), xlim=(0, total))
    axes.set_yticks(
        [0.4, 1.55], ["N" if total <= 3 * MOST_NAMED else f"N, {sizes[0]}\nto {sizes[-1]}", "scenario"], fontsize=8.5
    )
    axes.xaxis.set_major_locator(NullLocator())
    axes.tick_params(length=0)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
