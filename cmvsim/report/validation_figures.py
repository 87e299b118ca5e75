"""Figures of a validation: zip plot and coverage; the nested-loop plot is in :mod:`cmvsim.report.nested_loop`.

Zip plot and dots with their Monte Carlo intervals: Morris, White and Crowther (2019), Stat Med 38:2074, figures 4 to 6.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from cmvsim.core.records import BoolArray, FloatArray
from cmvsim.planning.validation import ZipData
from cmvsim.report.estimate_words import SCALES
from cmvsim.report.nested_loop import nested_loop
from cmvsim.report.style import BLUE, GREY, ORANGE
from cmvsim.report.validation_lines import Line, lines_of, several_terms, spread

Z95 = 1.959963984540054
LIGHT = "#E5E5E5"
SIZE_COLOURS = ("#7FB8DE", "#2F7FB8", "#0B4F8A", "#06264A")  # one hue, darker with N: survives grey print
MARKERS = ("o", "s", "^", "D")
MOST_INTERVALS = 1500
"""Drawn in one panel of a zip plot: evenly spaced ones of all, or the lines merge."""
MOST_PANELS = 4
MOST_SIZES = 4
MOST_LINES = 24
LOWEST = 0.8
"""Coverage below which a dot becomes an arrow at the edge, so that one bad analysis does not flatten the others."""


def zip_plot(panels: Sequence[ZipData], *, title: str, level: float, what: str, scale: str) -> Figure:
    """Each replicate's confidence interval, those farthest from the truth on top; a panel for each sample size.

    A valid interval changes colour in the grey band about the nominal level, as often on the left as on the right.

    Parameters
    ----------
    what
        The estimator in words.
    scale
        Its scale, which names and formats the horizontal axis.
    """
    shown = spread(panels, MOST_PANELS)
    figure = Figure(figsize=(max(5.6, 1.6 + 2.5 * len(shown)), 4.6), layout="constrained")
    row: Sequence[Axes] = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    limits = _limits(shown)
    for axes, panel in zip(row, shown, strict=True):
        _zip_panel(axes, panel, level, limits, scale)
    row[0].set_ylabel("studies, ranked by distance from the truth (%)")
    term = panels[0].key.term
    figure.suptitle(
        f"{title}\n{level:.0%} confidence intervals, {what}{': ' + term if term else ''}", x=0.01, ha="left", fontsize=11
    )
    unit = " (log scale)" if panels[0].link == "log" else ""
    row[0].set_xlabel(f"{SCALES.get(scale, scale)}{unit}", loc="left")
    handles = [
        Line2D([], [], color=BLUE, lw=2, label="holds the truth"),
        Line2D([], [], color=ORANGE, lw=2, label="misses it"),
        Line2D([], [], color="black", lw=1, label="truth"),
        Patch(color=GREY, alpha=0.35, lw=0, label=f"nominal {level:.0%}, with 95% Monte Carlo band"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8.5)
    return figure


def _limits(panels: Sequence[ZipData]) -> tuple[float, float]:
    """One horizontal axis for all panels, which the outermost intervals may leave."""
    lows, highs = [], []
    for panel in panels:
        left, right = _drawn(panel.low, panel.link), _drawn(panel.high, panel.link)
        lows += list(np.quantile(left[np.isfinite(left)], [0.02])) if np.isfinite(left).any() else []
        highs += list(np.quantile(right[np.isfinite(right)], [0.98])) if np.isfinite(right).any() else []
    truth = float(_drawn(np.array(panels[0].truth), panels[0].link))
    low, high = min([*lows, truth]), max([*highs, truth])
    if not high > low:  # nothing to draw, or intervals of no width
        return low - 1.0, high + 1.0
    return low - 0.03 * (high - low), high + 0.03 * (high - low)


def _drawn(values: FloatArray, link: str) -> FloatArray:
    if link != "log":
        return values
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(values))


def _zip_panel(axes: Axes, panel: ZipData, level: float, limits: tuple[float, float], scale: str) -> None:
    low, high, middle = (_drawn(column, panel.link) for column in (panel.low, panel.high, panel.estimate))
    truth = float(_drawn(np.array(panel.truth), panel.link))
    covered = (low <= truth) & (truth <= high)
    # In units of the arm of the interval that points to the truth: above 1 it is missed, whatever the asymmetry.
    arm = np.where(middle > truth, middle - low, high - middle)
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.where(arm > 0, np.abs(middle - truth) / arm, np.inf)
    order = np.argsort(distance, kind="stable")
    centile = 100 * (np.arange(order.size) + 0.5) / max(order.size, 1)
    step = max(1, order.size // MOST_INTERVALS)
    picked, at = order[::step], centile[::step]
    ends = np.clip(np.stack([low[picked], high[picked]], axis=1), limits[0] - 1, limits[1] + 1)
    segments = np.stack([ends, np.repeat(at[:, np.newaxis], 2, axis=1)], axis=2)
    colours = np.where(covered[picked], BLUE, ORANGE)
    axes.add_collection(LineCollection(list(segments), colors=list(colours), linewidths=0.7))
    axes.axvline(truth, color="black", lw=1.0)
    band = 100 * Z95 * math.sqrt(level * (1 - level) / max(order.size, 1))
    axes.axhspan(100 * level - band, min(100 * level + band, 100), color=GREY, alpha=0.35, lw=0, zorder=3)
    axes.set(xlim=limits, ylim=(0, 100))
    axes.set_title(f"N = {panel.n}: {_covered(covered)}", fontsize=9.5)
    axes.tick_params(labelsize=9)
    if panel.link == "log":
        _log_ticks(axes, limits)
    elif scale in ("probability", "risk_difference"):
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g}%"))
        axes.locator_params(axis="x", nbins=5)


def _covered(covered: BoolArray) -> str:
    """Share of intervals that hold the truth, with its Monte Carlo standard error."""
    if not covered.size:
        return "no interval"
    share = float(covered.mean())
    return f"{100 * share:.1f}% cover it\n(Monte Carlo SE {100 * math.sqrt(share * (1 - share) / covered.size):.1f})"


def _log_ticks(axes: Axes, limits: tuple[float, float]) -> None:
    """Ratios at their logs; at most six of them."""
    ladder = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]
    inside = [ratio for ratio in ladder if limits[0] <= np.log(ratio) <= limits[1]]
    if len(inside) < 3:
        inside = [
            ratio for ratio in (0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.4, 1.6, 2) if limits[0] <= np.log(ratio) <= limits[1]
        ]
        inside = spread(inside, 6)
    while len(inside) > 6:
        inside = [ratio for ratio in inside if ratio == 1 or inside.index(ratio) % 2 == inside.index(1) % 2]
        if len(inside) <= 6 or 1 not in inside:
            break
        ladder = inside
    axes.xaxis.set_major_locator(FixedLocator([float(np.log(ratio)) for ratio in inside]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{np.exp(value):g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def of_endpoint(results: Mapping[str, Any], name: str) -> dict[str, Figure]:
    """Coverage, and the nested loop over scenarios and N, of one endpoint; none where nothing has a truth."""
    lines = lines_of(results, name)
    if not lines:
        return {}
    made = {"coverage": coverage(results, lines, name)}
    if len(results["sizes"]) * len(results["scenarios"]) > 1:
        made["nested-loop"] = nested_loop(results, lines, name)
    return made


def coverage(results: Mapping[str, Any], lines: Sequence[Line], name: str) -> Figure:
    """Coverage of each analysis with its 95% Monte Carlo interval: a line of dots for each, a panel for each scenario."""
    scenarios = [item["id"] for item in results["scenarios"]]
    panels, sizes, drawn = spread(scenarios, MOST_PANELS), spread(results["sizes"], MOST_SIZES), list(lines[:MOST_LINES])
    places, heads = _places(drawn)
    wide = max(line.label.count("\n") for line in drawn) + 1
    bottom = max(places, default=0.0)
    figure = Figure(figsize=(3.4 + 2.7 * len(panels), 1.7 + (0.42 + 0.1 * (wide > 2)) * (bottom + 1)), layout="constrained")
    row: Sequence[Axes] = figure.subplots(1, len(panels), sharey=True, sharex=True, squeeze=False)[0]
    level, allowed = results["level"], _tolerated(results)
    low = _lowest(drawn, level, results["replicates"])
    for axes, scenario in zip(row, panels, strict=True):
        _band(axes, level, results["replicates"], allowed)
        for place, line in zip(places, drawn, strict=True):
            _dots(axes, line, scenario, sizes, place, low)
        axes.set(xlim=(low, 1.006), title=scenario)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g}%"))
        axes.locator_params(axis="x", nbins=5)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    names = [*(line.label for line in drawn), *(textwrap.fill(head, 42) for head in heads)]
    row[0].set_yticks([*places, *heads.values()], names, fontsize=8.5)
    for label in row[0].get_yticklabels()[len(places) :]:
        label.set(fontweight="bold")
    row[0].set_ylim(bottom + 0.6, min([*heads.values(), *places]) - 0.6)
    title = f"{results['labels'][name]}: coverage of {level:.0%} confidence intervals{_left_out(results, lines, name)}"
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    row[0].set_xlabel("coverage, with 95% Monte Carlo interval", loc="left", fontsize=9)
    _size_legend(figure, sizes, level)
    return figure


def _places(lines: Sequence[Line]) -> tuple[list[float], dict[str, float]]:
    """Heights of the lines and of the headings of their groups; headings only if there are several groups."""
    several = len({line.group for line in lines}) > 1
    places: list[float] = []
    heads: dict[str, float] = {}
    at = 0.0
    for line in lines:
        if several and line.group not in heads:
            heads[line.group] = at
            at += 0.75
        places.append(at)
        at += 1.0
    return places, heads


def _dots(axes: Axes, line: Line, scenario: str, sizes: Sequence[int], place: float, low: float) -> None:
    """One dot for each N; an arrow at the edge with its figure where it lies beyond."""
    for rank, n in enumerate(sizes):
        found = line.values["coverage"].get((scenario, n))
        if found is None:
            continue
        value, mcse = found
        at = place + 0.62 * ((rank + 0.5) / len(sizes) - 0.5)
        colour = SIZE_COLOURS[rank + (MOST_SIZES - len(sizes)) * (rank > 0)]
        if value < low:
            axes.plot([low], [at], marker="<", color=colour, ms=5, clip_on=False)
            axes.annotate(f"{100 * value:.0f}%", (low, at), xytext=(6, 0), textcoords="offset points", va="center", fontsize=7)
        else:
            bar = [[Z95 * mcse], [min(Z95 * mcse, 1 - value)]]  # coverage ends at 1
            axes.errorbar(value, at, xerr=bar, color=colour, marker=MARKERS[rank], ms=4.2, lw=1.1, zorder=3)


def _band(axes: Axes, level: float, replicates: int, allowed: float) -> None:
    half = Z95 * math.sqrt(level * (1 - level) / replicates)
    axes.axvspan(level - half, min(level + half, 1.0), color=LIGHT, lw=0)
    axes.axvline(level, color=GREY, lw=1, ls="--")
    axes.axvline(allowed, color=ORANGE, lw=1, ls=":")


def _lowest(lines: Sequence[Line], level: float, replicates: int) -> float:
    """Left end of the axis."""
    found = [value for line in lines for value in line.values["coverage"].values()]
    ends = [value - Z95 * mcse for value, mcse in found if value >= LOWEST]
    ends.append(level - 1.5 * Z95 * math.sqrt(level * (1 - level) / replicates))
    return max(min([*ends, *(LOWEST for value, _ in found if value < LOWEST)]) - 0.005, 0.0)


def _tolerated(results: Mapping[str, Any]) -> float:
    return float(next(item["low"] for item in results["tolerances"] if item["measure"] == "coverage"))


def _size_legend(figure: Figure, sizes: Sequence[int], level: float) -> None:
    handles: list[Any] = [
        Line2D(
            [], [], color=SIZE_COLOURS[rank + (MOST_SIZES - len(sizes)) * (rank > 0)], marker=MARKERS[rank], label=f"N = {n}"
        )
        for rank, n in enumerate(sizes)
    ]
    handles += [
        Line2D([], [], color=GREY, ls="--", label=f"nominal {level:.0%}"),
        Patch(color=LIGHT, label="its 95% Monte Carlo band"),
        Line2D([], [], color=ORANGE, ls=":", label="least tolerated"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8.5)


def _left_out(results: Mapping[str, Any], lines: Sequence[Line], name: str) -> str:
    """What the figure does not show, on a line of its own."""
    parts = []
    if several_terms(results, name):
        parts.append("the first term of each estimator")
    for what, all_of, most in (
        ("analyses", lines, MOST_LINES),
        ("sample sizes", results["sizes"], MOST_SIZES),
        ("scenarios", results["scenarios"], MOST_PANELS),
    ):
        if len(all_of) > most:
            parts.append(f"{most} of {len(all_of)} {what}")
    return f"\n({', '.join(parts)}; all in rows.csv)" if parts else ""
