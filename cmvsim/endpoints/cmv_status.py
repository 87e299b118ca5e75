"""CMV status from study tables: the first qualifying day, how follow-up for CMV ended, and who is positive on a day.

Several endpoints share these: the rates of reactivation and disease, infections after CMV, viruses that may precede it,
quality of life with and without CMV.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import BoolArray, FloatArray
from cmvsim.data.study import CERTAINTIES, EndReason, Result, Study
from cmvsim.endpoints.analysis import AnalysisSpec
from cmvsim.endpoints.derived import CENSORED, DEATH, HCT, RELAPSE

ANTIVIRALS = ("valganciclovir", "ganciclovir", "foscarnet", "maribavir")
"""Drugs whose start is a treatment of CMV."""


def qualifies(study: Study, plan: AnalysisSpec) -> BoolArray:
    """(R, N, V) which samples are positive by the plan's definition; quantified ones where it is no property of samples."""
    s = study.samples
    definition = plan.definition.name
    if definition == "detected":
        return np.asarray(s.result >= Result.BELOW_LLOQ)
    if definition == "at_least":
        assert plan.definition.level is not None
        return np.asarray(s.load >= plan.definition.level)
    return np.asarray(s.result == Result.QUANTIFIED)


def first_qualifying(study: Study, plan: AnalysisSpec) -> tuple[FloatArray, BoolArray]:
    """First qualifying day in the window, and who had DNAemia at or before infusion.

    Parameters
    ----------
    study
        With CMV samples; with antivirals or CMV disease where the definition is clinically significant infection.
    plan
        Its definition, window and closing window.

    Returns
    -------
    first
        (R, N) study day 1 to `window`, +inf if none; end of follow-up and death are not looked at. A closing sample made
        within its window counts at min(day, window).
    at_baseline
        (R, N) positive by the definition on or before day 0; by quantified DNAemia where the definition is a higher level
        or no level.

    Raises
    ------
    InputError
        If the definition cannot be seen in the data.
    """
    s, definition, positive = study.samples, plan.definition.name, qualifies(study, plan)
    # few samples are positive: only their days are looked at; simulated visits vary slowest in memory, hence the .T
    _, patients, replicates = positive.T.shape
    first, at_baseline = np.full((patients, replicates), np.inf), np.zeros((patients, replicates), dtype=bool)
    v, n, r = np.unravel_index(np.flatnonzero(positive.T), positive.T.shape)
    day, nominal = s.day[r, n, v], s.nominal[r, n, v]
    closing = (nominal == plan.window) & (np.abs(day - plan.window) <= plan.closing_window)
    day[closing] = np.minimum(day[closing], plan.window)
    patient = n * replicates + r
    if definition in ("detected", "quantifiable"):
        at_baseline.reshape(-1)[patient[day <= 0]] = True
        at_baseline = at_baseline.T
    else:  # any quantified DNAemia is prevalent, be it below the level
        at_baseline = ((s.result == Result.QUANTIFIED) & (s.day <= 0)).any(axis=-1)
    inside = (day > 0) & (day <= plan.window)
    np.minimum.at(first.reshape(-1), patient[inside], day[inside])
    first = first.T
    if definition == "clinically_significant":
        first = _first_treatment_or_disease(study, plan)
    return first, at_baseline


def _first_treatment_or_disease(study: Study, plan: AnalysisSpec) -> FloatArray:
    """First day of pre-emptive treatment or CMV disease (proven or probable) in the window, +inf if none."""
    first = np.full(study.disposition.end.shape, np.inf)
    if "cmv_disease" not in study.events and not study.exposures:
        raise InputError(
            Problem(
                "neither antiviral treatment nor CMV disease was recorded, so clinically significant infection cannot be seen",
                "analysis",
                "definition",
                "tables exposures.csv or events.csv",
            )
        )
    for drug in ANTIVIRALS:
        if drug in study.exposures and study.exposures[drug].start.shape[-1]:
            start = study.exposures[drug].start
            first = np.fmin(first, np.fmin.reduce(np.where(start > 0, start, np.inf), axis=-1))
    if "cmv_disease" in study.events:
        disease = first_disease(study)
        first = np.fmin(first, np.where(disease > 0, disease, np.inf))
    return np.where(first <= plan.window, first, np.inf)


def first_disease(study: Study) -> FloatArray:
    """(R, N) day of the first proven or probable CMV disease, +inf if none.

    Where the certainty was not written down the disease counts; a possible one does not.

    Raises
    ------
    InputError
        If CMV disease was not recorded.
    """
    if "cmv_disease" not in study.events:
        raise InputError(Problem("CMV disease was not recorded", "events", "event", "a table events.csv"))
    found = study.events["cmv_disease"]
    day = found.day
    if found.certainty is not None:
        day = np.where(found.certainty == CERTAINTIES.index("possible"), np.nan, day)
    return np.asarray(np.fmin.reduce(day, axis=-1, initial=np.inf))


def end_of_follow_up(study: Study, plan: AnalysisSpec) -> tuple[FloatArray, NDArray[np.int8]]:
    """Day and cause with which follow-up for CMV ends within the window, were there no CMV.

    Returns
    -------
    time
        (R, N) day, at most the window; an event on this day counts, as the order within a day is sample, treatment start,
        relapse, death. Monitoring that was completed within the closing window lasts to the end of the window.
    cause
        (R, N) int8 as in :class:`~cmvsim.endpoints.derived.TimeToEvent`, as the plan handles relapse and transplantation.

    Raises
    ------
    InputError
        If the plan asks for relapse, which was not recorded.
    """
    end, reason = study.disposition.followed(plan.window, plan.closing_window), study.disposition.reason
    time = np.minimum(end, plan.window)
    inside = end <= plan.window
    cause = np.full(time.shape, CENSORED, dtype=np.int8)
    cause[inside & (reason == EndReason.DEATH)] = DEATH
    # a death after an early closing visit: of those it alone ends follow-up before, or with, the last day of the window
    cause[(study.disposition.end < end) & (study.disposition.death <= plan.window)] = DEATH
    if plan.hct == "competing":
        cause[inside & (reason == EndReason.HCT)] = HCT
    if plan.relapse != "treatment_policy":
        if "relapse" not in study.events:
            raise InputError(
                Problem(f'relapse = "{plan.relapse}", but no relapse was recorded', "analysis", "relapse", "a table events.csv")
            )
        relapse = study.events["relapse"].first
        # Monitoring that a new therapy ends stops on the last whole day before it: that relapse is what ended it.
        ended = np.where(reason == EndReason.NEW_THERAPY, end + 1, end)
        earlier = (relapse <= ended) & (relapse <= plan.window)
        time = np.where(earlier, relapse, time)
        cause = np.where(earlier, np.int8(RELAPSE if plan.relapse == "competing" else CENSORED), cause)
    return time, cause


def positive_since(study: Study, plan: AnalysisSpec) -> tuple[FloatArray, BoolArray]:
    """Day from which a patient counts as CMV positive, as an exposure; and who had DNAemia at or before infusion.

    Returns
    -------
    since
        (R, N) first qualifying day under follow-up, +inf if never; 0 for DNAemia at or before infusion where the plan
        counts it. Once positive, always positive.
    at_baseline
        As of :func:`first_qualifying`.
    """
    first, at_baseline = first_qualifying(study, plan)
    end, _ = end_of_follow_up(study, plan)
    since = np.where(first <= end, first, np.inf)
    if plan.prevalent == "count":
        since = np.where(at_baseline, 0.0, since)
    return since, at_baseline


def daily_status(study: Study, plan: AnalysisSpec) -> BoolArray:
    """Whether a patient has become CMV positive on or before each day 0, 1, ..., window: (R, N, window + 1).

    The day of the positive sample itself is positive. An exposure whose outcome falls on days begins the day after
    (intervals open to the left), so that what happens on the day of the sample is not laid to it.
    """
    since, _ = positive_since(study, plan)
    return np.asarray(since[..., None] <= np.arange(plan.window + 1))
