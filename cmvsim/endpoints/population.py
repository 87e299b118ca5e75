"""Who belongs to an analysis before its own rules: the part of the study that the plan asks for, and the disease."""

from __future__ import annotations

import numpy as np

from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import BoolArray
from cmvsim.data.study import Study
from cmvsim.endpoints.analysis import AnalysisSpec

_PARTS = ("retrospective", "prospective")


def left_out(study: Study, plan: AnalysisSpec, disease: str | None = None) -> dict[str, BoolArray]:
    """Patients outside the analysis by reason, (R, N) each; nobody under two reasons.

    Raises
    ------
    InputError
        If the plan asks for one part of a study that does not say which part its patients belong to.
    """
    reasons: dict[str, BoolArray] = {}
    if plan.parts != "pooled":
        if "part" not in study.subjects.covariates:
            raise InputError(
                Problem(
                    f'parts = "{plan.parts}", but the parts of the study were not recorded',
                    "analysis",
                    "parts",
                    'a column part in subjects.csv, or "pooled"',
                )
            )
        code = study.subjects.labels.get("part", _PARTS).index(plan.parts)
        reasons["other part of the study"] = study.subjects.covariates["part"] != code
    if disease is not None:
        other = ~np.array([name == disease for name in study.subjects.diseases])[study.subjects.stratum]
        reasons = also(reasons, "other disease", other, study)
    return reasons


def anybody(reasons: dict[str, BoolArray], study: Study) -> BoolArray:
    """(R, N) patients under any of the reasons."""
    out = np.zeros((study.replicates, study.patients), dtype=bool)
    for who in reasons.values():
        out |= who
    return out


def also(reasons: dict[str, BoolArray], why: str, who: BoolArray, study: Study) -> dict[str, BoolArray]:
    """The reasons with one more, of those not left out already."""
    return {**reasons, why: who & ~anybody(reasons, study)}
