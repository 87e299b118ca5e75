"""Figures of the analysis of one study: stacked incidence, forest plot, questionnaire profile, cost components, flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from cmvsim.report.estimate_words import STATUS_NOTES
from cmvsim.report.style import BLUE, GREEN, GREY, ORANGE

LIGHT = "#E5E5E5"
STACK = {
    "incidence": BLUE,
    "death": "#4D4D4D",
    "transplantation": "#A6A6A6",
    "relapse": "#D9B38C",
    "competing event": "#4D4D4D",
}
"""The event in colour, what competes with it in greys and sand: alike in black-and-white print, too."""

MOST_TICKS = 6


def stacked_incidence(
    frame: pd.DataFrame,
    *,
    title: str,
    event_label: str,
    level: float,
    xlabel: str = "days from infusion",
    at_risk: Mapping[float, float] | None = None,
) -> Figure:
    """Cumulative incidences stacked on each other, the interval of the event, and the numbers at risk below.

    Parameters
    ----------
    frame
        As made by :func:`cmvsim.endpoints.curves.incidence_table`.
    at_risk
        Numbers at risk by time, for the ticks; without it, those of the table at whole days.
    """
    days = frame["day"].to_numpy(dtype=np.float64)
    names = [name for name in STACK if name in frame]
    layers = [np.nan_to_num(frame[name].to_numpy(dtype=np.float64)) for name in names]
    figure = Figure(figsize=(6.8, 4.6))
    axes = figure.subplots()
    floor = np.zeros(days.size)
    for name, layer in zip(names, layers, strict=True):
        label = event_label if name == "incidence" else f"{name} first"
        axes.fill_between(days, floor, floor + layer, step="post", color=STACK[name], alpha=0.75, lw=0, label=label)
        floor = floor + layer
    for column in ("ci_low", "ci_high"):
        limit = frame[column].to_numpy(dtype=np.float64)
        name = f"{level:.0%} confidence interval" if column == "ci_low" else "_"  # one entry in the legend
        axes.step(days, limit, where="post", color="black", lw=0.9, ls=":", label=name)
    top = float(np.nanmax([floor.max(), np.nanmax(frame["ci_high"].fillna(0.0)), 0.05]))
    axes.set(xlim=(0, days[-1]), ylim=(0, min(1.0, 1.35 * top)), xlabel=xlabel, ylabel="probability", title=title)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.grid(axis="y", color=LIGHT, lw=0.6)
    axes.legend(loc="upper left", fontsize=8.5, ncols=2)
    _at_risk(axes, at_risk if at_risk is not None else _of_whole_days(frame, int(days[-1])), float(days[-1]))
    return figure


def _of_whole_days(frame: pd.DataFrame, window: int) -> dict[float, float]:
    step = max(1, window // MOST_TICKS)
    ticks = sorted({*range(0, window + 1, step), window})
    if len(ticks) > 1 and ticks[-1] - ticks[-2] < step:
        ticks.pop(-2)
    numbers = frame["at_risk"].to_numpy(dtype=np.float64)[ticks]
    return {float(tick): float(number) for tick, number in zip(ticks, numbers, strict=True)}


def _at_risk(axes: Axes, numbers: Mapping[float, float], window: float) -> None:
    axes.set_xticks(list(numbers))
    axes.text(-0.05, -0.205, "at risk", transform=axes.transAxes, ha="right", fontsize=8.5, color=GREY)
    for tick, number in numbers.items():
        axes.text(tick / window, -0.205, f"{number:.0f}", transform=axes.transAxes, ha="center", fontsize=8.5)


def forest(
    rows: Sequence[Mapping[str, Any] | None],
    labels: Sequence[str],
    *,
    title: str,
    xlabel: str,
    beside: Sequence[Mapping[str, Any] | None] = (),
    names: tuple[str, str] = ("adjusted", "unadjusted"),
) -> Figure | None:
    """Ratios with their intervals on a log axis; rows without an interval say why. None if there is nothing.

    Parameters
    ----------
    rows
        Result rows of ``estimate``, with a scale that ends in "ratio"; None: a heading, in bold.
    labels
        One for each row.
    beside
        A second estimate of each row, drawn below the first in grey.
    names
        What the two are, for the legend.
    """
    drawn = [row for row in (*rows, *beside) if row is not None]
    known = [row for row in drawn if _known(row)]
    if not known:
        return None
    step = 0.52 if beside else 0.36
    figure = Figure(figsize=(7.0, 1.3 + step * len(rows)))
    axes = figure.subplots()
    places = np.arange(len(rows))[::-1]
    limits = _range([row["ci_low"] for row in known], [row["ci_high"] for row in known])
    for k, (place, row) in enumerate(zip(places, rows, strict=True)):
        second = beside[k] if beside else None
        if row is not None:
            _ratio(axes, float(place) + (0.17 if second else 0.0), row, limits, BLUE)
        if second is not None:
            _ratio(axes, float(place) - 0.2, second, limits, GREY)
    axes.axvline(1.0, color=GREY, lw=0.9, ls="--", zorder=0)
    axes.set_xscale("log")
    axes.set_xlim(*limits)
    ticks = [t for t in (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if limits[0] <= t <= limits[1]]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.minorticks_off()
    axes.set_yticks(places, labels)
    for tick, row in zip(axes.get_yticklabels(), rows, strict=True):
        tick.set_fontweight("bold" if row is None else "normal")
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.tick_params(axis="y", length=0, pad=9)
    axes.set(xlabel=xlabel, title=title)
    axes.grid(axis="x", color=LIGHT, lw=0.6)
    if beside:
        marks = [Line2D([], [], color=colour, marker="s", ms=5, lw=1.4) for colour in (BLUE, GREY)]
        axes.legend(marks, names, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, fontsize=8.5)
    return figure


def _ratio(axes: Axes, place: float, row: Mapping[str, Any], limits: tuple[float, float], colour: str) -> None:
    """One estimate with its interval, an arrow where the interval leaves the axis, and the numbers to the right."""
    low, high = limits
    if not _known(row):
        words = STATUS_NOTES.get(row["status"], row["status"])
        axes.text(low, place, f" {words}", va="center", fontsize=8.5, color=GREY)
        return
    left, right = max(row["ci_low"], low), min(row["ci_high"], high)
    axes.plot([left, right], [place, place], color=colour, lw=1.4)
    for end, cut, mark in ((left, row["ci_low"] < low, "<"), (right, row["ci_high"] > high, ">")):
        axes.plot([end], [place], marker=mark if cut else "|", color=colour, ms=6 if cut else 7, clip_on=False)
    axes.plot([min(max(row["estimate"], low), high)], [place], marker="s", color=colour, ms=5, clip_on=False)
    text = f"{row['estimate']:.2f} ({row['ci_low']:.2f} to {row['ci_high']:.2f})"
    axes.text(1.02, place, text, transform=axes.get_yaxis_transform(), va="center", fontsize=8.5, color=colour)


def _known(row: Mapping[str, Any]) -> bool:
    return all(row[name] is not None and np.isfinite(row[name]) and row[name] > 0 for name in ("estimate", "ci_low", "ci_high"))


def _range(lows: Sequence[float], highs: Sequence[float]) -> tuple[float, float]:
    """Limits of the axis: the intervals with some room, at most 1/50 to 50; what is longer becomes an arrow."""
    return max(min(*lows, 0.8) / 1.25, 0.02), min(max(*highs, 1.25) * 1.25, 50.0)


def questionnaire_profile(frame: pd.DataFrame, *, title: str, ylabel: str, exposure: str) -> Figure | None:
    """Mean by visit with and without the exposure, one panel per instrument, patients below; None without any answer."""
    groups = [g for g in frame["group"].unique() if frame.loc[frame["group"] == g, "n"].sum() > 0]
    if not groups:
        return None
    figure = Figure(figsize=(4.2 * len(groups) + 1.4, 4.2))
    visits = sorted(frame["day"].unique())
    shift = 0.012 * (visits[-1] - visits[0] or 1)
    kinds = ((0, GREEN, f"before or without {exposure}", -shift), (1, ORANGE, f"after {exposure}", shift))
    for k, (axes, group) in enumerate(zip(np.atleast_1d(figure.subplots(1, len(groups), sharey=True)), groups, strict=True)):
        for exposed, colour, label, offset in kinds:
            mine = frame[(frame["group"] == group) & (frame["exposed"] == exposed)]
            rows = mine[mine["n"] > 0]
            half = np.nan_to_num((rows["ci_high"] - rows["ci_low"]).to_numpy(float) / 2)
            x, mean = rows["day"].to_numpy(float) + offset, rows["mean"].to_numpy(float)
            axes.errorbar(x, mean, yerr=half, color=colour, marker="o", ms=4.5, lw=1.4, capsize=3, label=label)
            level = -0.24 - 0.07 * exposed
            across = axes.get_xaxis_transform()
            for day, n in zip(mine["day"], mine["n"], strict=True):
                axes.text(day, level, f"{n}", transform=across, ha="center", fontsize=8.5, color=colour)
            if k == 0:
                axes.text(-0.06, level, label, transform=axes.transAxes, ha="right", fontsize=8.5, color=colour)
        axes.set(xlabel="days from infusion", title=str(group).removesuffix(" index"))
        axes.set_xticks(visits)
        axes.margins(x=0.12)
        axes.grid(axis="y", color=LIGHT, lw=0.6)
    figure.axes[0].set_ylabel(ylabel)
    figure.suptitle(title, x=0.02, ha="left", fontsize=11)
    figure.subplots_adjust(top=0.84, wspace=0.12)
    return figure


def cost_components(rows: Sequence[Mapping[str, Any]], *, title: str, currency: str) -> Figure | None:
    """Attributable cost by component with its interval and its number; None if nothing could be estimated."""
    known = [row for row in rows if row["estimate"] is not None and np.isfinite(row["estimate"])]
    if not known:
        return None
    figure = Figure(figsize=(7.0, 1.3 + 0.4 * len(known)))
    axes = figure.subplots()
    places = np.arange(len(known))[::-1]
    for place, row in zip(places, known, strict=True):
        whole = row["term"] == "total"
        axes.barh(place, row["estimate"], color=BLUE if whole else "#7FB8D9", height=0.6)
        text = f"{row['estimate']:,.0f}"
        if row["ci_low"] is not None and np.isfinite(row["ci_low"]) and np.isfinite(row["ci_high"]):
            axes.plot([row["ci_low"], row["ci_high"]], [place, place], color="black", lw=1.2, marker="|", ms=7)
            text += f" ({row['ci_low']:,.0f} to {row['ci_high']:,.0f})"
        axes.text(1.02, place, text, transform=axes.get_yaxis_transform(), va="center", fontsize=8.5)
    axes.axvline(0, color=GREY, lw=0.9)
    axes.set_yticks(places, [_COMPONENTS.get(row["term"], str(row["term"]).replace("_", " ")) for row in known])
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set(xlabel=f"{currency} per patient with the illness", title=title)
    axes.grid(axis="x", color=LIGHT, lw=0.6)
    return figure


_COMPONENTS = {"prophylaxis": "beside it: prophylaxis", "other": "beside it: other drugs"}
"""What the total does not hold."""


def flow_diagram(flow: Mapping[str, int], *, title: str) -> Figure:
    """Participant flow: enrolled, left out by reason, in the analysis, and how follow-up ended."""
    out = [(what.removeprefix("left out: "), n) for what, n in flow.items() if what.startswith("left out: ") and n]
    rest = [(what, n) for what, n in flow.items() if not what.startswith("left out: ") and what not in _STEPS]
    figure = Figure(figsize=(7.2, 2.6 + 0.28 * max(len(out), len(rest), 1)))
    axes = figure.subplots()
    axes.axis("off")
    axes.set(xlim=(0, 10), ylim=(0, 10), title=title)
    _box(axes, 3.0, 8.9, f"enrolled: {flow['enrolled']}")
    _arrow(axes, (3.0, 8.2), (3.0, 5.0))
    if out:
        _box(axes, 5.6, 6.6, "left out:\n" + "\n".join(f"{what}: {n}" for what, n in out), side="left")
        _arrow(axes, (3.0, 6.6), (5.4, 6.6))
    _box(axes, 3.0, 4.3, f"in the analysis: {flow['in the analysis']}")
    _arrow(axes, (3.0, 3.6), (3.0, 2.6))
    _box(axes, 3.0, 1.2, "\n".join(f"{'CMV' if what == 'cmv' else what}: {n}" for what, n in rest) or "-")
    return figure


_STEPS = ("enrolled", "in the analysis")


def _box(axes: Axes, x: float, y: float, text: str, *, side: Literal["center", "left"] = "center") -> None:
    look = {"boxstyle": "round,pad=0.5", "facecolor": "#F4F7FA", "edgecolor": GREY, "linewidth": 0.8}
    axes.text(x, y, text, ha=side, va="center", fontsize=9, bbox=look, zorder=3)


def _arrow(axes: Axes, start: tuple[float, float], stop: tuple[float, float]) -> None:
    axes.annotate("", xy=stop, xytext=start, arrowprops={"arrowstyle": "-|>", "color": GREY, "lw": 0.9})
