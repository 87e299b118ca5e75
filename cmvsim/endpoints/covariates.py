"""Named covariates of a study's patients: what risk-factor models may be asked to hold.

A *baseline* covariate is known at infusion. A *time-dependent* one is 1 from a day on ("has begun", "was reached"), or
during spells ("on a course"). A day's state is that of the evening before: within a day a sample comes before treatments and
toxicities, so what begins on day d may explain a sample from day d + 1 on, and no later one than the day after it ends.

``corticosteroids`` has begun and stays 1, a course having lasting effects; ``corticosteroids_current`` is 1 during courses
only, without a carry-over. A severe grade is reached
on its `severe_day`, whether or not the grade was written down; where that day was not recorded, on the first day of an event
that was given that grade at its worst.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from cmvsim.core.errors import InputError, Problem, did_you_mean
from cmvsim.core.records import FloatArray
from cmvsim.data.study import Study, Topic

SEVERE = 3
"""Grade from which toxicity is severe."""
YEARS = 10.0
"""Age counts in steps of so many years."""
PRODUCT = "product:"
"""Before the name of a product: patients who received it against all others."""


@dataclass(frozen=True, slots=True)
class Spells:
    """When a time-dependent covariate is 1: from day `start` to day `stop`, (R, N, K), NaN where there is no spell.

    `start` is the day on which it begins and `stop` the last day on which it lasts, +inf where it does not end; it
    explains events of days start + 1 to stop + 1.
    """

    start: FloatArray
    stop: FloatArray


@dataclass(frozen=True, slots=True)
class Covariate:
    """One covariate.

    Attributes
    ----------
    name, label
        In plans and results; in tables.
    kind
        "baseline" or "time-dependent".
    unit
        What a ratio is per.
    reads
        Parts of the tables it needs.
    values
        Baseline: (R, N) values, NaN where not recorded of a patient. Time-dependent: its spells.
    """

    name: str
    label: str
    kind: Literal["baseline", "time-dependent"]
    unit: str
    reads: frozenset[Topic]
    values: Callable[[Study], FloatArray | Spells]


def covariate(name: str) -> Covariate:
    """Look a covariate up by name, or by "product:" and a product's name.

    Raises
    ------
    InputError
        If there is none, with the nearest one.
    """
    if name.startswith(PRODUCT) and name != PRODUCT:
        product = name.removeprefix(PRODUCT)
        reads = frozenset({Topic.BASELINE})
        return Covariate(name, f"Product {product}", "baseline", "against all others", reads, partial(_product, product))
    if name not in COVARIATES:
        known = (*COVARIATES, f"{PRODUCT}NAME")
        raise InputError(
            Problem(f"there is no covariate '{name}'", "analysis", "risk_factors", did_you_mean(name, known)),
        )
    return COVARIATES[name]


def covariates(names: tuple[str, ...]) -> tuple[Covariate, ...]:
    """Look several up.

    Raises
    ------
    InputError
        With every name that does not exist, or is given twice; or if there are none.
    """
    problems: list[Problem] = []
    found: list[Covariate] = []
    for place, name in enumerate(names):
        try:
            found.append(covariate(name))
        except InputError as error:
            problems += error.problems
        if name in names[:place]:
            problems.append(Problem(f"covariate '{name}' is named twice", "analysis", "risk_factors"))
    if not names:
        problems.append(Problem("no covariates are named", "analysis", "risk_factors", ", ".join(COVARIATES)))
    if problems:
        raise InputError(problems)
    return tuple(found)


def baseline_values(covariate: Covariate, study: Study) -> FloatArray:
    """(R, N) values of a baseline covariate; NaN where not recorded of a patient.

    Raises
    ------
    InputError
        If the study has not recorded it at all.
    """
    values = covariate.values(study)
    assert isinstance(values, np.ndarray)
    return values


def spells(covariate: Covariate, study: Study) -> Spells:
    """When a time-dependent covariate is 1.

    Raises
    ------
    InputError
        If the study has not recorded it.
    """
    found = covariate.values(study)
    assert isinstance(found, Spells)
    return found


def known_on(covariate: Covariate, study: Study, day: float) -> FloatArray:
    """(R, N) value on the evening of a day, whatever the kind."""
    if covariate.kind == "baseline":
        return baseline_values(covariate, study)
    found = spells(covariate, study)
    return np.asarray(((found.start <= day) & (found.stop >= day)).any(axis=-1), dtype=np.float64)


def _not_recorded(what: str, table: str) -> InputError:
    return InputError(Problem(f"{what} was not recorded", "analysis", "risk_factors", f"a table {table}"))


def _column(name: str, per: float, study: Study) -> FloatArray:
    if name not in study.subjects.covariates:
        raise _not_recorded(name, f"subjects.csv with a column {name}")
    column: FloatArray = study.subjects.covariates[name] / per
    return column


def _leukaemia(study: Study) -> FloatArray:
    values: FloatArray = np.array([float(name == "leukaemia") for name in study.subjects.diseases])[study.subjects.stratum]
    return values


def _product(name: str, study: Study) -> FloatArray:
    column = _column("product", 1.0, study)
    products = study.subjects.labels.get("product", ())
    if name not in products:
        raise InputError(
            Problem(f"no patient received '{name}'", "analysis", "risk_factors", did_you_mean(name, products)),
        )
    return np.where(np.isnan(column), np.nan, column == products.index(name))


def _courses(drugs: tuple[str, ...], current: bool, study: Study) -> Spells:
    given = [study.exposures[drug] for drug in drugs if drug in study.exposures]
    if not given:
        raise _not_recorded(" or ".join(drugs), "exposures.csv")
    start = np.concatenate([courses.start for courses in given], axis=-1)
    if not current:
        return _from(start)
    stop = np.concatenate([courses.stop for courses in given], axis=-1) - 1
    return Spells(start, np.where(np.isnan(stop), np.inf, stop))


def _event(name: str, grade: int, study: Study) -> Spells:
    if name not in study.events:
        raise _not_recorded(name, "events.csv")
    found = study.events[name]
    if grade == 0:
        return _from(found.day)
    dated = found.severe if grade == SEVERE else None
    if found.grade is None and dated is None:
        raise _not_recorded(f"the grade of {name}", "events.csv with a column grade")
    reached = np.full(found.day.shape, np.nan) if found.grade is None else np.where(found.grade >= grade, found.day, np.nan)
    return _from(reached if dated is None else np.where(np.isnan(dated), reached, dated))


def _intensive_care(study: Study) -> Spells:
    if study.stays is None:
        raise _not_recorded("intensive care", "stays.csv")
    return _from(np.where(study.stays.icu, study.stays.start, np.nan))


def _from(days: FloatArray) -> Spells:
    """From the first of these days on, for good."""
    first = np.fmin.reduce(days, axis=-1, initial=np.inf)[..., np.newaxis]
    return Spells(np.where(np.isfinite(first), first, np.nan), np.full(first.shape, np.inf))


_BASELINE = frozenset({Topic.BASELINE})
_TOXICITY = frozenset({Topic.TOXICITY})
_INFECTIONS = frozenset({Topic.INFECTIONS})
_NOTHING: frozenset[Topic] = frozenset()
_YES = "yes against no"
_BEGUN = "once begun"

_ALL = (
    Covariate("age", "Age", "baseline", "per 10 years", _BASELINE, partial(_column, "age", YEARS)),
    Covariate("leukaemia", "Leukaemia", "baseline", "against lymphoma", _NOTHING, _leukaemia),
    Covariate(
        "prior_allogeneic_hct",
        "Prior allogeneic HCT",
        "baseline",
        _YES,
        _BASELINE,
        partial(_column, "prior_allogeneic_hct", 1.0),
    ),
    Covariate("male", "Male sex", "baseline", "against female", _BASELINE, partial(_column, "sex", 1.0)),
    Covariate(
        "corticosteroids",
        "Corticosteroids, ever",
        "time-dependent",
        _BEGUN,
        _TOXICITY,
        partial(_courses, ("corticosteroids",), False),
    ),
    Covariate(
        "corticosteroids_current",
        "Corticosteroids, current",
        "time-dependent",
        "during a course",
        _TOXICITY,
        partial(_courses, ("corticosteroids",), True),
    ),
    Covariate("tocilizumab", "Tocilizumab", "time-dependent", _BEGUN, _TOXICITY, partial(_courses, ("tocilizumab",), False)),
    Covariate("anakinra", "Anakinra", "time-dependent", _BEGUN, _TOXICITY, partial(_courses, ("anakinra",), False)),
    Covariate(
        "aciclovir",
        "(Val)aciclovir",
        "time-dependent",
        _BEGUN,
        _TOXICITY,
        partial(_courses, ("aciclovir", "valaciclovir"), False),
    ),
    Covariate(
        "severe_crs",
        "CRS that reached grade 3 or more",
        "time-dependent",
        "from its onset",
        _TOXICITY,
        partial(_event, "crs", SEVERE),
    ),
    Covariate(
        "severe_icans",
        "ICANS that reached grade 3 or more",
        "time-dependent",
        "from its onset",
        _TOXICITY,
        partial(_event, "icans", SEVERE),
    ),
    Covariate("neutropenia", "Neutropenia", "time-dependent", _BEGUN, _TOXICITY, partial(_event, "neutropenia", 0)),
    Covariate("icu", "Intensive care", "time-dependent", "once admitted", frozenset({Topic.STAYS}), _intensive_care),
    Covariate("relapse", "Relapse", "time-dependent", "once relapsed", _NOTHING, partial(_event, "relapse", 0)),
    Covariate(
        "bacterial_infection",
        "Bacterial infection",
        "time-dependent",
        "once infected",
        _INFECTIONS,
        partial(_event, "bacterial_infection", 0),
    ),
    Covariate(
        "fungal_infection",
        "Fungal infection",
        "time-dependent",
        "once infected",
        _INFECTIONS,
        partial(_event, "fungal_infection", 0),
    ),
)
COVARIATES = {entry.name: entry for entry in _ALL}
"""By name. Adding one costs a line."""
