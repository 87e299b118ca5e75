"""``cmvsim estimate FILE --map MAP.toml``: the endpoints of a foreign file of one row per patient."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from cmvsim.core.canonical import pretty_json
from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import Request
from cmvsim.data.mapping import Mapped, MapSpec, read_map, read_mapped
from cmvsim.endpoints.mapped import LABELS, AnalysedMap, analyse_mapped, check_endpoints
from cmvsim.report.mapped_text import mapped_summary
from cmvsim.runs.provenance import software_version
from cmvsim.verbs.place import Place, RunOutcome, kept_files

FEWEST_TICKS, CLOSEST_TICKS = 3, 0.07  # the latter as a part of the axis


def estimate_mapped(file: Path, mapping: Path, analysis: Path | None, endpoints: tuple[str, ...], place: Place) -> RunOutcome:
    """Analyse a file by its map and keep the results in a run folder.

    Raises
    ------
    InputError
        With every mistake of the map, or every cell of the file that cannot be read; nothing is written then.
    """
    if analysis is not None:
        raise InputError(
            Problem("a map says how its file is analysed", "--analysis", allowed="the section [analysis] of the map")
        )
    if file.is_dir():
        raise InputError(Problem("is a folder", str(file), allowed="with --map a file of one row per patient"))
    spec = read_map(mapping)
    spec = spec.model_copy(update={"analysis": check_endpoints(spec.analysis, endpoints)})
    if not file.exists():
        raise InputError(Problem("there is no such file", str(file)))
    mapped = read_mapped(file, spec, str(mapping))
    content = {"map": spec.model_dump(mode="json", by_alias=True, exclude_none=True)}
    request = Request("estimate", file.stem, hashlib.sha256(file.read_bytes()).hexdigest(), content, seed=0)
    return kept_files(request, place, lambda: compute(mapped, spec, request))


def compute(mapped: Mapped, spec: MapSpec, request: Request) -> dict[str, str | bytes]:
    """All files of the run, by name."""
    analysed = analyse_mapped(mapped, spec.analysis)
    drawn = "cmv_reactivation" in spec.analysis.endpoints and bool(analysed.derived.entered.any())
    results = {
        "format": 1,
        "verb": "estimate",
        "digest": request.digest,
        "request": request.as_dict(),
        "software_version": software_version(),
        "time_unit": mapped.unit,
        "patients": len(mapped.patients),
        "labels": {name: LABELS[name] for name in spec.analysis.endpoints},
        "flow": analysed.flow,
        "rows": [row.as_dict() for row in analysed.rows],
        "figure": drawn,
        "warnings": list(analysed.warnings),
    }
    table = pd.DataFrame([row.as_dict() for row in analysed.rows])
    files: dict[str, str | bytes] = {
        "results.json": pretty_json(results),
        "estimates.csv": table.to_csv(index=False, lineterminator="\n", float_format="%.12g"),
        "summary.md": mapped_summary(results),
    }
    if drawn:
        curve = analysed.curve.to_csv(index=False, lineterminator="\n", float_format="%.12g")
        files |= {"curves/cmv_reactivation.csv": curve, "figures/cmv_reactivation.png": figure(analysed, spec)}
    return files


def figure(analysed: AnalysedMap, spec: MapSpec) -> bytes:
    """The cumulative incidence up to the window, with numbers at risk."""
    from cmvsim.report.estimate_figures import stacked_incidence
    from cmvsim.report.style import png

    derived, window = analysed.derived, spec.analysis.window
    asked = sorted({0.0, *spec.analysis.times})
    roomy = len(asked) >= FEWEST_TICKS and min(np.diff(asked)) >= window * CLOSEST_TICKS
    ticks = [at for at in asked if at <= window] if roomy else list(np.linspace(0.0, window, 7))
    time = derived.time[0][derived.entered[0]]
    frame = analysed.curve.rename(columns={"time": "day", "competing": "competing event"}).dropna(axis="columns", how="all")
    return png(
        stacked_incidence(
            frame,
            title=f"{LABELS['cmv_reactivation']} (n = {time.size})",
            event_label=LABELS["cmv_reactivation"],
            level=spec.analysis.level,
            xlabel=spec.time_unit,
            at_risk={float(tick): float((time >= tick).sum()) for tick in ticks},
        )
    )
