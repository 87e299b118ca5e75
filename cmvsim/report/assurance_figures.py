"""Figures of an assurance: by sample size, and the distribution of power over the draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from cmvsim.core.records import FloatArray
from cmvsim.report.style import BLUE, GREY, ORANGE

Z95 = 1.959963984540054
FEW_STUDIES = 8
"""Studies of a draw up to which each share that can be seen has its tick."""


def by_size(results: Mapping[str, Any]) -> Figure:
    """Assurance and power by N, with their 95% Monte Carlo intervals."""
    rows = results["rows"]
    n = np.array([row["n"] for row in rows], dtype=np.float64)
    figure = Figure(figsize=(6.4, 4.0))
    axes = figure.subplots()
    for name, colour, label in (("power", GREY, "power at the scenario's numbers"), ("assurance", BLUE, "assurance")):
        y, error = (np.array([row[key] for row in rows], dtype=np.float64) for key in (name, f"{name}_mcse"))
        if n.size == 1:
            axes.errorbar(n, y, yerr=Z95 * error, color=colour, fmt="o", capsize=3, label=label)
            continue
        axes.fill_between(n, np.clip(y - Z95 * error, 0, 1), np.clip(y + Z95 * error, 0, 1), color=colour, alpha=0.2, lw=0)
        axes.plot(n, y, color=colour, lw=1.5, marker="o", ms=3.5, label=label)
    if results["probability"] is not None:
        axes.axhline(results["probability"], color=GREY, lw=1, ls="--", label="assurance wanted")
    answer = results["answer"]
    if answer is not None and answer["n"] is not None:
        axes.axvspan(answer["ci_low"], answer["ci_high"], color=ORANGE, alpha=0.2, lw=0)
        axes.axvline(answer["n"], color=ORANGE, lw=1.2, label=f"N = {answer['n']}")
    if n.size == 1:
        axes.set(xlim=(n[0] - 10, n[0] + 10), xticks=n)
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    patients = "evaluable patients, at most" if results["of_kind"] == "simon_two_stage" else "patients enrolled"
    axes.set(xlabel=patients, ylabel="studies that succeed", title=f"{results['label']}: assurance by sample size")
    axes.grid(axis="y", color="#E5E5E5", lw=0.6)
    axes.legend(fontsize=8.5)
    return figure


def distribution(results: Mapping[str, Any], shares: FloatArray) -> Figure:
    """Share of successes of each draw at the largest size, beside the fitted distribution of power."""
    row, studies = results["rows"][-1], results["studies_per_draw"]
    found = row["distribution"]
    figure = Figure(figsize=(6.4, 4.0))
    axes = figure.subplots()
    counts = np.arange(studies + 1)
    seen = np.bincount(np.round(shares * studies).astype(np.int64), minlength=studies + 1) / shares.size
    axes.bar(counts / studies, seen, width=0.8 / studies, color=BLUE, alpha=0.6, lw=0, label="draws")
    if found["alpha"] is not None and np.isfinite(found["alpha"]):
        fitted = stats.betabinom.pmf(counts, studies, found["alpha"], found["beta"])
        label = f"fitted (beta-binomial), SD of power {100 * found['sd']:.1f} points"
        axes.plot(counts / studies, fitted, color=ORANGE, marker="o", ms=4, lw=1.2, label=label)
    mean, own = row["assurance"], row["power"]
    axes.axvline(mean, color="black", lw=1.4, label=f"mean over the draws (assurance), {100 * mean:.1f}%")
    axes.axvline(own, color=GREY, lw=1.2, ls="--", label=f"power at the scenario's numbers, {100 * own:.1f}%")
    edge = max(0.5 / studies, 0.02)
    axes.set_xlim(-edge, 1 + edge)
    axes.set_xticks(counts / studies if studies <= FEW_STUDIES else np.linspace(0, 1, 6))
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")
    axes.set(
        xlabel=f"power: share of a draw's {studies} studies that succeed",
        ylabel=f"share of the {shares.size:,} draws",
        title=f"{results['label']}, N = {row['n']}: power over what is not known of the inputs",
    )
    axes.grid(axis="y", color="#E5E5E5", lw=0.6)
    axes.legend(fontsize=8.5, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    return figure
