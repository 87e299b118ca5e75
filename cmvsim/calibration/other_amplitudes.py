"""What a cohort simulated at one amplitude of onset shows at others, by weighting its patients: no second simulation.

A patient's onsets come when exponential clocks are spent. At f times the amplitude, a course with N onsets that spent E of
their clocks is f^N exp(-(f - 1) E) times as likely, all else on the way being equally likely; so the share detected at the
other amplitude is the mean of these weights over those detected.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import optimize

from cmvsim.core.records import FloatArray
from cmvsim.endpoints import AnalysisSpec
from cmvsim.endpoints.derived import EVENT, EXCLUDED
from cmvsim.endpoints.reactivation import Reactivation
from cmvsim.models.cmv import TargetSpec
from cmvsim.simulation.aftermath import unfold
from cmvsim.simulation.background import Background
from cmvsim.simulation.cmv import CmvOutcome, simulate_cmv
from cmvsim.simulation.cohort import FOUNDATION
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.outcome import history_of
from cmvsim.simulation.processes import required
from cmvsim.simulation.recording import record

NEAR_BELOW, NEAR_ABOVE = 0.5, 1.0
"""Log of the amplitude over the simulated one, at most, at which weights are trusted. exp((1 - f) E) of an exponential E has a
variance only if f is above 1/2: farther down one patient with a high hazard may outweigh all others."""

STEPS = 14
"""Simulations at most: farther than the reach is wide."""


@dataclass(frozen=True, slots=True)
class Detections:
    """Detections by a target's day in one cohort at one amplitude.

    Attributes
    ----------
    patients
        In the cohort.
    onsets, spent
        (D,) of those detected: onsets before detection, and what these spent of their clocks.
    onsets_before, spent_before
        The same of those who had DNAemia by infusion, and are not at risk.
    """

    patients: int
    onsets: FloatArray
    spent: FloatArray
    onsets_before: FloatArray
    spent_before: FloatArray

    def at_risk(self, log_ratio: float = 0.0) -> float:
        """Patients at risk."""
        return self.patients - float(_weights(self.onsets_before, self.spent_before, log_ratio).sum())

    def share(self, log_ratio: float = 0.0) -> float:
        """Share detected at an amplitude whose log exceeds the simulated one by `log_ratio`."""
        return float(_weights(self.onsets, self.spent, log_ratio).sum()) / self.at_risk(log_ratio)


def _weights(onsets: FloatArray, spent: FloatArray, log_ratio: float) -> FloatArray:
    weights: FloatArray = np.exp(onsets * log_ratio - np.expm1(log_ratio) * spent)
    return weights


def detections(model: Model, draws: ChunkDraws, target: TargetSpec) -> Detections:
    """Simulate one chunk under the target's own monitoring.

    Parameters
    ----------
    model
        As the target is measured, nothing but relapse and time acting on death.
    """
    background = Background(model, draws, never_lost=True)
    course = simulate_cmv(model, draws, background, episodes=True, path=False, full_attendance=True, only_seen=True)
    after = unfold(model, draws, background, course, required(model, FOUNDATION))
    history = history_of(model, draws, background, course, after, path=False)
    plan = AnalysisSpec(endpoints=("cmv_reactivation",), definition=target.definition, window=int(float(target.day)))
    derived = Reactivation("target", "", "").derive(record(history, frozenset()), plan)
    by = np.where(derived.cause == EVENT, derived.time, 0.0)
    onsets, spent = _spent(model, draws, course, by.T.ravel())
    cause = derived.cause.T.ravel()
    detected, before = cause == EVENT, cause == EXCLUDED
    return Detections(cause.size, onsets[detected], spent[detected], onsets[before], spent[before])


def _spent(model: Model, draws: ChunkDraws, course: CmvOutcome, by: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(P,) onsets by a time of each patient, those of prevalent infection left out, and what they spent of their clocks."""
    assert course.episodes is not None
    onsets, spent = np.zeros(by.size), np.zeros(by.size)
    for k, onset in enumerate(course.episodes[..., 0]):
        rang = (onset > model.inclusion_day) & (onset < by)
        onsets += rang
        spent[rang] += draws("cmv.onset", k)[rang]
    return onsets, spent


def amplitude_that_shows(
    look: Callable[[float], Detections], wanted: Callable[[Detections, float], float], start: float, reach: float
) -> tuple[float, bool]:
    """Log amplitude at which what is wanted is met, and whether it is; else the end of the reach.

    Parameters
    ----------
    look
        Simulates at a log amplitude.
    wanted
        By how much the detections exceed what is wanted at another amplitude, given its distance.
    start, reach
        Where to begin, and how far from 0 the answer may lie.
    """
    here = start
    for _ in range(STEPS):
        seen = look(here)
        low, high = max(-NEAR_BELOW, -reach - here), min(NEAR_ABOVE, reach - here)
        if wanted(seen, 0.0) == 0:  # to the last bit where nothing that was observed is another
            return here, True
        if wanted(seen, low) > 0:
            step, found = low, False
        elif wanted(seen, high) < 0:
            step, found = high, False
        else:
            step, found = float(optimize.brentq(partial(wanted, seen), low, high, xtol=1e-9)), True
        here += step
        if found or abs(here) >= reach - 1e-9:
            return here, found
    return here, False
