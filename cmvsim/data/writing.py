"""Study -> tables: one replicate as the CSV files that a real study would hand over."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import BoolArray, FloatArray, IntArray
from cmvsim.data.cell_texts import Columns, coded, days, known, names, numbers
from cmvsim.data.cells import ObjectArray, number_text
from cmvsim.data.formats import FORMATS, files_of, write_table
from cmvsim.data.schema import (
    COVARIATES,
    DISPOSITION,
    DRUGS,
    END_REASONS,
    EVENTS,
    EVENTS_TABLE,
    EXPOSURES,
    RESULTS,
    SAMPLES,
    SUBJECTS,
    TABLES,
    Kind,
)
from cmvsim.data.study import CERTAINTIES, Int8Array, Result, Study, Subjects
from cmvsim.data.writing_further import further


def write_study(study: Study, replicate: int, folder: Path, form: str = "csv") -> list[Path]:
    """Write one replicate of a study as tables.

    The bytes depend on the arrays only: UTF-8, numbers in a form that reads back exactly. Padding and visits planned after
    the end of monitoring are no rows; a planned sample missed under monitoring is one. Patients without identifiers are
    called P1, P2, ... with leading zeros.

    Parameters
    ----------
    study
        A batch of studies.
    replicate
        Which one.
    folder
        Where; made if need be. Tables of the same names and format are replaced.
    form
        One of :data:`cmvsim.data.formats.FORMATS`.

    Returns
    -------
    list of Path
        The files written. Events and exposures are written when the study has any kind, be it without a day.

    Raises
    ------
    InputError
        When the folder holds an optional table that this study does not have, or one of its tables in another format: it
        would be read as part of it. When the format cannot hold a text or a number.
    ValueError
        When the study holds what its tables cannot say, e.g. a covariate that no column of the schema names.
    """
    if not 0 <= replicate < study.replicates:
        raise ValueError(f"replicate {replicate} of {study.replicates}")
    patients = _patients(study)
    tables = {
        SUBJECTS.name: _subjects(study.subjects, replicate, patients),
        SAMPLES.name: _samples(study, replicate, patients),
        DISPOSITION.name: _disposition(study, replicate, patients),
    }
    if study.exposures:
        tables[EXPOSURES.name] = _exposures(study, replicate, patients)
    if study.events:
        tables[EVENTS_TABLE.name] = _events(study, replicate, patients)
    tables |= further(study, replicate, patients)
    chosen = FORMATS[form]
    stale = [
        path.name
        for table in TABLES
        for path, other in files_of(folder, table)
        if table.name not in tables or other is not chosen
    ]
    if stale:
        raise InputError(Problem("is there already and is no part of this study", f, "", "another folder") for f in stale)
    folder.mkdir(parents=True, exist_ok=True)
    return [write_table(table, tables[table.name], folder, chosen) for table in TABLES if table.name in tables]


def _patients(study: Study) -> ObjectArray:
    given = study.subjects.patients
    width = len(str(study.patients))
    called = given or [f"P{number:0{width}d}" for number in range(1, study.patients + 1)]
    if len(called) != study.patients or len(set(called)) != len(called):
        raise ValueError(f"{len(set(called))} different identifiers for {study.patients} patients")
    return names(called, "patients")


def _subjects(subjects: Subjects, replicate: int, patients: ObjectArray) -> Columns:
    stratum = subjects.stratum[replicate]
    columns: Columns = {
        "patient": patients,
        "stratum": coded(stratum, names(subjects.strata, "strata").tolist(), "stratum"),
        "disease": coded(stratum, subjects.diseases, "disease"),
    }
    known(subjects.diseases, SUBJECTS.column("disease").allowed, "disease")
    known(subjects.covariates, [column.name for column in COVARIATES], "covariate")
    for column in COVARIATES:
        if column.name not in subjects.covariates:
            continue
        values = subjects.covariates[column.name][replicate]
        if column.kind is Kind.NUMBER:
            columns[column.name] = numbers(values, column.name, empty=True)
            continue
        labels = subjects.labels.get(column.name, column.allowed)
        if column.allowed:
            known(labels, column.allowed, column.name)
        columns[column.name] = coded(values, names(labels, column.name).tolist(), column.name, empty=True)
    return columns


def _samples(study: Study, replicate: int, patients: ObjectArray) -> Columns:
    samples = study.samples
    nominal, day, result = samples.nominal[replicate], samples.day[replicate], samples.result[replicate]
    taken: BoolArray = result != Result.NONE
    # A comparison with NaN is false: padding and clinical tests never made are no rows.
    rows = taken | (nominal <= study.disposition.end[replicate][:, np.newaxis])
    patient, visit = np.nonzero(rows)
    taken, nominal, day = taken[rows], nominal[rows], np.where(taken, day, np.nan)[rows]
    if np.isnan(day[taken]).any():
        raise ValueError("samples: taken without a day")
    order = np.lexsort((np.where(taken, day, nominal), patient))
    patient, visit, nominal, day = patient[order], visit[order], nominal[order], day[order]
    result = result[patient, visit]
    load = np.where(result == Result.QUANTIFIED, samples.load[replicate][patient, visit], np.nan)
    known([samples.matrix], SAMPLES.column("matrix").allowed, "matrix")
    planned = np.where(np.isnan(nominal), 1.0, 0.0)
    return {
        "patient": patients[patient],
        "nominal_day": days(nominal, "nominal_day", empty=True),
        "day": days(day, "day", empty=True),
        "matrix": np.full(patient.size, samples.matrix, dtype=np.object_),
        "result": coded(result, RESULTS, "result"),
        "load_iu_ml": numbers(load, "load_iu_ml", empty=True),
        "lloq_iu_ml": np.full(patient.size, number_text(float(samples.lloq)), dtype=np.object_),
        "reason": coded(planned, SAMPLES.column("reason").allowed, "reason"),
    }


def _stacked(parts: Sequence[tuple[FloatArray | IntArray, ...]]) -> list[FloatArray]:
    return [np.concatenate([np.asarray(part[i], dtype=np.float64) for part in parts]) for i in range(len(parts[0]))]


def _exposures(study: Study, replicate: int, patients: ObjectArray) -> Columns:
    known(study.exposures, DRUGS, "drug")
    parts: list[tuple[FloatArray | IntArray, ...]] = []
    for name, courses in study.exposures.items():
        start, stop = courses.start[replicate], courses.stop[replicate]
        patient, course = np.nonzero(~np.isnan(start))
        code = np.full(patient.size, DRUGS.index(name))
        parts.append((patient, code, start[patient, course], stop[patient, course]))
    who, drug, first, last = _stacked(parts)
    order = np.lexsort((drug, first, who))
    return {
        "patient": patients[who[order].astype(np.intp)],
        "drug": coded(drug[order], DRUGS, "drug"),
        "start_day": days(first[order], "start_day"),
        "stop_day": days(last[order], "stop_day", empty=True),
    }


def _events(study: Study, replicate: int, patients: ObjectArray) -> Columns:
    known(study.events, EVENTS, "event")
    parts: list[tuple[FloatArray | IntArray, ...]] = []
    details = ("end", "grade", "severe", "certainty")
    said = {name: any(getattr(o, name) is not None for o in study.events.values()) for name in details}
    for name, occurrences in study.events.items():
        all_days = occurrences.day[replicate]
        patient, which = np.nonzero(~np.isnan(all_days))
        more = [_detail(getattr(occurrences, detail), replicate, patient, which) for detail in said]
        parts.append((patient, np.full(patient.size, EVENTS.index(name)), all_days[patient, which], *more))
    who, event, day, end, grade, severe, certainty = _stacked(parts)
    order = np.lexsort((event, day, who))
    columns = {
        "patient": patients[who[order].astype(np.intp)],
        "event": coded(event[order], EVENTS, "event"),
        "day": days(day[order], "day"),
    }
    if said["end"]:
        columns["end_day"] = days(end[order], "end_day", empty=True)
    if said["grade"]:
        columns["grade"] = days(grade[order], "grade", empty=True)
    if said["severe"]:
        columns["severe_day"] = days(severe[order], "severe_day", empty=True)
    if said["certainty"]:
        sure = certainty[order]
        columns["certainty"] = coded(np.where(sure < 0, np.nan, sure), CERTAINTIES, "certainty", empty=True)
    return columns


def _detail(values: FloatArray | Int8Array | None, replicate: int, patient: IntArray, which: IntArray) -> FloatArray:
    if values is None:
        return np.full(patient.size, np.nan)
    return np.asarray(values[replicate][patient, which], dtype=np.float64)


def _disposition(study: Study, replicate: int, patients: ObjectArray) -> Columns:
    disposition = study.disposition
    return {
        "patient": patients,
        "end_day": days(disposition.end[replicate], "end_day"),
        "reason": coded(disposition.reason[replicate], END_REASONS, "reason"),
        "death_day": days(disposition.death[replicate], "death_day", empty=True),
    }
