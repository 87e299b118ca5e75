"""``cmvsim economics table``: decision table, acceptability and value of information from PSA samples of any model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cmvsim.core.canonical import pretty_json
from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import Request
from cmvsim.economics import net_health_benefit
from cmvsim.economics.psa import PsaAnalysis, analyse_psa
from cmvsim.economics.samples import PsaSamples, parse_thresholds, read_psa
from cmvsim.report import economics_text
from cmvsim.runs.provenance import software_version
from cmvsim.verbs.place import Place, RunOutcome, kept_files
from cmvsim.verbs.running import FolderWork
from cmvsim.verbs.ui import Silent, Ui

FORMAT = 1
VERB = "economics-table"
INPUT = "input"
"""Folder of the run that keeps the file of draws."""
RANGE = "0:100000:5000"
"""Thresholds without ``--wtp``."""

FEW_DRAWS = 1_000
SILENT = Silent()


@dataclass(frozen=True, slots=True)
class TableOptions:
    """What the user typed."""

    file: Path
    thresholds: tuple[float, ...] = ()
    wtp: str = RANGE
    comparator: str | None = None
    groups: tuple[str, ...] = ()
    currency: str = ""
    effect: str = ""


def table(options: TableOptions, place: Place, ui: Ui = SILENT) -> RunOutcome:
    """Analyse PSA samples and keep the results in a run folder.

    Raises
    ------
    InputError
        With every problem of the file or the options; nothing is written then.
    """
    samples = samples_of(options.file, options.comparator)
    groups, grid = parse_groups(options.groups), parse_thresholds(options.wtp)
    wrong = [value for value in options.thresholds if not (np.isfinite(value) and value >= 0)]
    if wrong:
        raise InputError(Problem(f"{wrong[0]:g} is no threshold", "--threshold", allowed="at least 0"))
    request = Request(
        VERB,
        options.file.stem,
        hashlib.sha256(options.file.read_bytes()).hexdigest(),
        {
            "thresholds": sorted(set(options.thresholds)),
            "wtp": list(grid),
            "comparator": samples.strategies[0],
            "groups": {name: list(members) for name, members in groups.items()},
            "units": [options.currency, options.effect],
        },
        seed=0,
    )
    return kept_files(request, place, lambda: compute(samples, options.file, request, ui))


def samples_of(file: Path, comparator: str | None) -> PsaSamples:
    """The draws of a file, the comparator first."""
    samples = read_psa(file)
    return samples if comparator is None else samples.against(comparator)


def again(folder: Path, request: Request, work: FolderWork) -> str:
    """``results.json`` of the same request, computed once more from the copy of the draws in the run folder.

    Raises
    ------
    InputError
        If the copy is not there, or no longer the file that was asked about.
    """
    files = [path for path in folder.joinpath(INPUT).glob("*") if path.is_file()]
    if len(files) != 1 or hashlib.sha256(files[0].read_bytes()).hexdigest() != request.scenario_digest:
        raise InputError(f"{folder / INPUT} does not hold the draws that the run was made from")
    samples = samples_of(files[0], request.content["comparator"])
    analysis, interest = analysed(samples, request, work.ui)
    return pretty_json(results_tree(analysis, interest, request, files[0].name))


def parse_groups(texts: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """``NAME=input,input`` of ``--group``.

    Raises
    ------
    InputError
        If a text is not of that form, or a name comes twice.
    """
    groups: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, _, members = text.partition("=")
        inputs = tuple(member.strip() for member in members.split(",") if member.strip())
        if not name.strip() or not inputs or name.strip() in groups:
            raise InputError(Problem(f"'{text}' is no group", "--group", allowed="NAME=input,input,..., each name once"))
        groups[name.strip()] = inputs
    return groups


def compute(samples: PsaSamples, file: Path, request: Request, ui: Ui = SILENT) -> dict[str, str | bytes]:
    """All files of the run, by name; the draws are among them, so that the run can be replayed."""
    from cmvsim.report import economics_pictures  # matplotlib takes its time

    analysis, interest = analysed(samples, request, ui)
    results = results_tree(analysis, interest, request, file.name)
    pictures = economics_pictures.figure_files(analysis, interest, economics_pictures.Units(*request.content["units"]))
    frames = {
        "table.csv": pd.DataFrame(list(_table_rows(analysis))),
        "ceac.csv": pd.DataFrame(list(curve_rows(analysis))),
        "evpi.csv": pd.DataFrame(list(_evpi_rows(analysis))),
    }
    if analysis.partial:
        frames["evppi.csv"] = pd.DataFrame(results["evppi"])
    files: dict[str, str | bytes] = {
        "results.json": pretty_json(results),
        "summary.md": economics_text.summary(results, list(pictures)),
    }
    for name, frame in frames.items():
        files[name] = frame.to_csv(index=False, lineterminator="\n", float_format="%.12g")
    return files | pictures | {f"{INPUT}/{file.name}": file.read_bytes()}


def analysed(samples: PsaSamples, request: Request, ui: Ui) -> tuple[PsaAnalysis, tuple[float, ...]]:
    """The analysis asked for, and the thresholds that single numbers are shown at."""
    groups = {name: tuple(members) for name, members in request.content["groups"].items()}
    asked = tuple(request.content["thresholds"])
    grid = tuple(sorted({*request.content["wtp"], *asked}))
    interest = asked or quarters(grid)
    with ui.progress("analysing the draws") as tick:
        analysis = analyse_psa(samples, grid, of_interest=interest, groups=groups)
        tick(1, 1)
    return analysis, interest


def quarters(grid: tuple[float, ...]) -> tuple[float, ...]:
    """The thresholds at a quarter, the middle and three quarters of a range; all of a short one."""
    if len(grid) <= 3:
        return grid
    last = len(grid) - 1
    return tuple(grid[round(last * part)] for part in (0.25, 0.5, 0.75))


def results_tree(analysis: PsaAnalysis, interest: tuple[float, ...], request: Request, source: str) -> dict[str, Any]:
    """``results.json``."""
    samples, partial = analysis.samples, analysis.partial
    return {
        "format": FORMAT,
        "verb": VERB,
        "digest": request.digest,
        "request": request.as_dict(),
        "software_version": software_version(),
        "source": source,
        "draws": len(samples.draws),
        "strategies": list(samples.strategies),
        "comparator": samples.strategies[0],
        "inputs": list(samples.varied),
        "units": dict(zip(("currency", "effect"), request.content["units"], strict=True)),
        "thresholds_asked": bool(request.content["thresholds"]),
        "table": [
            asdict(row) | {"status": str(row.status), "interval": _interval(analysis, row.strategy)} for row in analysis.table
        ],
        "choices": [_choice(analysis, threshold) for threshold in interest],
        "curves": list(curve_rows(analysis)),
        "evpi": list(_evpi_rows(analysis)),
        "evppi": [
            {"parameter": name, "threshold": threshold, "value": got.value[k], "se": got.se[k], "explained": got.explained[k]}
            for name, got in partial.items()
            for k, threshold in enumerate(analysis.raw.thresholds.tolist())
        ],
        "tornado": [asdict(bar) | {"at": list(bar.at), "net_benefit": list(bar.net_benefit)} for bar in analysis.tornado],
        "warnings": list(_notes(analysis)),
    }


def _interval(analysis: PsaAnalysis, strategy: str) -> dict[str, Any] | None:
    got = analysis.intervals.get(strategy)
    if got is None:
        return None
    return {"low": got.low, "high": got.high, "level": got.level, "refused": got.refused}


def _choice(analysis: PsaAnalysis, threshold: float) -> dict[str, Any]:
    raw, smoothed = analysis.raw, analysis.smoothed
    k = int(np.searchsorted(raw.thresholds, threshold))
    return {
        "threshold": threshold,
        "chosen": analysis.samples.strategies[int(raw.chosen[k])],
        "probability": raw.ceaf[k],
        "probability_mcse": raw.ceaf_mcse[k],
        "evpi": raw.evpi[k],
        "evpi_mcse": raw.evpi_mcse[k],
        "evpi_smoothed": None if smoothed is None else smoothed.evpi[k],
        "evpi_smoothed_se": None if smoothed is None else smoothed.evpi_mcse[k],
    }


def curve_rows(analysis: PsaAnalysis) -> Iterator[dict[str, Any]]:
    """Net benefit, acceptability and loss of each strategy at each threshold."""
    raw, smoothed, samples = analysis.raw, analysis.smoothed, analysis.samples
    for k, threshold in enumerate(raw.thresholds.tolist()):
        health = net_health_benefit(samples.cost, samples.effect, threshold).mean(axis=0)
        for j, name in enumerate(samples.strategies):
            yield {
                "threshold": threshold,
                "strategy": name,
                "net_monetary_benefit": raw.net_benefit[k, j],
                "net_monetary_benefit_mcse": raw.net_benefit_mcse[k, j],
                "net_health_benefit": None if threshold == 0 else health[j],
                "probability_best": raw.ceac[k, j],
                "probability_best_mcse": raw.ceac_mcse[k, j],
                "probability_best_smoothed": None if smoothed is None else smoothed.ceac[k, j],
                "on_frontier": int(raw.chosen[k]) == j,
                "expected_loss": raw.expected_loss[k, j],
                "expected_loss_mcse": raw.expected_loss_mcse[k, j],
            }


def _evpi_rows(analysis: PsaAnalysis) -> Iterator[dict[str, Any]]:
    raw, smoothed = analysis.raw, analysis.smoothed
    for k, threshold in enumerate(raw.thresholds.tolist()):
        yield {
            "threshold": threshold,
            "evpi": raw.evpi[k],
            "evpi_mcse": raw.evpi_mcse[k],
            "evpi_smoothed": None if smoothed is None else smoothed.evpi[k],
            "evpi_smoothed_se": None if smoothed is None else smoothed.evpi_mcse[k],
        }


def _table_rows(analysis: PsaAnalysis) -> Iterator[dict[str, Any]]:
    for row in analysis.table:
        got = analysis.intervals.get(row.strategy)
        yield {
            "strategy": row.strategy,
            "cost": row.cost,
            "effect": row.effect,
            "increment_cost": row.increment_cost,
            "increment_effect": row.increment_effect,
            "icer": row.icer,
            "icer_low": None if got is None else got.low,
            "icer_high": None if got is None else got.high,
            "against": row.against,
            "status": str(row.status),
            "dominated_by": " and ".join(row.dominated_by),
        }


def _notes(analysis: PsaAnalysis) -> Iterator[str]:
    samples = analysis.samples
    draws = len(samples.draws)
    if draws < FEW_DRAWS:
        yield f"{draws} draws are few: look at the Monte Carlo standard errors."
    if not samples.inputs:
        yield "The file holds no inputs: no value of learning one, no smoothing and no tornado."
    elif not analysis.partial:
        yield "Fewer than 20 draws, or no input varies: no value of learning one, no smoothing and no tornado."
    still = [name for name in samples.inputs if name not in samples.varied]
    if still and analysis.partial:
        yield f"Inputs that are the same in all draws are left out: {', '.join(still)}."
    chosen = {int(k) for k in analysis.raw.chosen}
    if len(chosen) == 1 and float(np.max(analysis.raw.evpi)) == 0:
        name = samples.strategies[chosen.pop()]
        yield f"{name} is best in every draw at every threshold of the range: knowing more is worth nothing there (EVPI is 0)."
