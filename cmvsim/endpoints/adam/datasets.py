"""Study -> ADSL, ADTTE, ADLB, ADQS: datasets in the manner of CDISC ADaM, derived by the same code as the estimates.

ADaM counts the day of treatment as day 1 and has no day 0: ``ADY`` is the study day + 1 from infusion on, and the study day
before it. ``AVAL`` of times, and ``DAYINF``, are days from infusion as in the study tables. There are no dates.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cmvsim.core.errors import InputError
from cmvsim.core.records import FloatArray
from cmvsim.data.formats.base import ObjectArray, cell_text
from cmvsim.data.schema import COVARIATES, END_REASONS
from cmvsim.data.study import EndReason, Questionnaire, Result, Samples, Study, VirusSamples
from cmvsim.endpoints import endpoint
from cmvsim.endpoints.adam.sheet import LONGEST_NAME, Sheet
from cmvsim.endpoints.analysis import AnalysisSpec
from cmvsim.endpoints.derived import CENSORED, DEATH, EVENT, HCT, RELAPSE, TimeToEvent
from cmvsim.valuation.eq5d import DIMENSIONS, value_set

SEXES = {"female": "F", "male": "M"}
YES_NO = {"yes": "Y", "no": "N"}
ENDINGS = {
    EVENT: "EVENT OF INTEREST",
    CENSORED: "CENSORED",
    DEATH: "DEATH",
    HCT: "ALLOGENEIC TRANSPLANTATION",
    RELAPSE: "RELAPSE",
}
ITEM_CODES = dict(zip(DIMENSIONS, ("EQMOB", "EQCARE", "EQUSUAL", "EQPAIN", "EQANX"), strict=True))
RESULT_TEXTS = {Result.NOT_DETECTED: "NOT DETECTED", Result.BELOW_LLOQ: "BELOW LLOQ"}


def adam_datasets(study: Study, plan: AnalysisSpec, study_id: str) -> tuple[tuple[Sheet, ...], tuple[str, ...]]:
    """Derive all datasets that a study can serve.

    Parameters
    ----------
    study
        A batch of one, with identifiers.
    plan
        How its endpoints are derived.
    study_id
        ``STUDYID``, and the first part of ``USUBJID``.

    Returns
    -------
    sheets
        ADSL, ADTTE, ADLB and, where questionnaires were recorded, ADQS.
    notes
        Endpoints of the plan that have no time to an event, or that this study has not recorded.
    """
    unique = np.array([f"{study_id}-{patient}" for patient in study.subjects.patients], dtype=np.object_)
    times, notes = _times(study, plan)
    sheets = [adsl(study, plan, study_id, unique), adtte(times, study_id, unique), adlb(study, study_id, unique)]
    if study.questionnaires is not None:
        sheets.append(adqs(study, plan, study_id, unique))
    return tuple(sheets), tuple(notes)


def analysis_day(day: FloatArray) -> FloatArray:
    """ADaM's relative day: no day 0."""
    return np.where(day >= 0, day + 1, day)


def adsl(study: Study, plan: AnalysisSpec, study_id: str, unique: ObjectArray) -> Sheet:
    """One row per patient."""
    entry = endpoint(plan.primary)
    try:
        entered = entry.derive(study, plan).entered[0]
    except InputError:
        entered = np.zeros(study.patients, dtype=bool)
    sheet = Sheet("adsl", "Subject-Level Analysis Dataset", study.patients)
    subjects, disposition = study.subjects, study.disposition
    sheet.text("STUDYID", "Study Identifier", study_id)
    sheet.text("USUBJID", "Unique Subject Identifier", unique)
    sheet.text("SUBJID", "Subject Identifier for the Study", list(subjects.patients))
    sheet.text("SITEID", "Study Site Identifier", _baseline(study, "site"))
    sheet.number("AGE", "Age", subjects.covariates["age"][0] if "age" in subjects.covariates else _nothing(study))
    sheet.text("AGEU", "Age Units", "YEARS")
    sheet.text("SEX", "Sex", _baseline(study, "sex", SEXES))
    sheet.text("ARM", "Description of Planned Arm", _baseline(study, "arm"))
    sheet.text("TRT01A", "Actual Treatment for Period 01", _baseline(study, "product"))
    sheet.text("STRATUM", "Stratum", [subjects.strata[code] for code in subjects.stratum[0]])
    sheet.text("DISEASE", "Disease Treated", [subjects.diseases[code].upper() for code in subjects.stratum[0]])
    sheet.text("PART", "Part of the Study", [text.upper() for text in _baseline(study, "part")])
    sheet.text("PRIORHCT", "Prior Allogeneic HCT", _baseline(study, "prior_allogeneic_hct", YES_NO))
    sheet.text("SAFFL", "Safety Population Flag", "Y")
    sheet.text("PRIMFL", "In the Primary Analysis Flag", ["Y" if inside else "N" for inside in entered])
    sheet.number("TRTSDY", "Relative Day of Infusion", np.ones(study.patients))
    sheet.number("EOSDY", "Relative Day of End of Monitoring", analysis_day(disposition.end[0]))
    completed = disposition.reason[0] == EndReason.COMPLETED
    ongoing = disposition.reason[0] == EndReason.ONGOING
    status = np.where(completed, "COMPLETED", np.where(ongoing, "ONGOING", "DISCONTINUED"))
    sheet.text("EOSSTT", "End of Study Status", list(status))
    reasons = [END_REASONS[code].replace("_", " ").upper() for code in disposition.reason[0]]
    sheet.text("DCSREAS", "Reason for Discontinuation", np.where(completed | ongoing, "", np.array(reasons, dtype=np.object_)))
    dead = ~np.isnan(disposition.death[0])
    sheet.text("DTHFL", "Subject Death Flag", ["Y" if died else "" for died in dead])
    sheet.number("DTHDY", "Relative Day of Death", analysis_day(disposition.death[0]))
    return sheet


def _nothing(study: Study) -> FloatArray:
    return np.full(study.patients, np.nan)


def _baseline(study: Study, name: str, words: dict[str, str] | None = None) -> list[str]:
    """Texts of a coded baseline column, empty where not recorded."""
    if name not in study.subjects.covariates:
        return [""] * study.patients
    allowed = next(column.allowed for column in COVARIATES if column.name == name)
    labels = study.subjects.labels.get(name, allowed)
    texts = ["" if np.isnan(code) else labels[int(code)] for code in study.subjects.covariates[name][0]]
    return [words[text] if words and text else text for text in texts]


def _times(study: Study, plan: AnalysisSpec) -> tuple[list[tuple[str, str, TimeToEvent]], list[str]]:
    """Code, label and variable of each time-to-event endpoint of the plan, and notes on the others."""
    times: list[tuple[str, str, TimeToEvent]] = []
    notes: list[str] = []
    codes: set[str] = set()
    for name in plan.endpoints:
        entry = endpoint(name)
        try:
            derived = entry.derive(study, plan)
        except InputError as error:
            notes.append(f"{name}: not in ADTTE: {error.problems[0].message}")
            continue
        if not isinstance(derived, TimeToEvent):
            notes.append(f"{name}: not in ADTTE: no single time to an event per patient")
            continue
        code = parameter_code(name, codes)
        codes.add(code)
        times.append((code, entry.label, derived))
    return times, notes


def parameter_code(name: str, taken: set[str]) -> str:
    """``PARAMCD`` of an endpoint: the beginnings of its words, at most eight characters, unlike those taken."""
    words = name.upper().split("_")
    share = max(2, LONGEST_NAME // len(words))
    code = "".join(word[:share] for word in words[:-1])[: LONGEST_NAME - 2]
    code = (code + words[-1])[:LONGEST_NAME]
    number = 2
    while code in taken:
        code = code[: LONGEST_NAME - len(str(number))] + str(number)
        number += 1
    return code


def adtte(times: list[tuple[str, str, TimeToEvent]], study_id: str, unique: ObjectArray) -> Sheet:
    """One row per endpoint and patient in its analysis; CNSR 0 is the event, 1 censoring, 2 and above competing events."""
    rows: list[tuple[Any, ...]] = []
    for code, label, derived in times:
        for i in np.flatnonzero(derived.entered[0]):
            cause = int(derived.cause[0, i])
            censoring = {EVENT: 0, CENSORED: 1}.get(cause, cause)
            rows.append((unique[i], code, label, derived.time[0, i], censoring, ENDINGS[cause]))
    sheet = Sheet("adtte", "Time-to-Event Analysis Dataset", len(rows))
    columns = list(zip(*rows, strict=True)) or [()] * 6
    sheet.text("STUDYID", "Study Identifier", study_id)
    sheet.text("USUBJID", "Unique Subject Identifier", columns[0])
    sheet.text("PARAMCD", "Parameter Code", columns[1])
    sheet.text("PARAM", "Parameter", columns[2])
    sheet.number("AVAL", "Analysis Value, Days from Infusion", columns[3])
    sheet.text("AVALU", "Analysis Value Unit", "DAYS")
    sheet.number("CNSR", "Censor: 0 event, 1 cens., 2+ competing", columns[4])
    sheet.text("EVNTDESC", "Event or Censoring Description", columns[5])
    sheet.number("ADY", "Analysis Relative Day", analysis_day(np.asarray(columns[3], dtype=np.float64)))
    return sheet


def adlb(study: Study, study_id: str, unique: ObjectArray) -> Sheet:
    """One row per sample taken and tested for CMV, or for a virus of the virome."""
    s = study.samples
    rows = _laboratory(s, "CMVLOAD", "CMV DNA (IU/mL)", s.matrix.upper(), s.lloq)
    for virus, samples in study.virome.items():
        rows += _laboratory(samples, virus[:LONGEST_NAME].upper(), f"{virus.capitalize()} DNA (log10 copies/mL)", "", np.nan)
    rows.sort(key=lambda row: (row[0], row[1], row[5]))
    columns = list(zip(*rows, strict=True)) or [()] * 11
    sheet = Sheet("adlb", "Laboratory Analysis Dataset", len(rows))
    day = np.asarray(columns[5], dtype=np.float64)
    sheet.text("STUDYID", "Study Identifier", study_id)
    sheet.text("USUBJID", "Unique Subject Identifier", unique[np.asarray(columns[0], dtype=np.intp)])
    sheet.text("PARAMCD", "Parameter Code", columns[1])
    sheet.text("PARAM", "Parameter", columns[2])
    sheet.text("LBSPEC", "Specimen Type", columns[3])
    sheet.number("ADY", "Analysis Relative Day", analysis_day(day))
    sheet.number("DAYINF", "Days from Infusion", day)
    sheet.text("AVISIT", "Analysis Visit", columns[4])
    sheet.number("AVISITN", "Analysis Visit (N), Planned Day", columns[6])
    sheet.number("AVAL", "Analysis Value", columns[7])
    sheet.text("AVALC", "Analysis Value (C)", columns[8])
    sheet.number("LLOQ", "Lower Limit of Quantification", columns[9])
    sheet.text("LLOQFL", "Below Limit of Quantification Flag", columns[10])
    sheet.text("ABLFL", "Baseline Record Flag", _baseline_flags(columns, day))
    return sheet


def _laboratory(s: Samples | VirusSamples, code: str, label: str, matrix: str, lloq: float) -> list[tuple[Any, ...]]:
    rows = []
    for i, v in zip(*np.nonzero(s.result[0] != Result.NONE), strict=True):
        result, nominal, load = int(s.result[0, i, v]), float(s.nominal[0, i, v]), float(s.load[0, i, v])
        quantified = result == Result.QUANTIFIED
        visit = "UNSCHEDULED" if np.isnan(nominal) else f"DAY {nominal:g}"
        text = cell_text(load) if quantified else RESULT_TEXTS[Result(result)]
        value = load if quantified else np.nan
        below = "" if quantified else "Y"
        rows.append((int(i), code, label, matrix, visit, float(s.day[0, i, v]), nominal, value, text, lloq, below))
    return rows


def _baseline_flags(columns: list[Any], day: FloatArray) -> list[str]:
    """The last sample on or before the day of infusion, per patient and parameter."""
    keys = enumerate(zip(columns[0], columns[1], strict=True))
    last = {key: index for index, key in keys if day[index] <= 0}
    chosen = set(last.values())
    return ["Y" if index in chosen else "" for index in range(day.size)]


def adqs(study: Study, plan: AnalysisSpec, study_id: str, unique: ObjectArray) -> Sheet:
    """One row per answer of an EQ-5D questionnaire, and its index by the plan's value sets."""
    q = study.questionnaires
    assert q is not None
    sets = {Questionnaire.EQ_5D_Y: value_set(plan.value_set_youth), Questionnaire.EQ_5D_5L: value_set(plan.value_set)}
    rows: list[tuple[Any, ...]] = []
    for i, v in zip(*np.nonzero((q.instrument[0] > 0) & ~np.isnan(q.day[0])), strict=True):
        instrument = Questionnaire(int(q.instrument[0, i, v]))
        levels = q.levels[0, i, v]
        index = sets[instrument].index(levels.astype(np.int64))
        answers = [(ITEM_CODES[name], f"EQ-5D: {name.replace('_', ' ')}", float(level or np.nan))
                   for name, level in zip(DIMENSIONS, levels.tolist(), strict=True)]  # fmt: skip
        answers += [("EQVAS", "EQ-5D: visual analogue scale", float(q.vas[0, i, v]))]
        answers += [("EQINDEX", "EQ-5D: index by the value set", float(index))]
        name = "EQ-5D-Y-3L" if instrument is Questionnaire.EQ_5D_Y else "EQ-5D-5L"
        who = "PARENT" if q.proxy[0, i, v] else "SUBJECT"
        for code, label, value in answers:
            used = sets[instrument].name if code == "EQINDEX" else ""
            rows.append((int(i), name, code, label, float(q.nominal[0, i, v]), float(q.day[0, i, v]), value, who, used))
    columns = list(zip(*rows, strict=True)) or [()] * 9
    sheet = Sheet("adqs", "Questionnaires Analysis Dataset", len(rows))
    nominal, day = (np.asarray(columns[k], dtype=np.float64) for k in (4, 5))
    sheet.text("STUDYID", "Study Identifier", study_id)
    sheet.text("USUBJID", "Unique Subject Identifier", unique[np.asarray(columns[0], dtype=np.intp)])
    sheet.text("PARCAT1", "Parameter Category 1: Instrument", columns[1])
    sheet.text("PARAMCD", "Parameter Code", columns[2])
    sheet.text("PARAM", "Parameter", columns[3])
    sheet.text("AVISIT", "Analysis Visit", ["UNSCHEDULED" if np.isnan(x) else f"DAY {x:g}" for x in nominal])
    sheet.number("AVISITN", "Analysis Visit (N), Planned Day", nominal)
    sheet.number("ADY", "Analysis Relative Day", analysis_day(day))
    sheet.number("DAYINF", "Days from Infusion", day)
    sheet.number("AVAL", "Analysis Value", columns[6])
    sheet.text("QSEVAL", "Evaluator", columns[7])
    sheet.text("VALUESET", "Value Set of the Index", columns[8])
    return sheet
