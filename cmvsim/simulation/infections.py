"""Section 11, bacterial and fungal infections: exact inversion, one infection after the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cmvsim.core.records import BoolArray, FloatArray
from cmvsim.core.streams import Draws
from cmvsim.models.baseline import Baseline
from cmvsim.models.infections import BacterialSpec, FungalSpec, InfectionRatios, Infections, InfectionsSpec
from cmvsim.models.windows import Windows
from cmvsim.simulation.event_times import Factor, Hazard


def infections(
    spec: InfectionsSpec,
    baseline: Baseline,
    score: FloatArray,
    leukaemia: BoolArray,
    cmv: Windows | None,
    neutropenia: Windows | None,
    corticosteroids: Windows | None,
    draws: Draws,
    horizon: float,
) -> Infections:
    """Infections of a chunk until the horizon, were there no death.

    Parameters
    ----------
    baseline
        Its infection hazards, solved.
    score, leukaemia
        (P,) immunosuppression score, and whether the disease is leukaemia.
    cmv, neutropenia, corticosteroids
        (P,) or (W, P) windows of open CMV episodes, neutropenia and courses; windows of one kind may overlap. None where
        the ratios of both kinds of infection are 1.

    Raises
    ------
    ValueError
        If hazards were not solved, or windows that act are not given.
    """
    if not baseline.bacterial_hazard or not baseline.fungal_hazard:
        raise ValueError("the infection hazards are not solved")
    cuts = (float(spec.early_until),)

    def hazard_of(ratios: InfectionRatios, hazard: tuple[float, ...]) -> Hazard:
        factors = (
            Factor("cmv", float(ratios.cmv), cmv),
            Factor("neutropenia", float(ratios.neutropenia), neutropenia),
            Factor("corticosteroids", float(ratios.corticosteroids), corticosteroids),
        )
        return Hazard.of(_rate(ratios, score, leukaemia), factors, cuts, hazard)

    of_bacteria = hazard_of(spec.bacterial.ratios, baseline.bacterial_hazard)
    if all(float(a) == float(b) for (_, a), (_, b) in zip(spec.bacterial.ratios, spec.fungal.ratios, strict=True)):
        of_fungi = replace(of_bacteria, hazard=np.array(baseline.fungal_hazard))  # the same tables serve both
    else:
        of_fungi = hazard_of(spec.fungal.ratios, baseline.fungal_hazard)
    bacterial, severe = _bacterial(spec.bacterial, of_bacteria, draws, horizon)
    fungal, fungal_severe = _fungal(spec.fungal, of_fungi, draws, horizon)
    return Infections(bacterial, severe, fungal, fungal_severe)


def _rate(ratios: InfectionRatios, score: FloatArray, leukaemia: BoolArray) -> FloatArray:
    """What multiplies a patient's hazard all the time."""
    rate = np.where(leukaemia, float(ratios.leukaemia), 1.0)
    if float(ratios.score) != 1.0:
        rate = rate * np.exp(np.log(float(ratios.score)) * score)
    return rate


def _bacterial(spec: BacterialSpec, hazard: Hazard, draws: Draws, horizon: float) -> tuple[Windows, BoolArray]:
    """Infection k + 1 spends a fresh clock from the end of infection k on."""
    most = int(float(spec.episodes))
    shape = (most, hazard.rate.size)
    start, stop, severe = np.full(shape, np.inf), np.full(shape, np.inf), np.zeros(shape, dtype=bool)
    begin = np.zeros(hazard.rate.size)
    for k in range(most):
        start[k] = hazard.invert(draws("infections.bacterial", k), begin, horizon)
        who = np.flatnonzero(start[k] < np.inf)
        if who.size == 0:  # further streams would decide nothing
            break
        stop[k, who] = start[k, who] + spec.duration.of_normal(draws("infections.bacterial_duration", k)[who])
        severe[k, who] = draws("infections.bacterial_severe", k)[who] < float(spec.severe)
        begin = stop[k]
    return Windows(start, stop), severe


def _fungal(spec: FungalSpec, hazard: Hazard, draws: Draws, horizon: float) -> tuple[Windows, BoolArray]:
    start = hazard.invert(draws("infections.fungal"), np.zeros(hazard.rate.size), horizon)
    stop, severe = np.full(start.shape, np.inf), np.zeros(start.shape, dtype=bool)
    who = np.flatnonzero(start < np.inf)
    stop[who] = start[who] + spec.duration.of_normal(draws("infections.fungal_duration")[who])
    severe[who] = draws("infections.fungal_severe")[who] < float(spec.severe)
    return Windows(start, stop), severe
