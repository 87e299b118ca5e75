"""Figures of simulated programmes: turnaround and time to treatment, and occupancy over time with its limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cmvsim.core.records import FloatArray
from cmvsim.report.style import BLUE, GREY, ORANGE

MONTH = 365.25 / 12
NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
GRID = "#E5E5E5"
Tree = Mapping[str, Any]
Line = tuple[FloatArray, FloatArray]
"""Times and values of a step function."""


def turnaround_figure(tree: Tree, turnaround: Mapping[str, FloatArray], delay: Mapping[str, FloatArray]) -> Figure:
    """Turnaround: its distribution, by day of the week, over time; and what it does to the start of treatment.

    Parameters
    ----------
    tree
        Of :func:`cmvsim.planning.programme.tree`.
    turnaround, delay
        Days of all samples, and from decisive samples to treatment, by arm; the first arm is the one of interest.
    """
    figure = Figure(figsize=(9.6, 6.6), layout="constrained")
    (results, treatment), (week, time) = figure.subplots(2, 2)
    _shares(results, turnaround, "days from sample to result", "results there")
    _shares(treatment, delay, "days from decisive sample to treatment", "treatments begun")
    results.legend(loc="lower right", fontsize=8.5)
    days = [day["turnaround_mean"] or 0.0 for day in tree["weekdays"]]
    week.bar(range(7), days, color=BLUE, width=0.7)
    for place, day in enumerate(tree["weekdays"]):
        samples = day["samples"] / max(sum(other["samples"] for other in tree["weekdays"]), 1)
        week.annotate(f"{samples:.0%}", (place, days[place]), ha="center", va="bottom", fontsize=8, color=GREY)
    week.set_xticks(range(7), NAMES)
    week.set(ylabel="mean days to result", xlabel="day of the sample (above: share of samples)", ylim=(0, 1.15 * max(days)))
    _over_time(time, tree)
    figure.suptitle("Turnaround of CMV results", x=0.01, ha="left", fontsize=12)
    return figure


def _shares(axes: Axes, values: Mapping[str, FloatArray], xlabel: str, ylabel: str) -> None:
    longest = 0.0
    for (name, days), colour, style in zip(values.items(), (BLUE, ORANGE), ("-", "--"), strict=False):
        if not days.size:
            continue
        ordered = np.concatenate([[0.0], np.sort(days), [2.0 * days.max() + 10]])
        share = np.minimum(np.arange(ordered.size) / days.size, 1.0)
        axes.step(ordered, share, where="post", color=colour, ls=style, lw=1.6, label=name)
        longest = max(longest, float(np.quantile(days, 0.999)))
    axes.set(xlabel=xlabel, ylabel=ylabel, xlim=(0, 1.1 * max(longest, 1.0)), ylim=(0, 1.02))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.grid(axis="y", color=GRID, lw=0.6)


def _over_time(axes: Axes, tree: Tree) -> None:
    """Turnaround by month of the sample: mean, and within how many days 90% of results come."""
    shown = "shared" if "laboratory" in tree["limited"] else "planned"
    rows = [row for row in tree["months"] if row[f"turnaround_{shown}_mean"] is not None]
    month = [row["month"] - 0.5 for row in rows]
    axes.plot(month, [row[f"turnaround_{shown}_q90"] for row in rows], color=GREY, ls="", marker="_", label="90% within")
    axes.plot(month, [row[f"turnaround_{shown}_mean"] for row in rows], color=BLUE, marker="o", ms=3, label="mean")
    if shown == "shared":
        axes.axhline(tree["planned_turnaround"], color=ORANGE, ls="--", lw=1.6, label="as planned")
    top = max((row[f"turnaround_{shown}_q90"] for row in rows), default=1.0)
    axes.set(xlabel="months from the start of the study", ylabel="days from sample to result", ylim=(0, 1.35 * top))
    axes.grid(axis="y", color=GRID, lw=0.6)
    axes.legend(loc="upper right", fontsize=8.5, ncols=3)


def occupancy_figure(tree: Tree, example: Mapping[str, Line]) -> Figure:
    """Beds taken and samples waiting over time: one simulated study, the mean over studies, and the limit.

    Parameters
    ----------
    tree
        Of :func:`cmvsim.planning.programme.tree`.
    example
        Step functions of one study: "ward_occupied", "ward_of_study", "icu_occupied", "icu_of_study"; and "runs", the start and
        the samples of each.
    """
    panels = [("ward", "haematology beds"), ("icu", "intensive-care beds")]
    panels += [("run", "samples in a run")] if example["runs"][0].size else []
    figure = Figure(figsize=(8.8, 2.4 * len(panels) + 0.6), layout="constrained")
    axes = np.atleast_1d(figure.subplots(len(panels), 1, sharex=True))
    half = 0.5 * max(row["studies"] for row in tree["months"])
    rows = [row for row in tree["months"] if row["studies"] >= half]  # later means are of the few studies that still go on
    month = [row["month"] - 0.5 for row in rows]
    end = max((row["month"] for row in rows), default=1)
    for place, (name, words) in zip(axes, panels, strict=True):
        if name == "run":
            _runs(place, example["runs"])
            place.plot(month, [row["samples_per_run"] for row in rows], color=BLUE, lw=2, label="all samples")
            _limit(place, tree["batch"], "room for {:.0f}")
        else:
            for key, label, colour in (("occupied", "taken", BLUE), ("of_study", "by patients of the study", ORANGE)):
                times, values = example[f"{name}_{key}"]
                place.step(times / MONTH, values, where="post", color=colour, lw=0.6, alpha=0.45)
                place.plot(month, [row[f"{name}_{key}"] for row in rows], color=colour, lw=2, label=label)
            _limit(place, tree["beds"][name], "{:.0f} beds")
        place.set(ylabel=words, xlim=(0, end))
        place.set_ylim(0, 1.08 * place.get_ylim()[1])
        place.grid(axis="y", color=GRID, lw=0.6)
        place.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8.5)
    axes[-1].set_xlabel("months from the start of the study")
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 3, 6, 10]))
    figure.suptitle("Occupancy: one simulated study (thin), mean of studies by month (thick)", x=0.01, ha="left", fontsize=12)
    return figure


def _runs(axes: Axes, runs: Line) -> None:
    start, size = runs
    inside = start >= 0
    axes.plot(start[inside] / MONTH, size[inside], color=BLUE, ls="", marker=".", ms=2.5, alpha=0.5)


def _limit(axes: Axes, limit: float | None, words: str) -> None:
    if limit is not None:
        axes.axhline(limit, color=GREY, ls="--", lw=1, label=words.format(limit))


def pooled(columns: Sequence[FloatArray]) -> FloatArray:
    """Values of all studies together."""
    return np.concatenate(columns) if columns else np.empty(0)
