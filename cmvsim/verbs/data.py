"""``cmvsim data``: empty tables, every problem of a study's tables, the dictionary, other formats, derived datasets."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cmvsim.core.errors import InputError, Problem
from cmvsim.data import check_study, dictionary, read_study
from cmvsim.data.consistency import contradictions
from cmvsim.data.dictionary import DictionaryRow
from cmvsim.data.formats import FORMATS, files_of, write_table
from cmvsim.data.schema import TABLES
from cmvsim.endpoints import AnalysisSpec, read_analysis
from cmvsim.endpoints.adam import adam_datasets
from cmvsim.endpoints.analyse import check_plan
from cmvsim.endpoints.analysis import commented_analysis
from cmvsim.report.power_text import markdown_table

ANALYSIS = "analysis.toml"
FIRST_ENDPOINT = "cmv_reactivation"
README = """\
One file per table; dictionary.csv says what each column holds.

Fill in subjects, samples and disposition. Of the other tables, DELETE those that the study did not record: a table that
is there is taken to be complete, so that an empty events.csv says that nothing happened to anybody. Columns whose
dictionary entry says required = no may be deleted too. Then:

    cmvsim data check DIR
    cmvsim estimate DIR
"""


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """What a check found.

    Attributes
    ----------
    problems
        What is wrong; with any, the tables cannot be used.
    notes
        What the tables say against each other; nothing is refused.
    tables
        Rows by table.
    """

    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    tables: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        names = ("where", "at", "message", "allowed")
        problems = [{name: getattr(problem, name) for name in names} for problem in self.problems]
        return {"ok": not self.problems, "tables": self.tables, "problems": problems, "notes": list(self.notes)}


def template(folder: Path) -> list[Path]:
    """Write empty tables, the dictionary, an analysis file with comments, and how to go on.

    Raises
    ------
    InputError
        If the folder holds anything: nothing is overwritten.
    """
    _new_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    empty = np.empty(0, dtype=np.object_)
    paths = [write_table(table, dict.fromkeys(table.names, empty), folder, FORMATS["csv"]) for table in TABLES]
    texts = {
        "dictionary.csv": dictionary_text("csv"),
        ANALYSIS: commented_analysis(AnalysisSpec(endpoints=(FIRST_ENDPOINT,))),
        "README.txt": README.replace("DIR", folder.name or "DIR"),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
        paths.append(folder / name)
    return paths


def _new_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(Problem("is a file", str(folder), allowed="a new folder"))
    if folder.exists() and any(folder.iterdir()):
        raise InputError(Problem("is not empty; nothing is overwritten", str(folder), allowed="a new folder"))


def check(folder: Path) -> CheckOutcome:
    """Find every problem of a study's tables, and of ``analysis.toml`` where it is there."""
    problems: list[Problem] = []
    tables: dict[str, int] = {}
    notes: list[str] = []
    plan, study = None, None
    try:
        tables = {name: values.rows.size for name, values in check_study(folder).items()}
        study = read_study(folder)
    except InputError as error:
        problems += error.problems
    try:
        plan = read_analysis(folder / ANALYSIS) if (folder / ANALYSIS).exists() else None
        if plan is not None and study is not None:
            check_plan(study, plan)
    except InputError as error:
        problems += error.problems
    if study is not None:
        plan = plan if plan is not None else AnalysisSpec(endpoints=(FIRST_ENDPOINT,))
        notes += contradictions(study, plan.window, plan.closing_window)
    return CheckOutcome(tuple(problems), tuple(notes), tables)


def dictionary_text(form: str) -> str:
    """The data dictionary as "text", "md" or "csv"."""
    rows: Sequence[DictionaryRow] = dictionary()
    header = list(DictionaryRow._fields)
    if form == "md":
        return markdown_table([header, *(list(row) for row in rows)]) + "\n"
    if form == "csv":
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
        return out.getvalue()
    lines: list[str] = []
    for table in TABLES:
        lines += ["", f"{table.name}: {table.meaning}" + ("" if table.required else " (optional)")]
        for row in rows:
            if row.table == table.name:
                more = f" [{row.unit}]" if row.unit else ""
                needed = "" if row.required != "no" else " (optional)"
                lines.append(f"  {row.column:<22} {row.type:<13} {row.meaning}{more}{needed}: {row.allowed}")
    return "\n".join(lines[1:]) + "\n"


def convert(folder: Path, place: Path, form: str) -> list[Path]:
    """Write a study's tables in another format, row by row as they are; ``analysis.toml`` is copied.

    Raises
    ------
    InputError
        With every problem of the tables; if the place holds study tables already; if the format cannot hold a cell.
    """
    tables = check_study(folder)
    taken = [path.name for table in TABLES for path, _ in files_of(place, table)]
    if taken:
        raise InputError(Problem("is there already", name, allowed="a folder without study tables") for name in taken)
    chosen = FORMATS[form]
    contents = {table: chosen.write(table, tables[table.name].texts) for table in TABLES if table.name in tables}
    place.mkdir(parents=True, exist_ok=True)
    paths = []
    for table, content in contents.items():
        paths.append(place / chosen.file(table))
        paths[-1].write_bytes(content)
    if (folder / ANALYSIS).is_file() and not (place / ANALYSIS).exists():
        shutil.copyfile(folder / ANALYSIS, place / ANALYSIS)
        paths.append(place / ANALYSIS)
    return paths


@dataclass(frozen=True, slots=True)
class ExportOutcome:
    """Files written, with the rows of each, and endpoints left out."""

    files: dict[str, int]
    notes: tuple[str, ...]


def export_adam(folder: Path, place: Path, form: str, study_id: str | None = None) -> ExportOutcome:
    """Derive ADSL, ADTTE, ADLB and ADQS of a study and write them.

    Raises
    ------
    InputError
        With every problem of the tables or of ``analysis.toml``; if one of the files is there already.
    """
    path = folder / ANALYSIS
    plan = read_analysis(path) if path.exists() else AnalysisSpec(endpoints=(FIRST_ENDPOINT,))
    study = read_study(folder)
    check_plan(study, plan)
    sheets, notes = adam_datasets(study, plan, study_id or folder.resolve().name)
    chosen = FORMATS[form]
    contents = {chosen.file(sheet.table): chosen.write(sheet.table, sheet.texts) for sheet in sheets}
    there = [name for name in contents if (place / name).exists()]
    if there:
        raise InputError(Problem("is there already", str(place / name), allowed="another folder") for name in there)
    place.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (place / name).write_bytes(content)
    return ExportOutcome({chosen.file(sheet.table): sheet.rows for sheet in sheets}, notes)
