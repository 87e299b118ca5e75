"""Tornado: what each input does to the increment of net benefit, the longest bar first."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cmvsim.economics.psa import TornadoBar
from cmvsim.report.economics_figures import GRID, MOST_BARS, Units, legend_below, short
from cmvsim.report.style import GREY

LOW, HIGH = "#6A51A3", "#FDB863"
"""Ends of an input: colours of no strategy, told apart by colour-blind readers and in grey."""


def tornado_figure(
    bars: Sequence[TornadoBar],
    units: Units,
    *,
    names: Mapping[str, str] | None = None,
    ends: Callable[[float, str], str] = lambda value, _: two_digits(value),
    title: str = "",
) -> Figure:
    """Tornado on the increment of net benefit at one threshold.

    Parameters
    ----------
    names
        Of the inputs, where they have other names than their ids.
    ends
        A value of an input, by its id, as text.
    title
        In place of the strategies' names.
    """
    shown_names = names or {}
    shown = list(bars[:MOST_BARS])[::-1]
    first = bars[0]
    figure = Figure(figsize=(7.0, 1.5 + 0.32 * len(shown)))
    axes = figure.subplots()
    for place, bar in enumerate(shown):
        both = bar.net_benefit
        for end, colour in zip(both, (LOW, HIGH), strict=True):
            axes.barh(place, end - bar.mean, left=bar.mean, color=colour, height=0.6)
        for end, value, other in zip(both, bar.at, both[::-1], strict=True):
            _label(axes, end, other, bar.mean, place, ends(value, bar.parameter))
    axes.axvline(first.mean, color="black", lw=0.9)
    axes.axvline(0, color=GREY, lw=0.9, ls="--")
    axes.set(
        yticks=range(len(shown)),
        yticklabels=[textwrap.fill(shown_names.get(bar.parameter, bar.parameter), 42) for bar in shown],
        xlabel=units.money("incremental net benefit"),
        title=title or f"{first.strategy} against {first.against} at {short(first.threshold)}",
    )
    axes.bar(0, 0, color=LOW, label="input at its 2.5% quantile")
    axes.bar(0, 0, color=HIGH, label="at its 97.5% quantile")
    axes.xaxis.set_major_formatter(short)
    axes.locator_params(axis="x", nbins=6)
    axes.grid(axis="x", color=GRID, lw=0.6)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.12)
    legend_below(axes)
    return figure


def two_digits(value: float) -> str:
    """As many digits as an axis needs: 1,200, 28, 0.49."""
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2g}"


def _label(axes: Axes, end: float, other: float, mean: float, place: int, text: str) -> None:
    """The input's value beside the end of its bar; with both ends on one side of the mean, the shorter's is opposite."""
    right = end > other
    beside = end
    if (end - mean) * (other - mean) > 0 and abs(end - mean) < abs(other - mean):
        beside = mean
    axes.annotate(
        text,
        (beside, place),
        xytext=(4 if right else -4, 0),
        textcoords="offset points",
        ha="left" if right else "right",
        va="center",
        fontsize=7.5,
        color=GREY,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
    )
