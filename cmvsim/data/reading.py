"""Tables -> Study: a real (or written) study as a batch of one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from cmvsim.core.records import BoolArray, FloatArray, IntArray
from cmvsim.data.cells import ObjectArray
from cmvsim.data.checks import check_study, positions
from cmvsim.data.parsing import Values
from cmvsim.data.schema import COVARIATES, DRUGS, EVENTS, Kind
from cmvsim.data.study import Courses, Disposition, Int8Array, Occurrences, Result, Samples, Study, Subjects

PatientIndex = Callable[[Values], IntArray]


def read_study(folder: Path) -> Study:
    """Read a study's tables.

    Parameters
    ----------
    folder
        Folder with ``subjects.csv``, ``samples.csv``, ``disposition.csv``; perhaps ``exposures.csv`` and
        ``events.csv``.

    Returns
    -------
    Study
        One replicate; patients as in ``subjects.csv``; strata and open categories by first appearance; the
        `labels` names the codes of categories. Where an optional table is there, every event
        `labels` names the codes of categorical covariates. Where an optional table is there, every event
        (drug) the schema names has an entry, without a day if it has no row; where it is absent, nothing is
        known and the mapping is empty.

    Raises
    ------
    InputError
        With every problem of the tables (see :func:`cmvsim.data.checks.check_study`).
    """
    tables = check_study(folder)
    subjects = tables["subjects"]
    patients = subjects.texts["patient"]

    def index(values: Values) -> IntArray:
        return positions(values.texts["patient"], patients)

    return Study(
        subjects=_subjects(subjects),
        samples=_samples(tables["samples"], index, patients.size),
        disposition=_disposition(tables["disposition"], index, patients.size),
        events=_events(tables["events"], index, patients.size) if "events" in tables else {},
        exposures=_exposures(tables["exposures"], index, patients.size) if "exposures" in tables else {},
    )


def _subjects(values: Values) -> Subjects:
    codes, strata = pd.factorize(values.texts["stratum"])
    _, first = np.unique(codes, return_index=True)
    covariates: dict[str, FloatArray] = {}
    labels: dict[str, tuple[str, ...]] = {}
    for column in COVARIATES:
        if not values.has(column.name):
            continue
        if column.kind is Kind.NUMBER or column.allowed:
            covariate = values.numbers[column.name]
        else:
            covariate, labels[column.name] = _coded(values.texts[column.name])
        covariates[column.name] = covariate[np.newaxis]
        if column.allowed:
            labels[column.name] = column.allowed
    return Subjects(
        stratum=codes.astype(np.int8)[np.newaxis],
        strata=tuple(strata),
        diseases=tuple(values.texts["disease"][first]),
        covariates=covariates,
        labels=labels,
        patients=tuple(values.texts["patient"]),
    )


def _coded(texts: ObjectArray) -> tuple[FloatArray, tuple[str, ...]]:
    given: BoolArray = texts != ""
    codes, labels = pd.factorize(texts[given])
    out = np.full(texts.size, np.nan)
    out[given] = codes
    return out, tuple(labels)


def _slots(patient: IntArray, order: IntArray) -> IntArray:
    """Place of each row among the rows of its patient, given the order that sorts the rows by patient."""
    ordered = patient[order]
    starts = np.searchsorted(ordered, ordered, side="left")
    out = np.empty_like(order)
    out[order] = np.arange(order.size) - starts
    return out


def _samples(values: Values, index: PatientIndex, patients: int) -> Samples:
    patient = index(values)
    nominal, day = values.numbers["nominal_day"], values.numbers["day"]
    order = np.lexsort((np.where(np.isnan(day), nominal, day), patient))  # stable: ties stay as in the file
    slot = _slots(patient, order)
    shape = (1, patients, int(slot.max()) + 1)

    def spread(column: FloatArray) -> FloatArray:
        out = np.full(shape, np.nan)
        out[0, patient, slot] = column
        return out

    result: Int8Array = np.full(shape, Result.NONE, dtype=np.int8)
    result[0, patient, slot] = values.numbers["result"]
    matrix = values.texts["matrix"]
    lloq = values.numbers["lloq_iu_ml"]
    return Samples(
        nominal=spread(nominal),
        day=spread(day),
        result=result,
        load=spread(values.numbers["load_iu_ml"]),
        matrix=str(matrix[matrix != ""][0]),
        lloq=float(lloq[~np.isnan(lloq)][0]),
    )


def _disposition(values: Values, index: PatientIndex, patients: int) -> Disposition:
    patient = index(values)

    def placed(column: FloatArray) -> FloatArray:
        out = np.empty((1, patients))
        out[0, patient] = column
        return out

    return Disposition(
        end=placed(values.numbers["end_day"]),
        reason=placed(values.numbers["reason"]).astype(np.int8),
        death=placed(values.numbers["death_day"]),
    )


def _events(values: Values, index: PatientIndex, patients: int) -> dict[str, Occurrences]:
    all_patients, kind, all_days = index(values), values.numbers["event"], values.numbers["day"]
    events: dict[str, Occurrences] = {}
    for code, name in enumerate(EVENTS):
        rows = np.flatnonzero(kind == code)
        patient, day = all_patients[rows], all_days[rows]
        slot = _slots(patient, np.lexsort((day, patient)))
        days = np.full((1, patients, int(slot.max(initial=0)) + 1), np.nan)
        days[0, patient, slot] = day
        events[name] = Occurrences(days)
    return events


def _exposures(values: Values, index: PatientIndex, patients: int) -> dict[str, Courses]:
    all_patients, kind = index(values), values.numbers["drug"]
    exposures: dict[str, Courses] = {}
    for code, name in enumerate(DRUGS):
        rows = np.flatnonzero(kind == code)
        patient, start = all_patients[rows], values.numbers["start_day"][rows]
        slot = _slots(patient, np.lexsort((start, patient)))
        courses = np.full((2, 1, patients, int(slot.max(initial=0)) + 1), np.nan)
        courses[0, 0, patient, slot] = start
        courses[1, 0, patient, slot] = values.numbers["stop_day"][rows]
        exposures[name] = Courses(start=courses[0], stop=courses[1])
    return exposures
