"""Figures of recruitment: enrolment over time with its prediction band, and the distribution of the duration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cmvsim.core.records import FloatArray
from cmvsim.designs.closed_forms.accrual import Accrual, PoissonAccrual, PoissonGammaAccrual
from cmvsim.models.accrual import DAYS_PER_MONTH
from cmvsim.report.accrual_text import calendar, largest, value
from cmvsim.report.style import BLUE, GREEN, GREY, ORANGE

GRID = "#E5E5E5"
BINS = 40
LONGEST = 3.0
"""Times the median duration at which the axis ends, where a few studies take far longer."""
BOX: dict[str, Any] = {"frameon": True, "facecolor": "white", "edgecolor": "none", "framealpha": 0.9}
"""Behind a legend: a date asked for may pass anywhere."""


def enrolment_curve(results: Mapping[str, Any]) -> Figure:
    """Patients enrolled over time: median, 80% and 95% bands, closed form; below it the sites that are open."""
    curve, told, n = results["curve"], results["recruitment"], largest(results)
    month = np.array([point["day"] for point in curve]) / DAYS_PER_MONTH
    columns = {key: np.array([point[key] for point in curve], dtype=np.float64) for key in curve[0] if key != "date"}
    recruited = told["recruited"][str(n)]
    figure = Figure(figsize=(6.6, 5.6))
    axes, below = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": (3.2, 1), "hspace": 0.12})
    axes.fill_between(month, columns["low95"], columns["high95"], color=BLUE, alpha=0.15, lw=0, label="95% of studies")
    axes.fill_between(month, columns["low80"], columns["high80"], color=BLUE, alpha=0.25, lw=0, label="80% of studies")
    axes.plot(month, columns["median"], color=BLUE, lw=1.8, label="median")
    axes.plot(
        *_straight(told["per_month"], recruited, month[-1]), color=ORANGE, lw=1.4, ls="--", label="all sites open at once"
    )
    axes.axhline(recruited, color=GREY, lw=0.9, ls=":")
    axes.set(ylabel="patients enrolled", ylim=(0, 1.07 * recruited), title=f"Enrolment of {recruited} patients")
    below.plot(month, columns["sites"], color=GREEN, lw=1.6)
    total = sum(group["count"] for group in told["sites"].values())
    start = calendar(0.0, told["start"], "en")
    below.set(ylabel="sites open", ylim=(0, 1.1 * total), xlabel=f"months from the start{f' ({start})' if start else ''}")
    _deadline(told, (axes, below))
    full = np.flatnonzero(columns["low95"] >= recruited)
    asked = 0.0 if told["by"] is None else told["by"] / DAYS_PER_MONTH
    axes.set_xlim(0, max(1.04 * month[full[0]] if full.size else month[-1], 1.04 * asked))
    for panel in (axes, below):
        panel.grid(axis="y", color=GRID, lw=0.6)
    axes.legend(loc="lower right", fontsize=8.5, **BOX)
    figure.align_ylabels()
    return figure


def _straight(per_month: float, recruited: int, last: float) -> tuple[list[float], list[float]]:
    """The mean of the constant-rate law up to the last patient."""
    end = min(recruited / per_month, last)
    return [0.0, end], [0.0, per_month * end]


def _deadline(told: Mapping[str, Any], panels: tuple[Axes, ...]) -> None:
    if told["by"] is None:
        return
    for index, panel in enumerate(panels):
        panel.axvline(told["by"] / DAYS_PER_MONTH, color=GREY, lw=1.1, label=f"day {told['by']:g}" if index == 0 else None)


def duration_distribution(results: Mapping[str, Any], duration: FloatArray) -> Figure:
    """How long recruitment takes: share of simulated studies by month, and the two closed forms."""
    told, n = results["recruitment"], largest(results)
    recruited = told["recruited"][str(n)]
    known = duration[np.isfinite(duration)] / DAYS_PER_MONTH
    figure = Figure(figsize=(6.4, 4.0))
    axes = figure.subplots()
    laws = _laws(told)
    edges = _edges(known, laws, recruited)
    width = edges[1] - edges[0]
    share = np.histogram(known, edges)[0] / duration.size / width
    axes.bar(edges[:-1], share, width=width, align="edge", color=BLUE, alpha=0.45, lw=0, label="simulated")
    fine = np.linspace(edges[0], edges[-1], 400)
    for (label, law), (color, style) in zip(laws, ((ORANGE, "--"), (GREEN, "-.")), strict=False):
        chance = np.array([law.probability(recruited, time) for time in fine])
        axes.plot((fine[1:] + fine[:-1]) / 2, np.diff(chance) / np.diff(fine), color=color, lw=1.4, ls=style, label=label)
    median = value(results, n, "duration_quantile", 0.5)
    if math.isfinite(median):
        axes.axvline(median / DAYS_PER_MONTH, color=BLUE, lw=1.4, label=f"median {median / DAYS_PER_MONTH:.1f} months")
    _deadline(told, (axes,))
    missed = 1 - known.size / duration.size
    title = f"Time to enrol {recruited} patients" + (f"; not reached in {missed:.0%} of studies" if missed > 0 else "")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="months from the start", ylabel="probability per month", title=title, xlim=(edges[0], edges[-1]))
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.grid(axis="y", color=GRID, lw=0.6)
    axes.legend(loc="best", fontsize=8.5, **BOX)
    return figure


def _edges(known: FloatArray, laws: list[tuple[str, Accrual]], recruited: int) -> FloatArray:
    """Edges of the bins: whole months that hold the simulated studies and the bulk of the closed forms."""
    ends = [law.time_quantile(recruited, level) for _, law in laws for level in (0.002, 0.998)]
    centre = float(np.median(known)) if known.size else laws[0][1].time_quantile(recruited, 0.5)
    drawn = np.append(known, ends)
    low, high = math.floor(drawn.min()), math.ceil(min(float(np.quantile(drawn, 0.999)), LONGEST * centre))
    return np.linspace(low, max(high, low + 1), BINS + 1)


def _laws(told: Mapping[str, Any]) -> list[tuple[str, Accrual]]:
    """The closed forms with all sites open at once, per month."""
    groups = told["sites"].values()
    found: list[tuple[str, Accrual]] = [("all sites open at once, equal", PoissonAccrual(told["per_month"]))]
    if any(g["between_sites_cv"] > 0 for g in groups):
        columns = (tuple(g[key] for g in groups) for key in ("count", "per_month", "between_sites_cv"))
        found.append(("all open at once, rates differ", PoissonGammaAccrual.of_sites(*columns)))
    return found
