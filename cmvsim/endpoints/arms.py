"""A derivation by arm: which patients were assigned to what, and the strata of a stratified comparison."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import IntArray
from cmvsim.data.study import Study
from cmvsim.endpoints.analysis import AnalysisSpec
from cmvsim.endpoints.base import Endpoint
from cmvsim.endpoints.derived import EXCLUDED, Binary, GroupedBinary, GroupedTimeToEvent, TimeToEvent
from cmvsim.endpoints.population import also

FACTORS = ("stratum", "disease", "site", "sex")
"""Baseline factors that a comparison, and randomisation, can be stratified by."""
ARMS = 2


def arm_of(study: Study, plan: AnalysisSpec) -> tuple[tuple[str, ...], IntArray]:
    """Names of the arms, the control first, and (R, N) index of each patient's; -1 where it was not written down.

    Raises
    ------
    InputError
        If the study has no arms, not those of the plan, or other than two.
    """
    if "arm" not in study.subjects.covariates:
        raise InputError(
            Problem("arms are to be compared, but were not recorded", "analysis", "arms", "a column arm in subjects.csv")
        )
    recorded, labels = study.subjects.covariates["arm"], study.subjects.labels.get("arm", ())
    names = plan.arms or tuple(labels)
    missing = [name for name in names if name not in labels]
    if missing:
        found = f"arms in subjects.csv: {', '.join(labels)}"
        raise InputError(Problem(f"nobody was assigned to the arm '{missing[0]}'", "analysis", "arms", found))
    if len(names) != ARMS:
        found = ", ".join(names) or "none"
        raise InputError(
            Problem(f"two arms are compared, not {len(names)} ({found})", "analysis", "arms", "two of them, the control first")
        )
    code = np.full(recorded.shape, -1, dtype=np.int64)
    for place, name in enumerate(labels):
        if name in names:
            code[recorded == place] = names.index(name)
    return names, code


def strata_of(study: Study, factors: tuple[str, ...]) -> IntArray:
    """(R, N) code of each patient's combination of factors; -1 where one was not recorded.

    Raises
    ------
    InputError
        If a factor was not recorded of anybody.
    """
    subjects = study.subjects
    code = np.zeros(subjects.stratum.shape, dtype=np.int64)
    for factor in factors:
        if factor == "stratum":
            mine, count = subjects.stratum.astype(np.int64), len(subjects.strata)
        elif factor == "disease":
            names = tuple(dict.fromkeys(subjects.diseases))
            mine = np.array([names.index(name) for name in subjects.diseases], dtype=np.int64)[subjects.stratum]
            count = len(names)
        elif factor in subjects.covariates:
            recorded = subjects.covariates[factor]
            mine = np.where(np.isnan(recorded), -1, recorded).astype(np.int64)
            count = max(int(mine.max(initial=0)) + 1, 1)
        else:
            raise InputError(
                Problem(f"'{factor}' was not recorded", "analysis", "strata", f"a column {factor} in subjects.csv, or others")
            )
        code = np.where((code < 0) | (mine < 0), -1, code * count + mine)
    return code


ByArm = Callable[[Study, AnalysisSpec], GroupedTimeToEvent | GroupedBinary]


def by_arm(entry: Endpoint) -> ByArm:
    """The endpoint's own derivation with the arms kept apart.

    Raises
    ------
    InputError
        When derived, as :func:`arm_of` and :func:`strata_of`.
    """
    return _by_arm(entry)  # type: ignore[arg-type]  # endpoints are frozen dataclasses


@cache
def _by_arm(entry: Any) -> ByArm:
    """One function per endpoint, so that comparisons of the same plan share what is derived."""

    def grouped(study: Study, plan: AnalysisSpec) -> GroupedTimeToEvent | GroupedBinary:
        names, arm = arm_of(study, plan)
        whole = entry.derive(study, plan)
        excluded = also(dict(whole.excluded), "arm not recorded", arm < 0, study)
        out = (arm < 0) | ~whole.entered
        group = np.where(out, -1, arm)
        stratum = np.where(out, -1, strata_of(study, plan.strata)) if plan.strata else None
        if isinstance(whole, TimeToEvent):
            cause = np.where(out, np.int8(EXCLUDED), whole.cause).astype(np.int8)
            return GroupedTimeToEvent(whole.time, cause, group, names, excluded, stratum)
        if isinstance(whole, Binary):
            return GroupedBinary(np.where(out, np.int8(-1), whole.value).astype(np.int8), group, names, excluded, stratum)
        raise TypeError(f"{entry.id} is neither a time to an event nor yes or no")

    return grouped
