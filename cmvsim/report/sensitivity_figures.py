"""Figures of a sensitivity run: tornado, curve, grid."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from cmvsim.report.sensitivity_names import figure_names
from cmvsim.report.sensitivity_text import bare, base_value, figure, in_points, inputs, short, shown, unit_of
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
                short(value, unit),
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
    now = figure(results, measure, base_value(results, measure))
    axes.set_title(
        f"{results['label']}, N = {results['n']}: each input {over} (small figures)\nline: the scenario as it is, {now}"
    )
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
    if numbers and item["unit"] == "proportion":
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}%")
    same = len(set(y.tolist())) == 1 and y[0] == scale * base_value(results, measure)
    axes.set_title(f"{results['label']}, N = {results['n']}{': the same for all values' if same else ''}")
    _room(axes, [*(y - error), *(y + error)])
    axes.grid(axis="y", color="#E5E5E5", lw=0.6)
    axes.legend(fontsize=8.5)
    return figure_


def _room(axes: Axes, ends: list[float]) -> None:
    """Vertical limits that do not blow up a difference of no size."""
    known = [value for value in ends if np.isfinite(value)]
    if known and max(known) - min(known) < 1e-3 * max(abs(known[0]), 1e-9):
        axes.set_ylim(known[0] - 0.05 * abs(known[0]) - 0.01, known[0] + 0.05 * abs(known[0]) + 0.01)


def grid(results: Mapping[str, Any], measure: str) -> Figure:
    """A measure over two inputs: one cell per setting, with half of its 95% Monte Carlo interval."""
    across, up = (
        {**item, "values": list({str(value): value for value in item["values"]}.values())} for item in results["inputs"]
    )
    scale = _scale(results, measure)
    rows = [row for row in results["rows"] if row["measure"] == measure and row["setting"]]
    found = {(str(row["setting"][across["key"]]), str(row["setting"][up["key"]])): row for row in rows}
    cells, errors = (
        np.array([[_number(found.get((str(x), str(y)), {}).get(name)) for x in across["values"]] for y in up["values"]])
        for name in ("value", "mcse")
    )
    figure_ = Figure(figsize=(3.4 + 1.05 * len(across["values"]), 2.1 + 0.62 * len(up["values"])), layout="constrained")
    axes = figure_.subplots()
    constant = not np.isfinite(cells).any() or bool(np.nanmax(cells) == np.nanmin(cells))
    image = axes.imshow(
        scale * cells, cmap=ListedColormap(["#E5E5E5"]) if constant else "cividis", aspect="auto", origin="lower"
    )
    middle = -np.inf if constant else float(np.mean(image.get_clim()))
    for (row, column), value in np.ndenumerate(cells):
        text = "not estimable" if np.isnan(value) else bare(results, measure, float(value))
        if np.isfinite(value) and np.isfinite(errors[row, column]):
            text += f"\n± {Z95 * scale * errors[row, column]:.{2 if in_points(results, measure) else 3}f}"
        color = "white" if np.isfinite(value) and scale * value < middle else "black"
        axes.text(column, row, text, ha="center", va="center", fontsize=8.5, color=color)
    _ticks(axes, across, up)
    if constant:
        note = f"{_label(results, measure)}:\nthe same in all settings"
    else:
        figure_.colorbar(image, ax=axes, label=textwrap.fill(_label(results, measure), 34))
        note = "±: half of the 95% Monte Carlo interval"
    axes.set_title(f"{results['label']}, N = {results['n']}\n{note}", fontsize=10)
    return figure_


def _ticks(axes: Axes, across: Mapping[str, Any], up: Mapping[str, Any]) -> None:
    axes.set_xticks(range(len(across["values"])), [shown(value, across["unit"]) for value in across["values"]])
    axes.set_yticks(range(len(up["values"])), [shown(value, up["unit"]) for value in up["values"]])
    axes.set(xlabel=_short(across, unit=False), ylabel=textwrap.fill(_short(up, unit=False), 34))
    axes.spines[:].set_visible(False)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _label(results: Mapping[str, Any], measure: str) -> str:
    return f"{results['measures'][measure]}{unit_of(results, measure)}"


def _short(item: Mapping[str, Any], *, unit: bool = True) -> str:
    """An input with its unit; the first parts of a long key go without saying."""
    parts = str(item["label"]).split(".")
    while len(".".join(parts)) > LONGEST and len(parts) > 2:
        parts = ["…", *parts[2:]] if parts[0] == "…" else ["…", *parts[1:]]
    plain = ".".join(parts).replace("….", "… ")
    return f"{plain} [{item['unit']}]" if unit and item["unit"] not in ("", "proportion", "ratio") else plain


def _scale(results: Mapping[str, Any], measure: str) -> float:
    return 100.0 if in_points(results, measure) else 1.0
