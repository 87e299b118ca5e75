"""What the study's tables hold of each patient: samples until death, and how monitoring ended."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cmvsim.data.study import EndReason, Result

Table = NDArray[np.float64]
Codes = NDArray[np.int8]

LOST, WITHDRAWN, NEW_THERAPY, HCT, DEATH, COMPLETED, NONE = (
    int(EndReason.LOST),
    int(EndReason.WITHDRAWN),
    int(EndReason.NEW_THERAPY),
    int(EndReason.HCT),
    int(EndReason.DEATH),
    int(EndReason.COMPLETED),
    int(Result.NONE),
)


@njit(cache=True, nogil=True)
def until_death(
    time: NDArray[np.float64],
    result: NDArray[np.int8],
    load: NDArray[np.float64],
    death: Table,
    day: NDArray[np.float64],
    kept: NDArray[np.int8],
    value: NDArray[np.float64],
) -> None:
    """Copy samples (V, N, R), without those after death (N, R)."""
    for v in range(time.shape[0]):
        for i in range(time.shape[1]):
            for r in range(time.shape[2]):
                after = time[v, i, r] > death[i, r]
                day[v, i, r] = math.nan if after else time[v, i, r]
                kept[v, i, r] = NONE if after else result[v, i, r]
                value[v, i, r] = math.nan if after else load[v, i, r]


@njit(cache=True, nogil=True)
def dispositions(
    planned: float,
    closing: Table,
    lost: Table,
    withdrawn: Table,
    new_therapy: Table,
    hct: Table,
    death: Table,
    end: Table,
    reason: Codes,
    died: Table,
    known: Table,
) -> None:
    """Fill whole day and reason of the end of monitoring, the day of a death that is known of, and `known`; all (N, R).

    The study knows of a patient until withdrawal, loss, death, or the last planned visit (the closing one, if later).
    Of events at the same time the later in the order lost, withdrawn, new therapy, transplantation, death is the
    reason.
    """
    for i in range(death.shape[0]):
        for r in range(death.shape[1]):
            dies = death[i, r]
            first, why = planned, COMPLETED
            if closing[i, r] > first and not closing[i, r] > dies:
                first = closing[i, r]
            known_until = min(withdrawn[i, r], lost[i, r], first)
            if lost[i, r] <= first:
                first, why = lost[i, r], LOST
            if withdrawn[i, r] <= first:
                first, why = withdrawn[i, r], WITHDRAWN
            if new_therapy[i, r] <= first:
                first, why = new_therapy[i, r], NEW_THERAPY
            if hct[i, r] <= first:
                first, why = hct[i, r], HCT
            if dies <= first:
                first, why = dies, DEATH
            dated = why in (DEATH, HCT, COMPLETED)
            end[i, r] = np.ceil(first) if dated else np.floor(first)
            reason[i, r] = why
            died[i, r] = np.ceil(dies) if dies < math.inf and dies <= known_until else math.nan
            known[i, r] = min(known_until, dies)
