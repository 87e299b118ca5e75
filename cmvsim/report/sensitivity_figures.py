"""Figures of a sensitivity run: tornado, curve, grid."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from cmvsim.report.sensitivity_names import figure_names
from cmvsim.report.sensitivity_text import base_value, figure, in_points, inputs, shown
from cmvsim.report.style import BLUE, GREY, ORANGE

BARS, LONGEST = 15, 48
Z95 = 1.959963984540054


def figures(results: Mapping[str, Any]) -> dict[str, Figure]:
    """One figure per measure, by file name without ending."""
    draw = {"tornado": tornado, "one_at_a_time": tornado, "curve": curve, "grid": grid}[results["shape"]]
    return {name: draw(results, measure) for (name, _), measure in zip(figure_names(results), results["measures"], strict=True)}


def tornado(results: Mapping[str, Any], measure: str) -> Figure:
    """Bars of the most influential inputs, from one end of their range to the other, about the scenario as it is."""
    rows = [row for row in results["influence"] if row["measure"] == measure and row["range"] > 0][:BARS]
    known, scale = inputs(results), _scale(results, measure)
    base = scale * base_value(results, measure)
    figure_ = Figure(figsize=(8.6, 1.5 + 0.34 * max(len(rows), 1)))
    axes = figure_.subplots()
    for place, row in enumerate(rows):
        ends = sorted(zip(row["values"], row["results"], strict=True), key=lambda pair: scale * pair[1])
        first, last = ends[0], ends[-1]
        numbers = all(isinstance(value, int | float) for value in row["values"])
        for value, result in (first, last):
            rising = numbers and value == max(row["values"])
            axes.barh(place, scale * result - base, left=base, height=0.62, color=ORANGE if rising else BLUE, lw=0)
        unit = known[row["input"]]["unit"]
        for (value, result), side in ((first, -1), (last, 1)):
            x = min(scale * result, base) if side < 0 else max(scale * result, base)
            axes.annotate(
                shown(value, unit if unit == "proportion" else ""),
                (x, place),
                xytext=(4 * side, 0),
                textcoords="offset points",
                ha="right" if side < 0 else "left",
                va="center",
                fontsize=7.5,
                color=GREY,
            )
    axes.axvline(base, color=GREY, lw=1)
    axes.set_yticks(range(len(rows)), [_short(known[row["input"]]) for row in rows], fontsize=8.5)
    axes.invert_yaxis()
    axes.margins(x=0.14)
    axes.set_xlabel(_label(results, measure))
    over = "over its 95% range" if results["shape"] == "tornado" else "over the values given"
    axes.set_title(f"{results['label']}, N = {results['n']}: each input {over}")
    axes.grid(axis="x", color="#E5E5E5", lw=0.6)
    if not rows:
        axes.text(0.5, 0.5, "no input changes it", ha="center", va="center", transform=axes.transAxes, color=GREY)
        return figure_
    handles = [Patch(color=color, label=text) for color, text in ((BLUE, "lower value"), (ORANGE, "higher value"))]
    low, high = axes.get_xlim()
    axes.legend(handles=handles, loc="lower left" if base > (low + high) / 2 else "lower right", fontsize=8)
    return figure_


def curve(results: Mapping[str, Any], measure: str) -> Figure:
    """A measure over the values of one input, with its Monte Carlo interval."""
    item, scale = results["inputs"][0], _scale(results, measure)
    rows = [row for row in results["rows"] if row["measure"] == measure and row["setting"]]
    numbers = all(isinstance(row["setting"][item["key"]], int | float) for row in rows)
    if numbers:
        rows = sorted(rows, key=lambda row: row["setting"][item["key"]])
    x = [float(row["setting"][item["key"]]) for row in rows] if numbers else list(range(len(rows)))
    y = scale * np.array([_number(row["value"]) for row in rows])
    error = scale * Z95 * np.array([_number(row["mcse"]) for row in rows])
    figure_ = Figure(figsize=(6.4, 4.0))
    axes = figure_.subplots()
    if numbers:
        axes.fill_between(x, y - error, y + error, color=BLUE, alpha=0.25, lw=0, label="95% Monte Carlo interval")
        axes.plot(x, y, color=BLUE, lw=1.5, marker="o", ms=4, label="simulated")
    else:
        axes.errorbar(x, y, yerr=error, color=BLUE, fmt="o", capsize=3, label="simulated, 95% Monte Carlo interval")
        axes.set_xticks(x, [shown(row["setting"][item["key"]], "") for row in rows])
        axes.margins(x=0.25)
    axes.axhline(scale * base_value(results, measure), color=GREY, lw=1, ls="--", label="the scenario as it is")
    axes.set(xlabel=_short(item), ylabel=textwrap.fill(_label(results, measure), 48))
    axes.set_title(f"{results['label']}, N = {results['n']}")
    axes.grid(axis="y", color="#E5E5E5", lw=0.6)
    axes.legend(fontsize=8.5)
    return figure_


def grid(results: Mapping[str, Any], measure: str) -> Figure:
    """A measure over two inputs: one cell per setting."""
    across, up = results["inputs"]
    table = {
        (str(row["setting"][across["key"]]), str(row["setting"][up["key"]])): row["value"]
        for row in results["rows"]
        if row["measure"] == measure and row["setting"]
    }
    cells = np.array([[_number(table.get((str(x), str(y)))) for x in across["values"]] for y in up["values"]])
    figure_ = Figure(figsize=(2.6 + 0.95 * len(across["values"]), 1.9 + 0.55 * len(up["values"])))
    axes = figure_.subplots()
    image = axes.imshow(_scale(results, measure) * cells, cmap="cividis", aspect="auto", origin="lower")
    middle = float(np.nanmean(image.get_clim())) if np.isfinite(cells).any() else 0.0
    for (row, column), value in np.ndenumerate(cells):
        dark = _scale(results, measure) * value < middle
        text = "not reached" if np.isnan(value) else figure(results, measure, float(value)).removesuffix(" points")
        color = "black" if np.isnan(value) or not dark else "white"
        axes.text(column, row, text, ha="center", va="center", fontsize=8.5, color=color)
    _ticks(axes, across, up)
    figure_.colorbar(image, ax=axes, label=textwrap.fill(_label(results, measure), 30))
    axes.set_title(f"{results['label']}, N = {results['n']}")
    return figure_


def _ticks(axes: Axes, across: Mapping[str, Any], up: Mapping[str, Any]) -> None:
    axes.set_xticks(range(len(across["values"])), [shown(value, across["unit"]) for value in across["values"]])
    axes.set_yticks(range(len(up["values"])), [shown(value, up["unit"]) for value in up["values"]])
    axes.set(xlabel=_short(across, unit=False), ylabel=textwrap.fill(_short(up, unit=False), 34))
    axes.spines[:].set_visible(False)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _label(results: Mapping[str, Any], measure: str) -> str:
    unit = " (points)" if measure == "half_width" else " (%)"
    unit = unit if in_points(results, measure) else ""
    return f"{results['measures'][measure]}{unit}"


def _short(item: Mapping[str, Any], *, unit: bool = True) -> str:
    """An input with its unit; the first parts of a long key go without saying."""
    parts = str(item["label"]).split(".")
    while len(".".join(parts)) > LONGEST and len(parts) > 2:
        parts = ["…", *parts[2:]] if parts[0] == "…" else ["…", *parts[1:]]
    plain = ".".join(parts).replace("….", "… ")
    return f"{plain} [{item['unit']}]" if unit and item["unit"] not in ("", "proportion", "ratio") else plain


def _scale(results: Mapping[str, Any], measure: str) -> float:
    return 100.0 if in_points(results, measure) else 1.0
