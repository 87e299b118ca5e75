"""Figures of a comparative power run: both arms of one simulated trial, and power by strength of the effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cmvsim.report.style import BLUE, GREY, ORANGE

Z95 = 1.959963984540054
COLOURS = (GREY, BLUE)


def incidence_by_arm(frame: pd.DataFrame, labels: Mapping[str, str], *, title: str, event_label: str) -> Figure:
    """Cumulative incidence of the event in each arm, with its interval.

    Parameters
    ----------
    frame
        As :func:`cmvsim.endpoints.curves.incidence_table`, with a column ``arm``, the control first.
    labels
        Of the arms.
    """
    figure = Figure(figsize=(6.8, 4.3))
    axes = figure.subplots()
    top = 0.05
    for (arm, mine), colour in zip(frame.groupby("arm", sort=False), COLOURS, strict=False):
        days = mine["day"].to_numpy(dtype=np.float64)
        low, high = (mine[name].to_numpy(dtype=np.float64) for name in ("ci_low", "ci_high"))
        axes.fill_between(days, low, high, step="post", color=colour, alpha=0.18, lw=0)
        n = int(mine["at_risk"].max())
        axes.step(days, mine["incidence"], where="post", color=colour, lw=1.8, label=f"{labels[str(arm)]} ({n} at risk)")
        top = max(top, float(np.nanmax([np.nanmax(np.nan_to_num(high)), mine["incidence"].max()])))
    axes.set(xlim=(0, frame["day"].max()), ylim=(0, min(1.0, 1.35 * top)))
    axes.set(xlabel="days from infusion", ylabel=f"cumulative incidence, {event_label}", title=title)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
    axes.grid(axis="y", color="#E5E5E5", lw=0.6)
    axes.legend(loc="upper left", fontsize=8.5)
    return figure


def power_by_strength(points: Sequence[tuple[float, float, float]], found: float | None, wanted: float, *, n: int) -> Figure:
    """Power against the strength of the drug's effect, 1 being the scenario's own.

    Parameters
    ----------
    points
        (strength, power, Monte Carlo SE), ascending.
    found
        Smallest strength with the power wanted.
    """
    strength, power, mcse = (np.array(column) for column in zip(*points, strict=True))
    figure = Figure(figsize=(8.2, 4.0), layout="constrained")
    axes = figure.subplots()
    axes.errorbar(strength, power, yerr=Z95 * mcse, color=BLUE, lw=1.4, marker="o", ms=3.5, capsize=2, label="simulated")
    axes.axhline(wanted, color=GREY, lw=1, ls="--", label=f"power wanted, {wanted:.0%}")
    if found is not None:
        axes.axvline(found, color=ORANGE, lw=1.2, label=f"smallest effect detected, {found:.2f}")
    axes.set(xlabel="strength of the effect (1: the scenario's own)", ylabel="power", ylim=(0, 1.02))
    axes.set_title(f"Power of {n} patients by strength of the effect")
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
    axes.grid(axis="y", color="#E5E5E5", lw=0.6)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=8.5)
    return figure
