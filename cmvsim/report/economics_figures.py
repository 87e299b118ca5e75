"""Figures of an economic evaluation: plane, acceptability, losses, value of information, tornado, thresholds, costs.

They take names and plain arrays, so that every verb that evaluates strategies draws the same pictures.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cmvsim.core.records import FloatArray
from cmvsim.economics import DecisionCurves
from cmvsim.report.style import BLUE, GREEN, GREY, ORANGE

GRID = "#E5E5E5"
COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#56B4E9", "#E69F00", "#000000")
LINES = ("-", "--", "-.", ":")
Z95 = 1.959963984540054
MOST_POINTS = 2_000
MOST_BARS = 15
FLAT = 0.05
"""Share of the height of a plane below which a line of a threshold is on its axis."""
BOX: dict[str, Any] = {"frameon": True, "facecolor": "white", "edgecolor": "none", "framealpha": 0.9}


@dataclass(frozen=True, slots=True)
class Units:
    """What cost and effect are counted in, for the labels; empty where nobody said."""

    currency: str = ""
    effect: str = ""

    @property
    def threshold(self) -> str:
        """Of the axis of thresholds."""
        return f"threshold ({self.currency or 'cost'} per {self.effect or 'unit of effect'})"

    def money(self, what: str) -> str:
        """A label of money for each patient."""
        return f"{what} ({self.currency} per patient)" if self.currency else f"{what} per patient"


def short(value: float, _: object = None) -> str:
    """A number for an axis: 250, 30,000, 1.2 million."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:,.3g} million"
    return f"{round(value) + 0:,d}" if abs(value) >= 100 or value == round(value) else f"{value:.3g}"


def say(axes: Axes, text: str) -> None:
    """A sentence in the middle of a figure that has nothing to draw."""
    axes.text(
        *(0.5, 0.55, text),
        transform=axes.transAxes,
        ha="center",
        va="center",
        fontsize=9.5,
        color=GREY,
        bbox={"facecolor": "white", "edgecolor": GRID, "boxstyle": "round,pad=0.6"},
        zorder=9,
    )


def _look(k: int) -> dict[str, Any]:
    """Colour and line of the k-th strategy; lines change too, so that grey print tells them apart."""
    return {"color": COLOURS[k % len(COLOURS)], "ls": LINES[k % len(LINES)], "lw": 1.8}


def _axes(figure: Figure, *, x: str, y: str, title: str) -> Axes:
    axes: Axes = figure.subplots()
    axes.set(xlabel=x, ylabel=y, title=title)
    axes.grid(color=GRID, lw=0.6)
    axes.yaxis.set_major_formatter(short)
    axes.xaxis.set_major_formatter(short)
    axes.locator_params(axis="x", nbins=6)
    return axes


def legend_below(axes: Axes, columns: int = 3) -> None:
    """A legend that hides nothing: below the axes, whatever their height."""
    handles, labels = axes.get_legend_handles_labels()
    height = axes.get_position().height * axes.get_figure(root=True).get_size_inches()[1]  # type: ignore[union-attr]
    across = max(1, min(columns, len(labels), 80 // (max(map(len, labels), default=0) + 8)))
    labels = [textwrap.fill(label, 60) for label in labels]
    axes.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, -0.52 / height), ncols=across, fontsize=8.5)


def plane(names: Sequence[str], cost: FloatArray, effect: FloatArray, units: Units, thresholds: Sequence[float] = ()) -> Figure:
    """Cost-effectiveness plane: increments of every strategy against the first, (draws, strategies), with their means."""
    figure = Figure(figsize=(6.6, 4.6))
    title = f"Increments against {names[0]}"
    axes = _axes(
        figure,
        x=f"incremental effect{f' ({units.effect})' if units.effect else ''}",
        y=units.money("incremental cost"),
        title=title,
    )
    axes.axhline(0, color=GREY, lw=0.8)
    axes.axvline(0, color=GREY, lw=0.8)
    for k, name in enumerate(names[1:], start=1):
        gain, more = effect[:, k] - effect[:, 0], cost[:, k] - cost[:, 0]
        colour = _look(k)["color"]
        axes.scatter(gain[:MOST_POINTS], more[:MOST_POINTS], s=7, alpha=0.25, color=colour, lw=0, rasterized=True)
        axes.scatter(
            gain.mean(), more.mean(), s=70, marker="o", facecolor=colour, edgecolor="white", lw=1.4, zorder=5, label=name
        )
    gains, costs = effect[:MOST_POINTS] - effect[:MOST_POINTS, :1], cost[:MOST_POINTS] - cost[:MOST_POINTS, :1]
    left, right = _wide(gains)
    bottom, top = _wide(costs)
    if len(thresholds) and max(thresholds) * right < FLAT * top:
        _flat_lines(axes, thresholds, right, units.effect)
    else:
        _threshold_lines(axes, thresholds, (left, right), top)
        axes.set_title(axes.get_title(loc="left"), pad=36)  # the lines' labels are above the axes
    axes.set(xlim=(left, right), ylim=(bottom, top))
    legend_below(axes)
    return figure


def _flat_lines(axes: Axes, thresholds: Sequence[float], right: float, effect: str) -> None:
    """Lines of thresholds that lie on the axis at this scale: drawn as they are, with one label."""
    for threshold in thresholds:
        axes.plot([0, right], [0, threshold * right], color=GREY, lw=0.9, ls=":")
    ends = dict.fromkeys(short(end) for end in (min(thresholds), max(thresholds)))
    axes.annotate(
        f"worth it below the line of {' to '.join(ends)} per {effect or 'unit of effect'}: flat at this scale",
        (right, max(thresholds) * right),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        fontsize=7.5,
        color=GREY,
    )


def _threshold_lines(axes: Axes, thresholds: Sequence[float], limits: tuple[float, float], top: float) -> None:
    left, right = limits
    for threshold in thresholds:
        axes.plot([left, right], [threshold * left, threshold * right], color=GREY, lw=0.9, ls=":")
        reaches = min(right, top / threshold) if threshold > 0 else right
        axes.annotate(
            short(threshold),
            (reaches, threshold * reaches),
            xytext=(0, 3) if reaches < right else (3, 0),
            textcoords="offset points",
            ha="left",
            va="bottom" if reaches < right else "center",
            rotation=40 if reaches < right else 0,
            rotation_mode="anchor",
            fontsize=7.5,
            color=GREY,
        )


def _wide(values: FloatArray) -> tuple[float, float]:
    """Limits that show 99.8% of the points, and 0."""
    low, high = np.quantile(values, [0.001, 0.999])
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    edge = 0.05 * (high - low) or 1.0
    return low - edge, high + edge


def acceptability(names: Sequence[str], curves: DecisionCurves, units: Units) -> Figure:
    """Acceptability of each strategy with its 95% Monte Carlo band, and its frontier."""
    figure = Figure(figsize=(6.6, 4.4))
    smoothed = ", smoothed by regression" if curves.smoothed else ""
    axes = _axes(figure, x=units.threshold, y="probability of being best", title=f"Cost-effectiveness acceptability{smoothed}")
    for k, name in enumerate(names):
        value, error = curves.ceac[:, k], Z95 * curves.ceac_mcse[:, k]
        axes.fill_between(curves.thresholds, value - error, value + error, color=_look(k)["color"], alpha=0.15, lw=0)
        axes.plot(curves.thresholds, value, label=name, **_look(k))
    label = "frontier: the strategy with the highest expected net benefit"
    axes.plot(curves.thresholds, curves.ceaf, color="black", lw=0, marker="o", mfc="none", ms=6, label=label)
    axes.set_ylim(-0.02, 1.02)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    sole = [name for k, name in enumerate(names) if (curves.ceac[:, k] == 1).all()]
    if sole:
        say(
            axes,
            f"{sole[0]}\nis best in every draw at every threshold shown;\nall other strategies have probability 0 (on the "
            "axis)",
        )
    legend_below(axes, 2)
    return figure


def losses(names: Sequence[str], curves: DecisionCurves, units: Units) -> Figure:
    """Expected loss of each strategy; the lowest is the value of perfect information."""
    figure = Figure(figsize=(6.6, 4.4))
    axes = _axes(figure, x=units.threshold, y=units.money("expected loss"), title="Expected loss")
    for k, name in enumerate(names):
        axes.plot(curves.thresholds, curves.expected_loss[:, k], label=name, **_look(k))
    lowest = curves.expected_loss.min(axis=1)
    axes.plot(curves.thresholds, lowest, color="black", lw=0, marker="o", mfc="none", ms=6, label="lowest: EVPI")
    axes.set_ylim(bottom=0)
    legend_below(axes)
    return figure


def perfect_information(raw: DecisionCurves, smoothed: DecisionCurves | None, units: Units) -> Figure:
    """EVPI by threshold with its 95% Monte Carlo band; smoothed beside raw where inputs are known."""
    figure = Figure(figsize=(6.6, 4.2))
    title = "Expected value of perfect information"
    axes = _axes(figure, x=units.threshold, y=units.money("EVPI"), title=title)
    drawn = [("from the draws as they are", raw)]
    if smoothed is not None:
        drawn.append(("smoothed by regression on the inputs", smoothed))
    for k, (label, curves) in enumerate(drawn):
        low, high = curves.evpi - Z95 * curves.evpi_mcse, curves.evpi + Z95 * curves.evpi_mcse
        axes.fill_between(curves.thresholds, np.maximum(low, 0), high, color=_look(k)["color"], alpha=0.18, lw=0)
        axes.plot(curves.thresholds, curves.evpi, label=label, **_look(k))
    highest = max(float(curves.evpi.max()) for _, curves in drawn)
    if highest == 0:
        axes.set_ylim(0, 1)
        say(axes, "0 at every threshold shown:\nno draw makes another choice better")
    axes.set_ylim(bottom=0)
    legend_below(axes, 2)
    return figure


def partial_information(
    values: Mapping[str, FloatArray], errors: Mapping[str, FloatArray], thresholds: Sequence[float], units: Units
) -> Figure:
    """EVPPI bars of inputs and groups at some thresholds, one panel each, ordered by the first panel's largest.

    Parameters
    ----------
    values, errors
        By input: (thresholds,).
    """
    largest = {name: float(np.max(one, initial=0.0)) for name, one in values.items()}
    if not any(largest.values()):
        return _no_information(len(values), thresholds, units)
    order = sorted(values, key=lambda name: largest[name])[-MOST_BARS:]
    figure = Figure(figsize=(3.0 + 2.6 * len(thresholds), 1.4 + 0.28 * len(order)))
    panels = figure.subplots(1, len(thresholds), sharey=True, sharex=True, squeeze=False)[0]
    places = np.arange(len(order))
    for k, (axes, threshold) in enumerate(zip(panels, thresholds, strict=True)):
        width = [float(values[name][k]) for name in order]
        error = [Z95 * float(errors[name][k]) for name in order]
        low = [min(bar, one) for bar, one in zip(width, error, strict=True)]
        axes.barh(places, width, xerr=[low, error], color=BLUE, height=0.65, error_kw={"lw": 0.9, "ecolor": GREY})
        axes.set(yticks=places, yticklabels=order, title=f"at {short(threshold)}")
        axes.xaxis.set_major_formatter(short)
        axes.locator_params(axis="x", nbins=4)
        axes.grid(axis="x", color=GRID, lw=0.6)
        axes.tick_params(axis="y", length=0)
    panels[0].set_xlim(left=0)
    figure.suptitle(f"Value of learning an input exactly, by {units.threshold}", fontsize=11, x=0.02, ha="left")
    figure.supxlabel(f"{units.money('EVPPI')} and 95% interval", fontsize=10)
    figure.tight_layout()
    return figure


def _no_information(inputs: int, thresholds: Sequence[float], units: Units) -> Figure:
    """Said instead of drawn: bars of no length, of inputs in no order."""
    figure = Figure(figsize=(6.6, 2.0))
    axes = figure.subplots()
    axes.set(title=f"Value of learning an input exactly, by {units.threshold}", xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    say(
        axes,
        f"0 for each of {inputs} inputs and groups at {', '.join(map(short, thresholds))}:\nno draw makes another choice "
        "better",
    )
    return figure


def threshold_curves(
    names: Sequence[str],
    x: FloatArray,
    values: FloatArray,
    errors: FloatArray | None = None,
    *,
    xlabel: str,
    ylabel: str,
    title: str,
    marks: Mapping[str, float] | None = None,
    first: int = 0,
) -> Figure:
    """A value of each strategy over anything that varies: threshold, price, incidence.

    Parameters
    ----------
    values, errors
        (x, strategies), and their standard errors.
    marks
        Places on the x-axis by what they are, such as where two strategies are equal.
    first
        Place of the first name among all strategies, so that each keeps its colour.
    """
    figure = Figure(figsize=(6.6, 4.4))
    axes = _axes(figure, x=xlabel, y=ylabel, title=title)
    for k, name in enumerate(names):
        look = _look(k + first)
        if errors is not None:
            low, high = values[:, k] - Z95 * errors[:, k], values[:, k] + Z95 * errors[:, k]
            axes.fill_between(x, low, high, color=look["color"], alpha=0.15, lw=0)
        axes.plot(x, values[:, k], label=name, **look)
    if values.min() < 0 < values.max():
        axes.axhline(0, color=GREY, lw=0.8)
    for label, place in (marks or {}).items():
        axes.axvline(place, color=GREY, lw=0.9, ls="--")
        late = place > (x.min() + 2 * x.max()) / 3
        axes.annotate(
            f"{label}: {short(place)}",
            (place, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-4 if late else 4, -4),
            textcoords="offset points",
            ha="right" if late else "left",
            fontsize=8,
            color=GREY,
            va="top",
        )
    legend_below(axes)
    return figure


def cost_stack(names: Sequence[str], components: Mapping[str, Sequence[float]], units: Units) -> Figure:
    """Mean cost by component and strategy, stacked; components that are 0 throughout are left out.

    Parameters
    ----------
    components
        By label: one mean for each strategy, at least 0.
    """
    kept = {label: np.asarray(values, float) for label, values in components.items() if np.any(np.asarray(values, float) > 0)}
    figure = Figure(figsize=(7.0, 1.6 + 0.5 * len(names)))
    axes = figure.subplots()
    places, left = np.arange(len(names))[::-1], np.zeros(len(names))
    shades = (*COLOURS[:-1], "#999999", "#F0E442")
    for k, (label, values) in enumerate(kept.items()):
        axes.barh(places, values, left=left, color=shades[k % len(shades)], edgecolor="white", lw=0.6, height=0.6, label=label)
        left += values
    for place, total in zip(places, left, strict=True):
        axes.annotate(short(total), (total, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8.5)
    axes.set(yticks=places, yticklabels=list(names), xlabel=units.money("mean cost"), title="Cost by component")
    axes.xaxis.set_major_formatter(short)
    axes.grid(axis="x", color=GRID, lw=0.6)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.1)
    legend_below(axes)
    return figure
