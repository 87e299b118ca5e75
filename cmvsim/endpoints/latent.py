"""Latent functionals that endpoints share: when the true load reached the definition, and what competes with it."""

from __future__ import annotations

import numpy as np

from cmvsim.core.records import BoolArray, FloatArray
from cmvsim.endpoints.analysis import AnalysisSpec
from cmvsim.models.history import History


def latent_competing(history: History, plan: AnalysisSpec) -> FloatArray:
    """(R, N) first competing event: death, and transplantation and relapse as the plan handles them; +inf if none."""
    competing = history.death.copy()
    if plan.hct == "competing":
        competing = np.minimum(competing, history.observation.hct)
    if plan.relapse == "competing":
        competing = np.minimum(competing, history.observation.relapse)
    return competing


def latent_first(history: History, plan: AnalysisSpec) -> tuple[FloatArray, BoolArray]:
    """True time of first reaching the definition's level after infusion (+inf if never), and who has DNAemia at infusion."""
    s = history.samples
    assert s is not None
    name = plan.definition.name
    prevalent = _reaching(history, s.lod if name == "detected" else s.lloq) <= 0
    if name == "clinically_significant":
        return history.clinically_significant, prevalent
    level = {"detected": s.lod, "quantifiable": s.lloq}.get(name, plan.definition.level)
    assert level is not None
    return _reaching(history, level), prevalent


def _reaching(history: History, level: float) -> FloatArray:
    """First time from infusion on at which the true load in the sampled matrix is at or above `level` IU/mL."""
    if history.episodes is None:
        raise ValueError("a latent functional needs a history with the path of the load")
    return history.episodes.first_reaching(np.log10(level) - history.episodes.offset, after=0.0)
