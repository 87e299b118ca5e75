"""Rows of the risk-factor models: start-stop from infusion, one at infusion, one for each landmark.

Patients enter on day -1, so that what is counted on day 0 counts and what begins on day 0 explains day 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import FloatArray
from cmvsim.data.study import Study
from cmvsim.endpoints.analysis import AnalysisSpec
from cmvsim.endpoints.covariates import Covariate, baseline_values, covariates, known_on, spells
from cmvsim.endpoints.derived import CENSORED, EXCLUDED, StartStop, TimeToEvent
from cmvsim.endpoints.population import also, anybody
from cmvsim.endpoints.reactivation import Reactivation

_REACTIVATION = Reactivation("cmv_reactivation", "CMV reactivation", "rate of CMV reactivation")
ENTRY = -1.0
"""Day after which everybody is at risk."""


def start_stop(study: Study, plan: AnalysisSpec) -> StartStop:
    """Rows of the primary model.

    Raises
    ------
    InputError
        If a covariate does not exist, or was not recorded.
    """
    chosen = covariates(plan.risk_factors)
    outcome = _complete(_REACTIVATION.derive(study, plan), chosen, study)
    changing = {c.name: spells(c, study) for c in chosen if c.kind == "time-dependent"}
    ends = outcome.time[..., np.newaxis]
    # a day on which nothing changes any more lies at the end of follow-up, where it makes an empty row
    days = [np.full(ends.shape, ENTRY), ends]
    for spell in changing.values():
        changes = [spell.start] if np.isposinf(spell.stop).all() else [spell.start, spell.stop + 1]
        days += [np.where(np.isnan(at), np.inf, at).clip(ENTRY, ends) for at in changes]
    bounds = np.sort(np.concatenate(days, axis=-1), axis=-1)
    begins, stops = bounds[..., :-1], bounds[..., 1:]
    exists = (begins < stops) & outcome.entered[..., np.newaxis]
    rows = int(exists.sum(axis=-1).max(initial=1))
    place = np.argsort(~exists, axis=-1, kind="stable")[..., :rows]  # rows that exist first, in order of time
    begins, stops, exists = (np.take_along_axis(a, place, axis=-1) for a in (begins, stops, exists))
    values = [
        _during(begins, changing[c.name].start, changing[c.name].stop)
        if c.name in changing
        else np.broadcast_to(baseline_values(c, study)[..., np.newaxis], begins.shape)
        for c in chosen
    ]
    last = exists & (stops == ends)
    cause = np.where(last, outcome.cause[..., np.newaxis], np.int8(CENSORED))
    return _rows(begins, stops, np.where(exists, cause, np.int8(EXCLUDED)), values, chosen, outcome)


def _during(begins: FloatArray, start: FloatArray, stop: FloatArray) -> FloatArray:
    """Whether a row (begins, ...] lies in a spell: known on the evening of the day at which it begins."""
    inside = np.zeros(begins.shape, dtype=bool)
    for k in range(start.shape[-1]):
        inside |= (start[..., k, np.newaxis] <= begins) & (begins <= stop[..., k, np.newaxis])
    return inside.astype(np.float64)


def at_infusion(*, binary: bool) -> Callable[[Study, AnalysisSpec], StartStop]:
    """Derivation with one row for each patient and the covariates that are known at infusion.

    Parameters
    ----------
    binary
        Whether the outcome is yes or no at the end of the window: patients whose follow-up ended early for no competing event
        are left out.
    """

    def derive(study: Study, plan: AnalysisSpec) -> StartStop:
        chosen = tuple(c for c in covariates(plan.risk_factors) if c.kind == "baseline")
        if not chosen:
            raise InputError(Problem("none of the covariates is known at infusion", "analysis", "risk_factors"))
        outcome = _complete(_REACTIVATION.derive(study, plan), chosen, study)
        if binary:
            outcome = _known_at_the_end(outcome, study, plan)
        values = [baseline_values(c, study)[..., np.newaxis] for c in chosen]
        time, cause = outcome.time[..., np.newaxis], outcome.cause[..., np.newaxis]
        return _rows(np.full(time.shape, ENTRY), time, cause, values, chosen, outcome)

    return derive


def at_landmarks(*, binary: bool) -> Callable[[Study, AnalysisSpec], StartStop]:
    """Derivation with a row for each landmark: patients event-free and followed beyond it, by what was known that evening."""

    def derive(study: Study, plan: AnalysisSpec) -> StartStop:
        chosen = covariates(plan.risk_factors)
        outcome = _complete(_REACTIVATION.derive(study, plan), chosen, study)
        if binary:
            outcome = _known_at_the_end(outcome, study, plan)
        days = np.array(plan.landmarks, dtype=np.float64)
        if not days.size:
            raise InputError(Problem("no landmarks are named", "analysis", "landmarks", "days, e.g. [14, 28]"))
        at_risk = outcome.entered[..., np.newaxis] & (outcome.time[..., np.newaxis] > days)
        never = outcome.entered & ~at_risk.any(axis=-1)
        excluded = also(dict(outcome.excluded), "no longer at risk at any landmark", never, study)
        time = np.broadcast_to(outcome.time[..., np.newaxis], at_risk.shape)
        cause = np.where(at_risk, outcome.cause[..., np.newaxis], np.int8(EXCLUDED))
        values = [np.stack([known_on(c, study, float(day)) for day in days], axis=-1) for c in chosen]
        begins = np.broadcast_to(days, at_risk.shape)
        return _rows(begins, time, cause, values, chosen, replace(outcome, excluded=excluded))

    return derive


def _complete(outcome: TimeToEvent, chosen: tuple[Covariate, ...], study: Study) -> TimeToEvent:
    """The outcome without patients of whom a covariate is not known, or who were never at risk."""
    excluded = also(dict(outcome.excluded), "monitoring ended before infusion", outcome.time <= ENTRY, study)
    for entry in chosen:
        if entry.kind == "baseline":
            missing = np.isnan(baseline_values(entry, study))
            if missing.any():
                excluded = also(excluded, f"{entry.label.lower()} not recorded", missing, study)
    cause = np.where(anybody(excluded, study), np.int8(EXCLUDED), outcome.cause)
    return TimeToEvent(outcome.time, cause, excluded)


def _known_at_the_end(outcome: TimeToEvent, study: Study, plan: AnalysisSpec) -> TimeToEvent:
    """The outcome without patients of whom nobody knows whether they had the event by the end of the window."""
    unknown = (outcome.cause == CENSORED) & (outcome.time < plan.window)
    excluded = also(dict(outcome.excluded), "monitoring ended early", unknown, study)
    return TimeToEvent(outcome.time, np.where(unknown, np.int8(EXCLUDED), outcome.cause), excluded)


def _rows(
    entry: FloatArray,
    time: FloatArray,
    cause: Any,
    values: list[FloatArray],
    chosen: tuple[Covariate, ...],
    outcome: TimeToEvent,
) -> StartStop:
    """(R, N, K) arrays as start-stop rows; rows that do not exist hold zeros."""
    replicates, patients, k = cause.shape
    exists = cause >= 0
    flat = (replicates, patients * k)
    table = np.empty((*flat, len(chosen)))
    for place, value in enumerate(values):
        table[..., place] = np.where(exists, value, 0.0).reshape(flat)
    patient = np.broadcast_to(np.repeat(np.arange(patients), k), flat)
    return StartStop(
        entry=np.where(exists, entry, 0.0).reshape(flat),
        time=np.where(exists, time, 0.0).reshape(flat),
        cause=cause.astype(np.int8).reshape(flat),
        covariates=table,
        stratum=np.broadcast_to(np.tile(np.arange(k), patients), flat),
        patient=patient,
        terms=tuple(c.name for c in chosen),
        rows=k,
        excluded=outcome.excluded,
    )
