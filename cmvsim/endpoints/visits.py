"""Questionnaires of a study laid out by planned visit: measurements, instrument, and CMV status at each visit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import BoolArray, FloatArray, IntArray
from cmvsim.data.study import EndReason, Questionnaire, Questionnaires, Study
from cmvsim.endpoints.analysis import AnalysisSpec
from cmvsim.endpoints.cmv_status import first_qualifying
from cmvsim.endpoints.derived import Longitudinal
from cmvsim.endpoints.population import also, anybody, left_out
from cmvsim.valuation import ValueSet, value_set

GROUPS = ("EQ-5D-5L", "EQ-5D-Y")
"""Instruments in the order of their codes, less one."""
_CODES = (Questionnaire.EQ_5D_Y, Questionnaire.EQ_5D_5L)

Measure = Callable[[Questionnaires, AnalysisSpec], FloatArray]
"""(questionnaires, plan) -> (R, N, V) measurement, NaN where there is none."""


def index(asked: Questionnaires, plan: AnalysisSpec) -> FloatArray:
    """Index by the value sets of the plan; NaN where an item has no answer.

    Raises
    ------
    InputError
        If a value set does not exist, or is of the other instrument.
    """
    sets = named_value_sets(plan)
    out = np.full(asked.day.shape, np.nan)
    for code, values in zip(_CODES, sets, strict=True):
        mine = (asked.instrument == code) & (asked.levels > 0).all(axis=-1)
        if mine.any():
            out[mine] = values.index(asked.levels[mine])
    return out


def named_value_sets(plan: AnalysisSpec) -> tuple[ValueSet, ValueSet]:
    """The value sets that a plan names, of EQ-5D-Y-3L and of EQ-5D-5L.

    Raises
    ------
    InputError
        If one does not exist, or is of the other instrument.
    """
    return (
        _of_instrument(plan.value_set_youth, "EQ-5D-Y-3L", "value_set_youth"),
        _of_instrument(plan.value_set, "EQ-5D-5L", "value_set"),
    )


def _of_instrument(name: str, instrument: str, at: str) -> ValueSet:
    try:
        found = value_set(name)
    except InputError as error:
        raise InputError(Problem(error.problems[0].message, "analysis", at)) from None
    if found.instrument != instrument:
        raise InputError(Problem(f"value set '{name}' is of {found.instrument}", "analysis", at, f"one of {instrument}"))
    return found


def vas(asked: Questionnaires, plan: AnalysisSpec) -> FloatArray:  # noqa: ARG001 -- the signature of all
    """Visual analogue scale, 0 to 100."""
    return asked.vas


def problems(dimension: int) -> Measure:
    """Whether there is any problem in a dimension, 1 or 0."""

    def measure(asked: Questionnaires, plan: AnalysisSpec) -> FloatArray:  # noqa: ARG001
        level = asked.levels[..., dimension]
        return np.where(level > 0, level > 1, np.nan)

    return measure


def profile(asked: Questionnaires, plan: AnalysisSpec) -> FloatArray:  # noqa: ARG001
    """The five answers as one number, 21232; NaN where an item has no answer."""
    code = asked.levels.astype(np.float64) @ 10.0 ** np.arange(4, -1, -1)
    return np.where((asked.levels > 0).all(axis=-1), code, np.nan)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each planned questionnaire of a patient stands: (R, N, V) slot of each of V planned days, -1 if none."""

    days: tuple[int, ...]
    slot: IntArray

    def take(self, values: NDArray[Any], missing: float) -> NDArray[Any]:
        """Values (R, N, slots) at the planned days."""
        got = np.take_along_axis(values, np.maximum(self.slot, 0), axis=-1)
        return np.where(self.slot >= 0, got, missing)


def layout(asked: Questionnaires, window: int) -> Layout:
    """Planned days after infusion up to the end of the window."""
    nominal = asked.nominal
    found = np.unique(nominal[(nominal > 0) & (nominal <= window)])
    slot = np.full((*nominal.shape[:2], found.size), -1, dtype=np.int64)
    for v in range(nominal.shape[-1]):
        for place, day in enumerate(found):
            here = nominal[..., v] == day
            # of two for one day the answered one counts, the later one if both are
            better = here & ((slot[..., place] < 0) | ~np.isnan(asked.day[..., v]))
            slot[better, place] = v
    return Layout(tuple(int(day) for day in found), slot)


def last_before(asked: Questionnaires, values: FloatArray) -> tuple[FloatArray, IntArray]:
    """(R, N) last measurement planned on or before the day of infusion, NaN if none, and its instrument (0: none)."""
    baseline = np.full(values.shape[:2], np.nan)
    instrument = np.zeros(values.shape[:2], dtype=np.int64)
    latest = np.full(values.shape[:2], -np.inf)
    for v in range(values.shape[-1]):
        nominal = asked.nominal[..., v]
        counts = (nominal <= 0) & ~np.isnan(values[..., v]) & (nominal >= latest)
        latest = np.where(counts, nominal, latest)
        baseline = np.where(counts, values[..., v], baseline)
        instrument = np.where(counts, asked.instrument[..., v], instrument)
    return baseline, instrument


def longitudinal(measure: Measure, *, death_as: float | None = None) -> Callable[[Study, AnalysisSpec], Longitudinal]:
    """Derivation of a measurement at visits, with CMV status on or before each.

    The instrument of a patient is that of the baseline; a later answer on the other one is not compared and counts as
    missing. CMV status is a fact of the past whatever has happened since: it depends on no policy for relapse or
    transplantation, and stays once monitoring has ended.

    Parameters
    ----------
    measure
        What is measured.
    death_as
        Value at visits planned on or after the day of death; None: while alive.
    """

    def derive(study: Study, plan: AnalysisSpec) -> Longitudinal:
        asked = study.questionnaires
        if asked is None:
            raise InputError(
                Problem("no questionnaires were recorded", "analysis", "endpoints", "a table questionnaires.csv for hrql")
            )
        values = measure(asked, plan)
        plan_days = layout(asked, plan.window)
        baseline, code = last_before(asked, values)
        same = plan_days.take(asked.instrument, 0) == code[..., None]
        value = np.where(same, plan_days.take(values, np.nan), np.nan)
        days = np.array(plan_days.days, dtype=np.float64)
        dead = study.disposition.death[..., None] <= days
        if death_as is not None:
            value = np.where(dead, death_as, value)
        when = np.where(np.isnan(day := plan_days.take(asked.day, np.nan)), days, day)
        first, prevalent = cmv_status(study, plan)
        excluded = _excluded(study, plan, asked, prevalent, baseline, value)
        out = anybody(excluded, study)
        return Longitudinal(
            value=np.where(out[..., None], np.nan, value),
            baseline=np.where(out, np.nan, baseline),
            exposed=(first[..., None] <= when).astype(np.float64),
            alive=~dead & ~_gone(study, days),
            group=np.where(code == Questionnaire.EQ_5D_Y, 1, 0),
            days=plan_days.days,
            groups=GROUPS,
            excluded=excluded,
        )

    return derive


def cmv_status(study: Study, plan: AnalysisSpec) -> tuple[FloatArray, BoolArray]:
    """(R, N) day of the first qualifying sample seen under monitoring, +inf if none; and DNAemia at or before infusion.

    With `prevalent` = "count" patients have CMV from infusion on.
    """
    first, prevalent = first_qualifying(study, plan)
    first = np.where(first <= study.disposition.end, first, np.inf)
    return (np.where(prevalent, 0.0, first) if plan.prevalent == "count" else first), prevalent


def _gone(study: Study, days: FloatArray) -> BoolArray:
    """Withdrawn, lost, or cut off before a visit: nobody is asked any more."""
    left = np.isin(study.disposition.reason, (EndReason.WITHDRAWN, EndReason.LOST, EndReason.ONGOING))
    return np.asarray(left[..., None] & (study.disposition.end[..., None] < days))


def _excluded(
    study: Study,
    plan: AnalysisSpec,
    asked: Questionnaires,
    prevalent: BoolArray,
    baseline: FloatArray,
    value: FloatArray,
) -> dict[str, BoolArray]:
    excluded = left_out(study, plan)
    if plan.prevalent == "exclude":
        excluded = also(excluded, "DNAemia at or before infusion", prevalent, study)
    never = np.asarray(~(asked.instrument > 0).any(axis=-1))
    excluded = also(excluded, "never asked: too young, or not in the prospective part", never, study)
    excluded = also(excluded, "no answer before infusion", np.isnan(baseline), study)
    return also(excluded, "no answer after infusion", np.asarray(np.isnan(value).all(axis=-1)), study)
