"""All figures of an analysis of PSA samples, as files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from cmvsim.economics.psa import PsaAnalysis
from cmvsim.report import economics_figures as figures
from cmvsim.report.economics_figures import Units
from cmvsim.report.economics_tornado_figure import tornado_figure
from cmvsim.report.style import png

__all__ = ["Units", "figure_files"]


def figure_files(analysis: PsaAnalysis, interest: Sequence[float], units: Units) -> dict[str, bytes]:
    """PNG files by name."""
    samples, raw = analysis.samples, analysis.raw
    names = [name.replace("_", " ") for name in samples.strategies]
    drawn: dict[str, Figure] = {
        "plane": figures.plane(names, samples.cost, samples.effect, units, interest),
        "acceptability": figures.acceptability(names, raw, units),
    }
    if analysis.smoothed is not None:
        drawn["acceptability-smoothed"] = figures.acceptability(names, analysis.smoothed, units)
    drawn["net-benefit"] = figures.threshold_curves(
        names[1:],
        raw.thresholds,
        raw.net_benefit[:, 1:] - raw.net_benefit[:, :1],
        _errors(analysis),
        xlabel=units.threshold,
        ylabel=units.money("incremental net benefit"),
        title=f"Expected net benefit above {names[0]}, 95% Monte Carlo band",
        first=1,
    )
    drawn["expected-loss"] = figures.losses(names, raw, units)
    drawn["evpi"] = figures.perfect_information(raw, analysis.smoothed, units)
    if analysis.partial:
        places = np.searchsorted(raw.thresholds, interest)
        values = {name: got.value[places] for name, got in analysis.partial.items()}
        errors = {name: got.se[places] for name, got in analysis.partial.items()}
        drawn["evppi"] = figures.partial_information(values, errors, interest, units)
    for threshold in interest:
        bars = [bar for bar in analysis.tornado if bar.threshold == threshold]
        if bars:
            first = bars[0]
            pair = f"{first.strategy} against {first.against}".replace("_", " ")
            title = f"{pair} at {figures.short(threshold)}"
            drawn[f"tornado-{threshold:.12g}"] = tornado_figure(bars, units, title=title)
    return {f"figures/{name}.png": png(figure) for name, figure in drawn.items()}


def _errors(analysis: PsaAnalysis) -> np.ndarray:
    """Monte Carlo standard errors of the increments, of the same draws: (thresholds, strategies - 1)."""
    cost, effect = (x[:, 1:] - x[:, :1] for x in (analysis.samples.cost, analysis.samples.effect))
    draws = cost.shape[0]
    return np.array([(k * effect - cost).std(axis=0, ddof=1) / np.sqrt(draws) for k in analysis.raw.thresholds])
