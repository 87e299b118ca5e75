"""Every problem of a study's folder at once: structure, cells, rows, and what tables say of one another."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import FloatArray
from cmvsim.data.cells import Finding, ObjectArray, read_cells
from cmvsim.data.checks_further import further_findings
from cmvsim.data.matching import Tables, groups, planned_twice, positions, repeats
from cmvsim.data.parsing import Values, parse
from cmvsim.data.rules import row_findings
from cmvsim.data.schema import (
    CAR_T,
    DISPOSITION,
    EVENTS_TABLE,
    EXPOSURES,
    QUESTIONNAIRES,
    RESOURCES,
    SAMPLES,
    SEQUENCING,
    STAYS,
    SUBJECTS,
    TABLES,
    VIROME,
)

MOST_STRATA = int(np.iinfo(np.int8).max)
_MOST_TO_COMPARE = 5000  # looking for the nearest name costs time in proportion
_DATED = (
    (SAMPLES, "day", "sample"),
    (EVENTS_TABLE, "day", "event"),
    (EXPOSURES, "start_day", "course"),
    (VIROME, "day", "sample"),
    (CAR_T, "day", "sample"),
    (SEQUENCING, "day", "sample"),
    (QUESTIONNAIRES, "day", "questionnaire"),
    (STAYS, "start_day", "stay"),
    (RESOURCES, "first_day", "use"),
)


def check_study(folder: Path) -> dict[str, Values]:
    """Read and check a study's tables without building the arrays; nothing is written.

    Parameters
    ----------
    folder
        Folder of the tables.

    Returns
    -------
    dict of str to Values
        The values by table name; optional tables that are absent are not there.

    Raises
    ------
    InputError
        With every problem found, in the order of tables, rows and columns.
    """
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "no such folder"
        raise InputError(Problem(what, where=str(folder), allowed="a folder with the tables subjects, samples, disposition"))
    tables: dict[str, Values] = {}
    findings: list[Finding] = []
    files: dict[str, str] = {}
    for table in TABLES:
        cells, faults, files[table.name] = read_cells(folder, table)
        findings += faults
        if cells is not None:
            tables[table.name], faults = parse(cells)
            findings += faults
            findings += row_findings(tables[table.name])
    findings += _subject_findings(tables)
    findings += _sample_findings(tables)
    findings += _patient_findings(tables)
    findings += _after_death(tables)
    findings += further_findings(tables)
    if findings:
        raise InputError([finding.problem(files[finding.table]) for finding in sorted(findings, key=_place)])
    return tables


def _place(finding: Finding) -> tuple[int, int, int]:
    index = next(i for i, table in enumerate(TABLES) if table.name == finding.table)
    names = TABLES[index].names
    return index, finding.row, names.index(finding.column) if finding.column in names else -1


def _subject_findings(tables: Tables) -> Iterator[Finding]:
    """Find patients there twice, and strata that belong to two diseases."""
    for table in (SUBJECTS, DISPOSITION):
        values = tables.get(table.name)
        if values is None or not values.has("patient"):
            continue
        patients = values.texts["patient"]
        for repeat, first in repeats(patients, patients != ""):
            message = f"patient '{patients[repeat]}' has a row already (row {values.rows[first]})"
            yield Finding(table.name, message, "one row per patient", int(values.rows[repeat]), "patient")
    values = tables.get(SUBJECTS.name)
    if values is None or not values.has("stratum", "disease"):
        return
    known = np.flatnonzero(values.usable("stratum", "disease"))
    strata, diseases = values.texts["stratum"][known], values.texts["disease"][known]
    codes, firsts = groups(strata)
    if firsts.size > MOST_STRATA:
        yield Finding(SUBJECTS.name, f"{firsts.size} strata", f"at most {MOST_STRATA}", column="stratum")
    for index in np.flatnonzero(diseases != diseases[firsts[codes]]):
        origin = firsts[codes[index]]
        message = (
            f"stratum '{strata[index]}' has disease {diseases[index]} here and {diseases[origin]} in row "
            f"{values.rows[known[origin]]}"
        )
        yield Finding(SUBJECTS.name, message, "one disease per stratum", int(values.rows[known[index]]), "disease")


def _sample_findings(tables: Tables) -> Iterator[Finding]:
    """Find planned samples there twice, and what must be the same in the whole study."""
    values = tables.get(SAMPLES.name)
    if values is None:
        return
    hint = "one row per planned sample; further ones are clinical, with an empty nominal_day"
    yield from planned_twice(values, (), "sample", hint)
    for column, what in (("matrix", "matrices"), ("lloq_iu_ml", "limits of quantification")):
        if not values.has(column):
            continue
        given = np.flatnonzero(~np.isnan(values.numbers[column]))
        # Rows that could not be read were named already: say this only where all are readable and empty.
        if not given.size and values.rows.size and values.good[column].all():
            yield Finding(SAMPLES.name, f"no sample has a {column}", "at least one row", column=column)
        others = given[values.numbers[column][given] != values.numbers[column][given[:1]]]
        if others.size:
            texts, rows = values.texts[column], values.rows
            message = (
                f"two {what} in one study: {texts[given[0]]} (row {rows[given[0]]}) and {texts[others[0]]} "
                f"(row {rows[others[0]]}, {others.size} rows differ)"
            )
            yield Finding(SAMPLES.name, message, "one per study; split the study", int(rows[others[0]]), column)


def _patient_findings(tables: Tables) -> Iterator[Finding]:
    """Find rows of patients who are no subjects, and subjects without a disposition."""
    subjects = tables.get(SUBJECTS.name)
    if subjects is None or not subjects.has("patient") or not subjects.rows.size:
        return
    # A subject whose row could not be read is a subject all the same: its rows elsewhere are no mistake.
    named = np.flatnonzero(subjects.texts["patient"] != "")
    _, first = groups(subjects.texts["patient"][named])
    origin = named[first]
    known = subjects.texts["patient"][origin]
    for name, values in tables.items():
        if name == SUBJECTS.name or not values.has("patient"):
            continue
        texts = values.texts["patient"]
        strangers = np.flatnonzero((positions(texts, known) < 0) & values.good["patient"])
        hints = {patient: _near_patient(patient, known) for patient in set(texts[strangers])}
        for index in strangers:
            message = f"patient '{texts[index]}' is not in subjects"
            yield Finding(name, message, hints[texts[index]], int(values.rows[index]), "patient")
    disposition = tables.get(DISPOSITION.name)
    if disposition is None or not disposition.has("patient") or not disposition.rows.size:
        return
    for index in np.flatnonzero(positions(known, pd.unique(disposition.texts["patient"])) < 0):
        message = f"patient '{known[index]}' (subjects, row {subjects.rows[origin[index]]}) has no row"
        yield Finding(DISPOSITION.name, message, "one row per patient", column="patient")


def _near_patient(patient: str, known: ObjectArray) -> str:
    if known.size <= _MOST_TO_COMPARE:
        near = difflib.get_close_matches(patient, known.tolist(), n=1, cutoff=0.6)
        if near:
            return f"did you mean '{near[0]}'?"
    return "a patient of subjects"


def _after_death(tables: Tables) -> Iterator[Finding]:
    """Find samples, events and courses dated after the patient's death; the day of death is possible."""
    disposition = tables.get(DISPOSITION.name)
    if disposition is None or not disposition.has("patient", "death_day"):
        return
    dead = np.flatnonzero(disposition.good["patient"] & ~np.isnan(disposition.numbers["death_day"]))
    if not dead.size:
        return
    patients, death = disposition.texts["patient"][dead], disposition.numbers["death_day"][dead]
    _, first = groups(patients)
    for table, column, what in _DATED:
        values = tables.get(table.name)
        if values is None or not values.has("patient", column):
            continue
        at = positions(values.texts["patient"], patients[first])
        died: FloatArray = np.where(at >= 0, death[first][at], np.nan)
        for index in np.flatnonzero(values.numbers[column] > died):
            day = values.texts[column][index]
            message = f"the {what} is dated {day}, after death on {died[index]:.0f}"
            hint = "days up to that of death"
            yield Finding(table.name, message, hint, int(values.rows[index]), column)
