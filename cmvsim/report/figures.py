"""Figures of a power run: precision by sample size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from cmvsim.report.style import BLUE, GREY, ORANGE

Z95 = 1.959963984540054


def curve_with_band(
    sizes: Sequence[int],
    values: Sequence[float],
    mcse: Sequence[float],
    *,
    ylabel: str,
    title: str,
    target: float | None = None,
    answer: tuple[int, float, float] | None = None,
    confirmed: Sequence[tuple[int, float, float]] = (),
    percent: bool = False,
) -> Figure:
    """A measure by sample size with its 95% Monte Carlo band.

    Parameters
    ----------
    target
        Horizontal line that the measure is to reach.
    answer
        N found, and the interval of the search.
    confirmed
        N, value and Monte Carlo standard error in new studies.
    """
    x, y, se = np.asarray(sizes, float), np.asarray(values, float), np.asarray(mcse, float)
    figure = Figure(figsize=(6.4, 4.0))
    axes = figure.subplots()
    low, high = y - Z95 * se, y + Z95 * se
    if percent:
        low, high = np.clip(low, 0, 1), np.clip(high, 0, 1)
    if x.size == 1:  # a band of no width would not be seen
        axes.vlines(x, low, high, color=BLUE, alpha=0.4, lw=5, label="95% Monte Carlo interval")
    else:
        axes.fill_between(x, low, high, color=BLUE, alpha=0.25, lw=0, label="95% Monte Carlo interval")
    axes.plot(x, y, color=BLUE, lw=1.5, marker="o", ms=3.5, label="simulated" if answer is None else "simulated (search)")
    if target is not None:
        axes.axhline(target, color=GREY, lw=1, ls="--", label="target")
    if answer is not None:
        n, n_low, n_high = answer
        axes.axvspan(n_low, n_high, color=ORANGE, alpha=0.2, lw=0, label="where the search puts N (95%)")
        axes.axvline(n, color=ORANGE, lw=1.2, label=f"N = {n}")
    if confirmed:
        places, found, errors = (np.asarray(column, float) for column in zip(*confirmed, strict=True))
        axes.errorbar(
            places, found, yerr=Z95 * errors, color=ORANGE, fmt="D", ms=5, capsize=3, label="confirmed in new studies", zorder=4
        )
    if percent:
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    else:
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.1f}")
    if x.size == 1:
        axes.set(xlim=(x[0] - 10, x[0] + 10), xticks=x)
    axes.set(xlabel="patients enrolled", ylabel=ylabel, title=title)
    axes.grid(axis="y", color="#E5E5E5", lw=0.6)
    if answer is None:
        axes.legend(loc="best", fontsize=8.5)
    else:  # six entries would lie on the curve somewhere
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=3, fontsize=8.5)
    return figure
