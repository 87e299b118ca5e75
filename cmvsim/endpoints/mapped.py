"""Endpoints of a file of one row per patient: the estimators of the registered endpoints, on times to events as recorded.

Follow-up is not cut at the window: the incidence is read off at the window and at the further times, the proportion and
the risk factors use all of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import Estimates, FloatArray, Status
from cmvsim.data.mapping import MapAnalysis, Mapped
from cmvsim.endpoints.analyse import ResultRow, participant_flow, result_row
from cmvsim.endpoints.analysis import AnalysisSpec
from cmvsim.endpoints.base import EstimatorChoice
from cmvsim.endpoints.derived import CENSORED, DEATH, EVENT, EXCLUDED, Derived, TimeToEvent
from cmvsim.endpoints.incidence import aalen_johansen_at_window, crude_proportion, one_minus_kaplan_meier
from cmvsim.estimators.competing import cumulative_incidence_curve
from cmvsim.estimators.cox import cox
from cmvsim.estimators.survival import survival_curve

LABELS = {"cmv_reactivation": "CMV reactivation", "risk_factors": "Risk factors of CMV reactivation"}
WHENEVER = float("nan")
"""The time of a result that uses all follow-up."""

BEYOND = "beyond the last follow-up: the value of its end"
NO_COMPETING = "no competing event is recorded: 1 - Kaplan-Meier, in which other ends of follow-up censor"


@dataclass(frozen=True, slots=True)
class AnalysedMap:
    """The analysis of a mapped file: rows, flow, the derived variable and the curve up to the window."""

    rows: tuple[ResultRow, ...]
    flow: dict[str, dict[str, int]]
    derived: TimeToEvent
    curve: pd.DataFrame
    warnings: tuple[str, ...]


def derive(mapped: Mapped) -> TimeToEvent:
    """The time-to-event variable of a file, a batch of one."""
    cause = np.where(mapped.event, EVENT, CENSORED).astype(np.int8)
    if mapped.competing is not None:
        cause[mapped.competing] = DEATH
    cause[~mapped.known] = EXCLUDED
    excluded = {"time or event not recorded": ~mapped.known[np.newaxis]}
    return TimeToEvent(np.where(mapped.known, mapped.time, np.nan)[np.newaxis], cause[np.newaxis], excluded)


def analyse_mapped(mapped: Mapped, analysis: MapAnalysis) -> AnalysedMap:
    """Estimate what the map asks for."""
    derived = derive(mapped)
    rows: list[ResultRow] = []
    flow: dict[str, dict[str, int]] = {}
    if "cmv_reactivation" in analysis.endpoints:
        rows += _incidence(derived, mapped, analysis)
        flow["cmv_reactivation"] = _flow(derived, mapped)
    if "risk_factors" in analysis.endpoints:
        complete = _complete(derived, mapped)
        rows += _risk_factors(complete, mapped, analysis)
        flow["risk_factors"] = _flow(complete, mapped)
    warnings = () if mapped.competing is not None else (NO_COMPETING,)
    return AnalysedMap(tuple(rows), flow, derived, _curve(derived, mapped, analysis), warnings)


def _flow(derived: Derived, mapped: Mapped) -> dict[str, int]:
    counts = participant_flow(derived)
    if mapped.competing is not None and "death first" in counts:
        counts["competing event first"] = counts.pop("death first")
    return counts


def _incidence(derived: TimeToEvent, mapped: Mapped, analysis: MapAnalysis) -> list[ResultRow]:
    plan = AnalysisSpec(endpoints=("cmv_reactivation",), interval=analysis.interval, level=analysis.level)
    n = (derived.time.shape[1],)
    kaplan_meier = EstimatorChoice("one_minus_km", "1 - Kaplan-Meier", one_minus_kaplan_meier)
    choices = [kaplan_meier]
    if mapped.competing is not None:
        aalen = EstimatorChoice("aalen_johansen", "Cumulative incidence (Aalen-Johansen)", aalen_johansen_at_window)
        note = "biased: treats competing events as censored"
        choices = [aalen, EstimatorChoice(kaplan_meier.id, kaplan_meier.label, one_minus_kaplan_meier, note=note)]
    rows = []
    for choice in choices:
        for at in analysis.times:
            result = choice.estimate(derived, plan.model_copy(update={"window": at}), n)
            assert isinstance(result, Estimates)
            beyond = at > np.max(derived.time[derived.entered], initial=0.0)
            said = replace(choice, note="; ".join(filter(None, (choice.note, BEYOND)))) if beyond else choice
            rows.append(result_row("cmv_reactivation", said, "", result, derived, at))
    methods: tuple[Literal["wilson", "clopper-pearson"], ...] = ("wilson", "clopper-pearson")
    for method in methods:
        crude = EstimatorChoice(f"crude_{method.replace('-', '_')}", "", crude_proportion(method))
        result = crude.estimate(derived, plan, n)
        assert isinstance(result, Estimates)
        rows.append(result_row("cmv_reactivation", crude, "", result, derived, WHENEVER))
    return rows


def _complete(derived: TimeToEvent, mapped: Mapped) -> TimeToEvent:
    """Patients with all covariates."""
    missing = np.zeros(derived.cause.shape, dtype=bool)
    for values in mapped.covariates.values():
        missing |= np.isnan(values)[np.newaxis]
    cause = np.where(missing, np.int8(EXCLUDED), derived.cause)
    return TimeToEvent(derived.time, cause, {**derived.excluded, "a covariate not recorded": missing & derived.entered})


def _risk_factors(derived: TimeToEvent, mapped: Mapped, analysis: MapAnalysis) -> list[ResultRow]:
    names = tuple(mapped.covariates)
    covariates = np.nan_to_num(np.stack(list(mapped.covariates.values()), axis=-1))
    fit = cox(derived.time, derived.cause, covariates, ties=analysis.ties, level=analysis.level)
    choice = EstimatorChoice("cox", "Cox regression", lambda *_: {}, scale="hazard_ratio")
    rows = []
    for index, name in enumerate(names):
        term = fit.term(index, exponentiate=True)
        rows.append(result_row("risk_factors", choice, name, _as_nested(term), derived, WHENEVER))
    return rows


def _as_nested(result: Estimates) -> Estimates:
    """(R,) arrays as (R, 1)."""
    names = ("estimate", "se", "ci_low", "ci_high", "n", "events", "status")
    wide: dict[str, Any] = {name: getattr(result, name)[:, np.newaxis] for name in names}
    return replace(result, **wide)


def _curve(derived: TimeToEvent, mapped: Mapped, analysis: MapAnalysis) -> pd.DataFrame:
    """Incidence at the times of events, at those asked for and at 0, up to the window."""
    inside = derived.entered[0]
    time, cause = derived.time[0][inside], derived.cause[0][inside]
    at: FloatArray = np.unique(np.concatenate([[0.0], analysis.times, time[cause > CENSORED]]))
    at = at[at <= analysis.window]
    scales = {"interval": analysis.interval, "level": analysis.level}
    if mapped.competing is None:
        curve = survival_curve(time, (cause == EVENT).astype(np.int64), at, **scales)  # type: ignore[arg-type]
        event, low, high, competing = 1 - curve.estimate, 1 - curve.ci_high, 1 - curve.ci_low, np.full(at.shape, np.nan)
        status, risk = curve.status, curve.n_at_risk
    else:
        found = cumulative_incidence_curve(time, cause, at, **scales)  # type: ignore[arg-type]
        event, low, high = found.estimate, found.ci_low, found.ci_high
        competing = cumulative_incidence_curve(time, cause, at, event=DEATH).estimate
        status, risk = found.status, found.n_at_risk
    known = status == Status.OK
    limits = {"ci_low": np.where(known, low, np.nan), "ci_high": np.where(known, high, np.nan)}
    return pd.DataFrame({"time": at, "incidence": event, **limits, "competing": competing, "at_risk": risk})


def check_endpoints(analysis: MapAnalysis, asked: tuple[str, ...]) -> MapAnalysis:
    """The analysis of the endpoints named on the command line, if any are.

    Raises
    ------
    InputError
        If one of them cannot be had from such a file.
    """
    unknown = [name for name in asked if name not in analysis.endpoints]
    if unknown:
        known = ", ".join(analysis.endpoints)
        raise InputError(Problem(f"the map does not ask for '{name}'", "--endpoint", allowed=known) for name in unknown)
    return analysis.model_copy(update={"endpoints": asked}) if asked else analysis
