"""Figures of designs with one tested arm, Simon's stages or interim looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from cmvsim.report.style import BLUE, GREEN, GREY, ORANGE

Z95 = 1.959963984540054
Series = Mapping[str, Sequence[float]]


def power_curve(pictured: Series, *, title: str, wanted: float | None, stable: int | None) -> Figure:
    """Power by patients enrolled, with its Monte Carlo band and the exact power at the mean number evaluable."""
    n, power, se = (np.asarray(pictured[name], float) for name in ("n", "power", "mcse"))
    figure = Figure(figsize=(6.4, 4.0))
    axes = figure.subplots()
    marker = "o" if n.size < 40 else None
    axes.fill_between(n, np.clip(power - Z95 * se, 0, 1), np.clip(power + Z95 * se, 0, 1), color=BLUE, alpha=0.25, lw=0)
    axes.plot(n, power, color=BLUE, lw=1.5, marker=marker, ms=3.5, label="simulated, 95% Monte Carlo band")
    if len(pictured["enumerated"]) == n.size:
        axes.plot(
            n, pictured["enumerated"], color=ORANGE, lw=1, marker=marker, ms=3, label="exact, at the mean number evaluable"
        )
    if wanted is not None:
        axes.axhline(wanted, color=GREY, lw=1, ls="--", label="wanted")
    if stable is not None:
        axes.axvline(stable, color=GREEN, lw=1.2, label=f"N = {stable}")
    if n.size == 1:
        axes.set_xlim(n[0] - 10, n[0] + 10)
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set(xlabel="patients enrolled", ylabel="power", title=title)
    axes.grid(axis="y", color="#E5E5E5", lw=0.6)
    axes.legend(loc="best", fontsize=8.5)
    return figure


def power_by_incidence(pictured: Series, found: Mapping[str, Any], *, title: str) -> Figure:
    """Power by the incidence among evaluable patients, with the fixed incidence and the one that was found."""
    x, power, se = (np.asarray(pictured[name], float) for name in ("incidence", "power", "mcse"))
    figure = Figure(figsize=(6.4, 4.0))
    axes = figure.subplots()
    axes.errorbar(x, power, yerr=Z95 * se, color=BLUE, lw=1.2, marker="o", ms=4, capsize=2, label="simulated, 95% Monte Carlo")
    axes.axhline(found["wanted"], color=GREY, lw=1, ls="--", label="power wanted")
    axes.axvline(found["null"], color=GREY, lw=1, ls=":", label=f"fixed incidence {100 * found['null']:g}%")
    if found["closed_form"] is not None:
        axes.plot([found["closed_form"]], [found["wanted"]], color=ORANGE, marker="D", ms=6, ls="", label="exact calculation")
    if found["confirmation"] is not None:
        point = found["confirmation"]
        axes.plot(
            [point["incidence"]], [point["power"]], color=GREEN, marker="s", ms=7, ls="", label="confirmed on new streams"
        )
    axes.set_ylim(0, 1.02)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")
    axes.set(xlabel="incidence among evaluable patients, mean over studies", ylabel="power", title=title)
    axes.grid(axis="y", color="#E5E5E5", lw=0.6)
    axes.legend(loc="best", fontsize=8.5)
    return figure


def enrolled_bars(pictured: Series, *, title: str) -> Figure:
    """How many patients are enrolled when a two-stage study ends."""
    figure = Figure(figsize=(6.4, 3.6))
    axes = figure.subplots()
    axes.bar(pictured["enrolled"], pictured["share"], width=1.0, color=BLUE)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set(xlabel="patients enrolled when the study ends", ylabel="share of studies", title=title)
    axes.grid(axis="y", color="#E5E5E5", lw=0.6)
    return figure


def looks(pictured: Mapping[str, Any], *, title: str) -> Figure:
    """Boundaries with the spread of Z at each look, and how studies end at each."""
    figure = Figure(figsize=(8.6, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.35, 1))
    t = np.asarray(pictured["information"], float)
    low, middle, high = (np.asarray(pictured[name], float) for name in ("z10", "z50", "z90"))
    left.errorbar(
        t, middle, yerr=(middle - low, high - middle), fmt="o", color=GREY, ms=4, capsize=3, label="Z, median and 80% range"
    )
    reached = np.isfinite(np.asarray(pictured["efficacy"], float))
    left.plot(
        t[reached], np.asarray(pictured["efficacy"], float)[reached], color=BLUE, marker="v", ms=5, label="efficacy boundary"
    )
    if len(pictured["futility"]) > 1:
        given = np.asarray(pictured["futility"], float)
        kept = np.isfinite(given)
        left.plot(t[kept], given[kept], color=ORANGE, marker="^", ms=5, label="futility boundary")
    left.axhline(0, color="#BBBBBB", lw=0.8)
    left.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    left.set(xlabel="events, share of the planned (mean)", ylabel="Z, positive for benefit", title=title)
    left.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, columnspacing=1, handletextpad=0.4)
    place = np.arange(t.size)
    below = np.zeros(t.size)
    claim, futile, against = (np.asarray(pictured[name], float) for name in ("claim", "futile", "against"))
    rest = np.zeros(t.size)
    rest[-1] = max(0.0, 1 - claim.sum() - futile.sum() - against.sum())
    for share, colour, name in (
        (claim, BLUE, "benefit"),
        (futile, ORANGE, "futility"),
        (against, GREEN, "harm"),
        (rest, GREY, "nothing shown"),
    ):
        if share.max() > 0.0005:
            right.bar(place, share, bottom=below, color=colour, width=0.65, label=name)
            below += share
    names = [f"look {k + 1}" for k in range(t.size - 1)] + ["final"]
    right.set_xticks(place, names)
    right.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    right.set(ylabel="share of all studies", title="How studies end", ylim=(0, 1.06 * float(below.max())))
    right.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=4, columnspacing=0.8, handletextpad=0.4)
    return figure
