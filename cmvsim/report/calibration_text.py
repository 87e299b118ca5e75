"""Calibration for people: a scenario's figures, and the joint misfit of all published cohorts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from cmvsim.calibration.joint import Misfit
from cmvsim.calibration.solve import Calibration
from cmvsim.calibration.targets import TargetResult

HEAD = ("published", "95% interval", "achieved", "MCSE", "distance", "verdict")


def calibration_table(calibration: Calibration) -> str:
    """Every figure of a scenario: published, interval, achieved, Monte Carlo SE, distance and verdict."""
    rows = [("solved", result.label, result.stratum or "all", *_cells(result)) for result in calibration.targets]
    rows += [("held against", result.label, result.stratum or "all", *_cells(result)) for result in calibration.checks]
    solved = calibration.baseline
    size = f"{calibration.patients:,}"
    made = f"Solved on {size} patients in {calibration.evaluations} evaluations, reported on {size} others."
    onset = (
        f"Onset: cumulative hazard {solved.onset_amplitude:.4g} for a patient without factors, median "
        f"{solved.onset_median:.4g} days after inclusion."
    )
    lines = [*_aligned([("", "figure", "stratum", *HEAD), *rows]), "", made, onset]
    if calibration.checks:
        squares = math.fsum(check.distance**2 for check in calibration.checks if not math.isnan(check.distance))
        lines.append(f"Sum of squared distances of what it is held against: {squares:.2f}. {_DISTANCE}")
    return "\n".join(lines) + "\n"


def misfit_table(misfit: Misfit) -> str:
    """One row per published figure, the sum of squared distances, and the conflicts."""
    rows = [
        (row.cohort, row.figure.label, "solved" if row.solved else "held against", *_cells(row.figure)) for row in misfit.rows
    ]
    counted = [row.figure.verdict for row in misfit.rows]
    words = ", ".join(f"{counted.count(verdict)} {verdict}" for verdict in dict.fromkeys(counted))
    lines = [
        *_aligned([("cohort", "figure", "", *HEAD), *rows]),
        "",
        f"One virology, {misfit.patients:,} patients per cohort: {words}.",
        f"Sum of squared distances: {misfit.sum_of_squares:.2f}. {_DISTANCE}",
    ]
    lines += [
        f"In conflict under one law (cosine {conflict.cosine:.2f}): {conflict.first} - {conflict.second}."
        for conflict in misfit.conflicts
    ]
    if not misfit.conflicts:
        lines.append("No two figures pull the law in opposite directions.")
    return "\n".join(lines) + "\n"


_DISTANCE = "A distance is (achieved - published) in published standard errors."


def _cells(result: TargetResult) -> tuple[str, ...]:
    interval = f"{result.published[0]:.3g} to {result.published[1]:.3g}" if result.published else "-"
    if math.isnan(result.achieved):
        return (f"{result.wanted:.4g}", interval, "-", "-", "-", result.verdict)
    apart = "-" if math.isnan(result.distance) else f"{result.distance:+.2f}"
    return (f"{result.wanted:.4g}", interval, f"{result.achieved:.4g}", f"{result.mcse:.2g}", apart, result.verdict)


def _aligned(rows: Sequence[Iterable[str]]) -> list[str]:
    table = [tuple(row) for row in rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
