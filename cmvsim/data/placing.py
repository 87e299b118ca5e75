"""Where the rows of a table go in arrays of patients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cmvsim.core.records import FloatArray, IntArray
from cmvsim.data.parsing import Values

PatientIndex = Callable[[Values], IntArray]
"""Place of each row's patient among the subjects."""


def slots(patient: IntArray, order: IntArray) -> IntArray:
    """Place of each row among the rows of its patient, given the order that sorts the rows by patient."""
    ordered = patient[order]
    starts = np.searchsorted(ordered, ordered, side="left")
    out = np.empty_like(order)
    out[order] = np.arange(order.size) - starts
    return out


def spread(column: FloatArray, patient: IntArray, slot: IntArray, patients: int, padding: float = np.nan) -> FloatArray:
    """Values of rows as an array (1, patients, slots), at least one slot wide."""
    out = np.full((1, patients, int(slot.max(initial=0)) + 1), padding, dtype=np.float64)
    out[0, patient, slot] = column
    return out
