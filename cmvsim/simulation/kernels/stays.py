"""Stays that overlap or touch as one stay (model.md 14), and the segments and tests that the ledger has of them."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

INF = math.inf
Vector = NDArray[np.float64]
Table = NDArray[np.float64]
Rows = NDArray[np.int64]
Codes = NDArray[np.int8]
Flags = NDArray[np.bool_]


@njit(cache=True, nogil=True, error_model="numpy")
def merge_windows(start: Table, stop: Table, end: Vector, begins: Table, ends: Table) -> int:
    """Unite the windows (M, P) of each patient that overlap or touch, cut at `end`; return the most that anybody has.

    `begins` and `ends` (M, P) come filled with +inf and hold the united windows in order of time. A start that is NaN is no
    window; a stop that is NaN has no end.
    """
    most = 0
    first, last = np.empty(start.shape[0]), np.empty(start.shape[0])
    for i in range(end.size):
        n = 0
        for m in range(start.shape[0]):
            opens, closes = start[m, i], min(end[i], INF if math.isnan(stop[m, i]) else stop[m, i])
            if not opens < closes:
                continue
            j = n
            while j > 0 and first[j - 1] > opens:
                first[j], last[j] = first[j - 1], last[j - 1]
                j -= 1
            first[j], last[j] = opens, closes
            n += 1
        united = 0
        for j in range(n):
            if united > 0 and first[j] <= ends[united - 1, i]:
                ends[united - 1, i] = max(ends[united - 1, i], last[j])
            else:
                begins[united, i], ends[united, i] = first[j], last[j]
                united += 1
        most = max(most, united)
    return most


@njit(cache=True, error_model="numpy")
def insert(cuts: Vector, n: int, time: float) -> int:
    """Put a time in its place among `n`; return their number."""
    j = n
    while j > 0 and cuts[j - 1] > time:
        cuts[j] = cuts[j - 1]
        j -= 1
    cuts[j] = time
    return n + 1


@njit(cache=True, error_model="numpy")
def window_at(start: Table, stop: Table, i: int, t: float) -> int:
    """The window of patient `i` that holds t, -1 if none does."""
    for m in range(start.shape[0]):
        if start[m, i] <= t and t < stop[m, i]:
            return m
    return -1


@njit(cache=True, nogil=True, error_model="numpy")
def list_segments(
    ward_start: Table,
    ward_stop: Table,
    icu_start: Table,
    icu_stop: Table,
    planned_start: Vector,
    planned_stop: Vector,
    patient: Rows,
    start: Vector,
    stop: Vector,
    kinds: Flags,
) -> int:
    """Cut the stays where ward, intensive care or plan change, patient by patient; return the number of segments.

    Windows are (W, P) and (P,), +inf where there is none, those in hospital disjoint; the outputs have room for twice as many
    segments as there are windows. `kinds` (3, rows) says whether a segment is in intensive care, in the planned stay, and in
    the stay that holds the planned one.
    """
    n = 0
    wards, icus = ward_start.shape[0], icu_start.shape[0]
    cuts = np.empty(2 * (wards + icus + 1))
    for i in range(planned_start.size):
        k = 0
        for m in range(wards):
            if ward_start[m, i] < INF:
                k = insert(cuts, insert(cuts, k, ward_start[m, i]), ward_stop[m, i])
        if k == 0:  # not in hospital
            continue
        for m in range(icus):
            if icu_start[m, i] < INF:
                k = insert(cuts, insert(cuts, k, icu_start[m, i]), icu_stop[m, i])
        if planned_start[i] < INF:
            k = insert(cuts, insert(cuts, k, planned_start[i]), planned_stop[i])
        initial = window_at(ward_start, ward_stop, i, planned_start[i])
        for j in range(k - 1):
            t = cuts[j]
            if not t < cuts[j + 1]:
                continue
            ward = window_at(ward_start, ward_stop, i, t)
            if ward < 0:
                continue
            patient[n], start[n], stop[n] = i, t, cuts[j + 1]
            kinds[0, n] = window_at(icu_start, icu_stop, i, t) >= 0
            kinds[1, n] = planned_start[i] <= t and t < planned_stop[i]
            kinds[2, n] = ward == initial
            n += 1
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def count_taken(time: Table, end: Vector) -> int:
    """Samples (V, P) taken up to `end` (P,); NaN where none was taken."""
    n = 0
    for v in range(time.shape[0]):
        for i in range(time.shape[1]):
            if time[v, i] <= end[i]:
                n += 1
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def list_taken(time: Table, end: Vector, marked: Flags, patient: Rows, at: Vector, mark: Flags) -> None:
    """Fill patient, time and mark of the samples that :func:`count_taken` counts, row by row; `marked` may be empty."""
    n = 0
    for v in range(time.shape[0]):
        for i in range(time.shape[1]):
            if time[v, i] <= end[i]:
                patient[n], at[n], mark[n] = i, time[v, i], marked.size > 0 and marked[v, i]
                n += 1
