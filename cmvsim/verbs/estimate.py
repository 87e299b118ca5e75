"""``cmvsim estimate``: the endpoints on the tables of one study, real or simulated, by the same code as in `power`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cmvsim.core import kernel_cache
from cmvsim.core.canonical import pretty_json
from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import Request
from cmvsim.data import Study, read_study
from cmvsim.data.consistency import contradictions
from cmvsim.data.formats import files_of
from cmvsim.data.schema import TABLES
from cmvsim.endpoints import AnalysisSpec, endpoint, read_analysis
from cmvsim.endpoints.analyse import analyse, check_plan, choices_of
from cmvsim.endpoints.curves import curve_table
from cmvsim.report.estimate_text import estimate_summary
from cmvsim.runs.provenance import software_version
from cmvsim.verbs.place import Place, RunOutcome, kept_files
from cmvsim.verbs.ui import Silent, Ui

ANALYSIS = "analysis.toml"
SILENT = Silent()


@dataclass(frozen=True, slots=True)
class EstimateOptions:
    """What the user typed."""

    folder: Path
    analysis: Path | None = None
    endpoints: tuple[str, ...] = ()


def estimate(options: EstimateOptions, place: Place, ui: Ui = SILENT) -> RunOutcome:
    """Analyse study tables and keep the results in a run folder.

    Raises
    ------
    InputError
        With every problem of the tables, or of the analysis file; nothing is written then.
    """
    plan = read_plan(options)
    for name in options.endpoints:
        endpoint(name)
    study = read_study(options.folder)
    names = options.endpoints or plan.endpoints
    check_plan(study, plan, names)
    request = Request(
        "estimate",
        options.folder.resolve().name,
        tables_digest(options.folder),
        {"analysis": plan.human(), "endpoints": list(names)},
        seed=0,
    )
    return kept_files(request, place, lambda: compute(study, plan, names, request, ui))


def read_plan(options: EstimateOptions) -> AnalysisSpec:
    """The plan of ``--analysis``, or of ``analysis.toml`` beside the tables."""
    path = options.analysis or options.folder / ANALYSIS
    if options.analysis is None and options.folder.is_dir() and not path.exists():
        raise InputError(
            Problem(
                "there is no analysis.toml beside the tables",
                str(options.folder),
                allowed="--analysis FILE, or the one that `cmvsim simulate` writes",
            )
        )
    if options.analysis is None and not options.folder.is_dir():
        hint = "--map MAP.toml for a file of one row per patient" if options.folder.is_file() else ""
        raise InputError(Problem("is no folder of study tables", str(options.folder), allowed=hint))
    return read_analysis(path)


def tables_digest(folder: Path) -> str:
    """SHA-256 over the study tables of a folder, names included."""
    whole = hashlib.sha256()
    for path in sorted(path for table in TABLES for path, _ in files_of(folder, table) if path.is_file()):
        whole.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return whole.hexdigest()


def compute(
    study: Study, plan: AnalysisSpec, names: tuple[str, ...], request: Request, ui: Ui = SILENT
) -> dict[str, str | bytes]:
    """All files of the run, by name."""
    from cmvsim.report.estimate_pictures import figure_files  # matplotlib takes its time

    if not kernel_cache.filled("estimators"):
        ui.note("Estimators that were not used on this machine before are compiled, once: a minute or two for all of them.")
    with ui.progress(f"estimating {len(names)} endpoint{'s' if len(names) > 1 else ''}") as tick:
        analysed = analyse(study, plan, names, tick)
    labels = {name: endpoint(name).label for name in names}
    estimators = {name: {choice.id: choice.label for choice in choices_of(name, study, plan)} for name in names}
    rows = [row.as_dict() for row in analysed.rows]
    results: dict[str, Any] = {
        "format": 1,
        "verb": "estimate",
        "digest": request.digest,
        "request": request.as_dict(),
        "software_version": software_version(),
        "analysis": plan.human(),
        "patients": study.patients,
        "labels": labels,
        "estimators": estimators,
        "flow": analysed.flow,
        "rows": rows,
        "warnings": contradictions(study, plan.window, plan.closing_window),
    }
    curves = {name: table for name, variable in analysed.derived.items() if (table := curve_table(variable, plan)) is not None}
    pictures = figure_files(rows, analysed.flow, curves, labels, estimators, level=plan.level)
    files: dict[str, str | bytes] = {
        "results.json": pretty_json(results),
        "estimates.csv": pd.DataFrame(rows).to_csv(index=False, lineterminator="\n", float_format="%.12g"),
        "summary.md": estimate_summary(results, list(pictures)),
    }
    for name, frame in curves.items():
        files[f"curves/{name}.csv"] = frame.to_csv(index=False, lineterminator="\n", float_format="%.12g")
    return files | pictures
