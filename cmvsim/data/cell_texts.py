"""From values to the texts of cells; what no cell can say is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from cmvsim.core.errors import did_you_mean
from cmvsim.core.records import FloatArray
from cmvsim.data.cells import ObjectArray, number_text
from cmvsim.data.parsing import text_fault
from cmvsim.data.study import Int8Array

Columns = dict[str, ObjectArray]
"""The texts of a table, by column."""


def names(given: Sequence[str], what: str) -> ObjectArray:
    """Check that names read back as they are."""
    for name in given:
        fault = text_fault(name) or ("" if name and name == name.strip() else f"{name!r} is blank or has blanks around it")
        if fault:
            raise ValueError(f"{what}: {fault}")
    out = np.empty(len(given), dtype=np.object_)
    out[:] = list(given)
    return out


def texts(values: FloatArray, text: Callable[[float], str], what: str, empty: bool) -> ObjectArray:
    """Text of each number, made once per distinct number; NaN is an empty cell where that is allowed."""
    out = np.full(values.shape, "", dtype=np.object_)
    given = ~np.isnan(values)
    if not empty and not given.all():
        raise ValueError(f"{what}: missing values")
    distinct, inverse = np.unique(values[given], return_inverse=True)
    words = np.empty(distinct.size, dtype=np.object_)
    words[:] = [text(value) for value in distinct.tolist()]
    out[given] = words[inverse]
    return out


def days(values: FloatArray, what: str, empty: bool = False) -> ObjectArray:
    """Write whole days, or other whole numbers."""

    def text(day: float) -> str:
        if not day.is_integer():
            raise ValueError(f"{what}: {day} is not a whole day")
        return number_text(day)

    return texts(values, text, what, empty)


def numbers(values: FloatArray, what: str, empty: bool = False) -> ObjectArray:
    """Write numbers in the shortest text that reads back exactly."""

    def text(number: float) -> str:
        if np.isinf(number):
            raise ValueError(f"{what}: infinite")
        return number_text(number)

    return texts(values, text, what, empty)


def coded(codes: FloatArray | Int8Array, labels: Sequence[str], what: str, empty: bool = False) -> ObjectArray:
    """Write codes as their labels."""

    def text(code: float) -> str:
        if not (code.is_integer() and 0 <= code < len(labels)):
            raise ValueError(f"{what}: code {code:g} of {len(labels)}")
        return labels[int(code)]

    return texts(np.asarray(codes, dtype=np.float64), text, what, empty)


def known(given: Iterable[str], places: Sequence[str], what: str) -> None:
    """Refuse what no table has a place for."""
    for name in given:
        if name not in places:
            raise ValueError(f"no table has a place for {what} '{name}' ({did_you_mean(name, places)})")
