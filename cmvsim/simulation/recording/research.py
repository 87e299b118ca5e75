"""What is collected for research: virome and CAR-T cell samples, sequencing, questionnaires; in the prospective part only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmvsim.core.records import BoolArray, FloatArray
from cmvsim.data.study import CellSamples, Change, Questionnaires, Result, Sequencing, VirusSamples
from cmvsim.models.history import History
from cmvsim.models.resistance import CLASSES, GENES
from cmvsim.models.time_grid import study_day
from cmvsim.models.virome import VIRUSES

SAME_VISIT = 1
"""A research sample is taken at the protocol visit after infusion planned within so many days of it, if there is one."""

POWERS = 10.0 ** np.arange(64.0)
"""Powers of ten, of which loads and concentrations need the first few."""

SHOWS = {
    "known_polymorphism": Change.POLYMORPHISM,
    "unknown": Change.UNKNOWN,
    "known_resistance": Change.KNOWN_RESISTANCE,
}
"""In order of gravity: the gravest change of a gene is what is written down."""


def prospective(history: History) -> BoolArray:
    """(R, N) patients of the prospective part."""
    return ~np.asarray(history.view(history.population.retrospective), dtype=bool)


def sample_times(history: History, day: int, known: FloatArray) -> FloatArray:
    """(R, N) when the research sample planned for a day was taken, NaN if it was not.

    It is taken with the CMV sample of the nearest protocol visit, and is missed with it; with no such visit, on its day.
    """
    here = np.where(prospective(history) & (day <= known), float(day), np.nan)
    if history.samples is None or day <= 0:
        return here
    planned = np.where(history.samples.nominal > 0, history.samples.nominal, np.inf)[: history.samples.visits]
    nearest = int(np.argmin(np.abs(planned - day)))
    if abs(planned[nearest] - day) > SAME_VISIT:
        return here
    times = history.samples.time[..., nearest]
    return np.where(prospective(history) & (times <= known), times, np.nan)


def virome(history: History, known: FloatArray) -> dict[str, VirusSamples]:
    """Samples for the three viruses, at the same visits."""
    days = history.virome.visits
    times = [sample_times(history, day, known) for day in days]
    day, nominal = _stacked(times), _nominal(history, days)
    found: dict[str, VirusSamples] = {}
    for name in VIRUSES:
        results, loads = [], []
        for planned, time in zip(days, times, strict=True):
            flat = _flat(time)
            if name == "anellovirus":
                measured = np.asarray(history.view(history.virome.observed(planned, flat)))
                load = np.where(np.isfinite(measured), np.round(measured, 2), np.nan)
                result = np.where(np.isfinite(measured), Result.QUANTIFIED, Result.NOT_DETECTED)
            else:
                positive = np.asarray(history.view(history.virome.positive(name, np.nan_to_num(flat, nan=0.0))))
                load = np.full(time.shape, np.nan)
                result = np.where(positive, Result.BELOW_LLOQ, Result.NOT_DETECTED)
            results.append(np.where(np.isnan(time), Result.NONE, result).astype(np.int8))
            loads.append(load)
        found[name] = VirusSamples(nominal, day, _stacked(results), _stacked(loads))
    return found


def car_t(history: History, known: FloatArray) -> CellSamples:
    """CAR-T cell concentrations, three significant digits."""
    kinetics, days = history.kinetics, [d for d in history.kinetics.spec.visits.value if d <= history.horizon]
    times = [sample_times(history, day, known) for day in days]
    levels, results = [], []
    for planned, time in zip(days, times, strict=True):
        level = np.asarray(history.view(kinetics.observed(planned, np.nan_to_num(_flat(time), nan=0.0))))
        level = np.where(np.isnan(time), np.nan, level)
        result = np.where(np.isnan(level), Result.BELOW_LLOQ, Result.QUANTIFIED)
        results.append(np.where(np.isnan(time), Result.NONE, result).astype(np.int8))
        levels.append(three_digits(level))
    assays = {product: kinetics.spec.assay(disease, product) for disease, product in history.population.spec.cells}
    ordered = [assays[product] for product in history.population.spec.products]
    return CellSamples(
        nominal=_nominal(history, days),
        day=_stacked(times),
        result=_stacked(results),
        level=_stacked(levels),
        units=tuple(assay.unit for assay in ordered),
        lloq=tuple(float(assay.lloq) for assay in ordered),
    )


def three_digits(values: FloatArray) -> FloatArray:
    """Positive numbers at three significant digits, halves up as of loads (section 7); NaN stays NaN."""
    e = np.floor(np.log10(np.where(values > 0, values, 1.0))) - 2
    # of 10^e and 10^-e the whole one: only so is the result the number nearest to the three digits
    scale, large = POWERS[np.minimum(np.abs(e), POWERS.size - 1).astype(np.int64)], e >= 0
    digits = np.floor(np.where(large, values / scale, values * scale) + 0.5)
    rounded: FloatArray = np.where(large, digits * scale, digits / scale)
    return rounded


def sequencing(history: History, known: FloatArray) -> Sequencing:
    """Samples sent, in order of time; how each gene read."""
    assert history.sequencing is not None
    assert history.samples is not None
    found = history.sequencing
    sent = np.asarray(history.view(found.sent), dtype=bool) & (history.samples.time <= known[..., None])
    slots = int(sent.sum(axis=-1).max(initial=0))
    order = np.argsort(np.where(sent, history.samples.time, np.inf), axis=-1, kind="stable")[..., :slots]
    mine = np.take_along_axis(sent, order, axis=-1)
    read = np.take_along_axis(np.asarray(history.view(found.sequenced), dtype=bool), order, axis=-1)
    change = np.where(read[..., None], np.int8(Change.NO_CHANGE), np.int8(Change.FAILED))
    change = np.repeat(change, len(GENES), axis=-1)
    for name, code in SHOWS.items():
        for gene in range(len(GENES)):
            seen = np.asarray(history.view(found.seen[CLASSES.index(name), gene]), dtype=bool)
            shown = np.take_along_axis(seen, order, axis=-1) & read
            change[..., gene] = np.where(shown, np.int8(code), change[..., gene])
    change = np.where(mine[..., None], change, np.int8(Change.NONE)).astype(np.int8)
    time = np.take_along_axis(history.samples.time, order, axis=-1)
    return Sequencing(np.where(mine, study_day(time), np.nan), GENES, change)


def questionnaires(history: History, known: FloatArray) -> Questionnaires:
    """Answers, and questionnaires that were due and not filled in."""
    asked = history.questionnaires
    assert asked is not None
    days = np.asarray(asked.days, dtype=np.float64)
    here = prospective(history)[..., None] & (days <= known[..., None])
    instrument = np.where(here, history.view(asked.instrument), 0).astype(np.int8)
    due = instrument > 0
    levels = np.moveaxis(asked.levels, 1, 0)  # (5, V, P)
    answers = np.stack([np.asarray(history.view(row)) for row in levels], axis=-1)
    answers = np.where(due[..., None], answers, 0).astype(np.int8)
    given = (answers > 0).any(axis=-1)
    vas = np.asarray(history.view(asked.vas), dtype=np.float64)
    return Questionnaires(
        nominal=np.where(due, days, np.nan),
        day=np.where(given, days, np.nan),
        instrument=instrument,
        proxy=np.asarray(history.view(asked.proxy), dtype=bool) & due,
        levels=answers,
        vas=np.where(given, vas, np.nan),
    )


def _flat(values: FloatArray) -> FloatArray:
    """(R, N) as flat patient-major (P,)."""
    return np.ascontiguousarray(values.T).reshape(-1)


def _stacked(columns: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """(R, N) columns as (R, N, V), visit by visit in memory, as what is done with them runs over patients."""
    return np.stack([column.T for column in columns]).T


def _nominal(history: History, days: Sequence[int]) -> FloatArray:
    """Planned days (R, N, V); none for the retrospective part, which has no research samples to miss."""
    asked = prospective(history)
    return _stacked([np.where(asked, float(day), np.nan) for day in days])
