"""Tables -> Study: a real (or written) study as a batch of one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from cmvsim.core.records import BoolArray, FloatArray, IntArray
from cmvsim.data.cells import ObjectArray
from cmvsim.data.checks import check_study
from cmvsim.data.matching import positions
from cmvsim.data.parsing import Values
from cmvsim.data.placing import PatientIndex, slots, spread
from cmvsim.data.reading_further import car_t, questionnaires, resources, sequencing, stays, virome
from cmvsim.data.schema import COVARIATES, DRUGS, EVENTS, Kind
from cmvsim.data.study import Courses, Disposition, Int8Array, Occurrences, Result, Samples, Study, Subjects


def read_study(folder: Path) -> Study:
    """Read a study's tables.

    Parameters
    ----------
    folder
        Folder with the tables ``subjects``, ``samples``, ``disposition`` and perhaps others, each in one of the formats
        of :mod:`cmvsim.data.formats`.

    Returns
    -------
    Study
        One replicate; patients as in ``subjects``; strata and open categories by first appearance; `labels` names the
        codes of categorical covariates. Where ``events`` (``exposures``) is there, every event (drug) the schema names has
        an entry, without a day if it has no row; where it is absent, nothing is known and the mapping is empty. Of the
        virome, viruses with rows have an entry.

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
        virome=virome(tables["virome"], index, patients.size) if "virome" in tables else {},
        car_t=car_t(tables["car_t"], index, subjects) if "car_t" in tables else None,
        sequencing=sequencing(tables["sequencing"], index, patients.size) if "sequencing" in tables else None,
        questionnaires=questionnaires(tables["questionnaires"], index, patients.size) if "questionnaires" in tables else None,
        stays=stays(tables["stays"], index, patients.size) if "stays" in tables else None,
        resources=resources(tables["resources"], tables.get("unit_costs"), index) if "resources" in tables else None,
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


def _samples(values: Values, index: PatientIndex, patients: int) -> Samples:
    patient = index(values)
    nominal, day = values.numbers["nominal_day"], values.numbers["day"]
    order = np.lexsort((np.where(np.isnan(day), nominal, day), patient))  # stable: ties stay as in the file
    slot = slots(patient, order)

    def placed(column: FloatArray) -> FloatArray:
        return spread(column, patient, slot, patients)

    result: Int8Array = spread(values.numbers["result"], patient, slot, patients, Result.NONE).astype(np.int8)
    matrix = values.texts["matrix"]
    lloq = values.numbers["lloq_iu_ml"]
    return Samples(
        nominal=placed(nominal),
        day=placed(day),
        result=result,
        load=placed(values.numbers["load_iu_ml"]),
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
        slot = slots(patient, np.lexsort((day, patient)))

        def placed(column: str, rows: IntArray = rows, patient: IntArray = patient, slot: IntArray = slot) -> FloatArray | None:
            return spread(values.numbers[column][rows], patient, slot, patients) if values.has(column) else None

        certainty = placed("certainty")
        events[name] = Occurrences(
            spread(day, patient, slot, patients),
            end=placed("end_day"),
            grade=placed("grade"),
            certainty=None if certainty is None else np.where(np.isnan(certainty), -1, certainty).astype(np.int8),
            severe=placed("severe_day"),
        )
    return events


def _exposures(values: Values, index: PatientIndex, patients: int) -> dict[str, Courses]:
    all_patients, kind = index(values), values.numbers["drug"]
    exposures: dict[str, Courses] = {}
    for code, name in enumerate(DRUGS):
        rows = np.flatnonzero(kind == code)
        patient, start = all_patients[rows], values.numbers["start_day"][rows]
        slot = slots(patient, np.lexsort((start, patient)))
        stop = values.numbers["stop_day"][rows]
        exposures[name] = Courses(spread(start, patient, slot, patients), spread(stop, patient, slot, patients))
    return exposures
