"""Figures of a power run: the precision curve, and the cumulative incidence of one simulated study."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cmvsim.core.records import FloatArray
from cmvsim.report.style import BLUE, GREEN, GREY, ORANGE

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
    percent: bool = False,
) -> Figure:
    """A measure by sample size with its 95% Monte Carlo band.

    Parameters
    ----------
    target
        Horizontal line that the measure is to reach.
    answer
        N found, and its interval.
    """
    x, y, se = np.asarray(sizes, float), np.asarray(values, float), np.asarray(mcse, float)
    figure = Figure(figsize=(6.4, 4.0))
    axes = figure.subplots()
    low, high = y - Z95 * se, y + Z95 * se
    if percent:
        low, high = np.clip(low, 0, 1), np.clip(high, 0, 1)
    axes.fill_between(x, low, high, color=BLUE, alpha=0.25, lw=0, label="95% Monte Carlo interval")
    axes.plot(x, y, color=BLUE, lw=1.5, marker="o", ms=3.5, label="simulated")
    if target is not None:
        axes.axhline(target, color=GREY, lw=1, ls="--", label="target")
    if answer is not None:
        n, n_low, n_high = answer
        axes.axvspan(n_low, n_high, color=ORANGE, alpha=0.2, lw=0)
        axes.axvline(n, color=ORANGE, lw=1.2, label=f"N = {n}")
    if percent:
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    else:
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.1f}")
    if x.size == 1:
        axes.set_xlim(x[0] - 10, x[0] + 10)
    axes.set(xlabel="patients enrolled", ylabel=ylabel, title=title)
    axes.grid(axis="y", color="#E5E5E5", lw=0.6)
    axes.legend(loc="best", fontsize=8.5)
    return figure


def cumulative_incidence(
    days: FloatArray,
    event: FloatArray,
    low: FloatArray,
    high: FloatArray,
    competing: FloatArray | None,
    at_risk: FloatArray,
    *,
    title: str,
    event_label: str,
    competing_label: str,
    ticks: Sequence[float],
    xlabel: str = "days from infusion",
) -> Figure:
    """Cumulative incidence of the event (with its interval) and of the competing events, numbers at risk below.

    Parameters
    ----------
    days
        (T,) times; the curves are steps.
    competing
        None where no competing event is recorded.
    at_risk
        (len(ticks),) patients at risk at the ticks.
    """
    figure = Figure(figsize=(6.4, 4.6))
    axes = figure.subplots()
    axes.fill_between(days, low, high, step="post", color=BLUE, alpha=0.22, lw=0, label="95% confidence interval")
    axes.step(days, event, where="post", color=BLUE, lw=1.8, label=event_label)
    highest = [float(np.nanmax(high)), 0.05]
    if competing is not None:
        axes.step(days, competing, where="post", color=GREEN, lw=1.4, ls="--", label=competing_label)
        highest.append(float(np.nanmax(competing)))
    top = max(highest)
    axes.set(
        xlim=(0, 1.02 * days[-1]),
        ylim=(0, min(1.0, 1.25 * top)),
        xlabel=xlabel,
        ylabel="cumulative incidence",
        title=title,
    )
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_xticks(list(ticks))
    axes.grid(axis="y", color="#E5E5E5", lw=0.6)
    axes.legend(loc="upper left", fontsize=8.5)
    axes.text(0, -0.2, "at risk", transform=axes.transAxes, ha="center", fontsize=8.5, color=GREY)
    for tick, number in zip(ticks, at_risk, strict=True):
        axes.text(tick / (1.02 * days[-1]), -0.26, f"{number:.0f}", transform=axes.transAxes, ha="center", fontsize=8.5)
    return figure


def incidence_of_frame(frame: pd.DataFrame, *, title: str, event_label: str) -> Figure:
    """:func:`cumulative_incidence` from a table with day, incidence, ci_low, ci_high, competing, at_risk."""
    days = frame["day"].to_numpy(dtype=np.float64)
    window = int(days[-1])
    ticks = sorted({*range(0, window + 1, max(1, window // 6)), window})
    at_risk = frame["at_risk"].to_numpy(dtype=np.float64)[ticks]
    low, high = (frame[name].fillna(frame["incidence"]).to_numpy(dtype=np.float64) for name in ("ci_low", "ci_high"))
    return cumulative_incidence(
        days,
        frame["incidence"].to_numpy(dtype=np.float64),
        low,
        high,
        frame["competing"].to_numpy(dtype=np.float64),
        at_risk,
        ticks=ticks,
        title=title,
        event_label=event_label,
        competing_label="death or transplantation first",
    )
