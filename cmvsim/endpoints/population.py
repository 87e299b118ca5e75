"""Who belongs to an analysis before its own rules: the part of the study that the plan asks for, and the disease."""

from __future__ import annotations

import numpy as np

from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import BoolArray, IntArray
from cmvsim.data.cut import infused
from cmvsim.data.study import Study
from cmvsim.endpoints.analysis import AnalysisSpec

PARTS = ("retrospective", "prospective")
"""Parts of the study, in the order of their codes where none are given."""


def left_out(study: Study, plan: AnalysisSpec, disease: str | None = None) -> dict[str, BoolArray]:
    """Patients outside the analysis by reason, (R, N) each; nobody under two reasons.

    Raises
    ------
    InputError
        If the plan asks for one part of a study that does not say which part its patients belong to.
    """
    reasons: dict[str, BoolArray] = {}
    not_yet = ~infused(study)
    if not_yet.any():
        reasons["not infused by the data cut"] = not_yet
    if plan.parts != "pooled":
        code = PARTS.index(plan.parts)
        other = np.asarray(part_of(study, f'parts = "{plan.parts}"') != code)
        reasons = also(reasons, "other part of the study", other, study)
    if disease is not None:
        other = ~np.array([name == disease for name in study.subjects.diseases])[study.subjects.stratum]
        reasons = also(reasons, "other disease", other, study)
    return reasons


def anybody(reasons: dict[str, BoolArray], study: Study) -> BoolArray:
    """(R, N) patients under any of the reasons."""
    out = np.zeros_like(study.disposition.end, dtype=bool)
    for who in reasons.values():
        out |= who
    return out


def also(reasons: dict[str, BoolArray], why: str, who: BoolArray, study: Study) -> dict[str, BoolArray]:
    """The reasons with one more, of those not left out already."""
    return {**reasons, why: who & ~anybody(reasons, study)}


def part_of(study: Study, asked: str) -> IntArray:
    """(R, N) index into :data:`PARTS`; -1 where it was not written down.

    Raises
    ------
    InputError
        If the study does not say which part its patients belong to; `asked` is what needs to know.
    """
    if "part" not in study.subjects.covariates:
        raise InputError(
            Problem(
                f"{asked}, but the parts of the study were not recorded",
                "analysis",
                "parts",
                'a column part in subjects.csv, or "pooled"',
            )
        )
    recorded, labels = study.subjects.covariates["part"], study.subjects.labels.get("part", PARTS)
    code = np.full(recorded.shape, -1, dtype=np.int64)
    for place, name in enumerate(labels):
        if name in PARTS:
            code[recorded == place] = PARTS.index(name)
    return code
