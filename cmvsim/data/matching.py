"""Rows of tables set beside each other: which patient, which repeats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from cmvsim.core.records import BoolArray, IntArray
from cmvsim.data.cells import Finding, ObjectArray
from cmvsim.data.parsing import Values
from cmvsim.data.schema import LAST_DAY

Tables = Mapping[str, Values]


def positions(patients: ObjectArray, known: ObjectArray) -> IntArray:
    """Index of each patient in `known`, a list without repeats; -1 where unknown."""
    index = pd.Index(known, dtype=object).get_indexer(pd.Index(patients, dtype=object))
    return np.asarray(index, dtype=np.int64)


def groups(keys: ObjectArray | IntArray) -> tuple[IntArray, IntArray]:
    """Group of each entry, by first appearance, and the index of the first entry of each group."""
    codes, _ = pd.factorize(keys)
    _, first = np.unique(codes, return_index=True)
    return codes.astype(np.int64), first.astype(np.int64)


def repeats(keys: ObjectArray | IntArray, among: BoolArray) -> Iterator[tuple[int, int]]:
    """Pairs (a repeat, its first) of indices with equal keys, of those `among`."""
    indices = np.flatnonzero(among)
    if indices.size:
        codes, first = groups(keys[indices])
        for repeat in np.flatnonzero(first[codes] != np.arange(codes.size)):
            yield int(indices[repeat]), int(indices[first[codes[repeat]]])


def same(values: Values, columns: Sequence[str]) -> IntArray:
    """One number per combination of the texts of these columns."""
    codes = np.zeros(values.rows.size, dtype=np.int64)
    for column in columns:
        mine, first = groups(values.texts[column])
        codes = codes * max(first.size, 1) + mine
    return codes


def planned_twice(values: Values, by: Sequence[str], what: str, hint: str) -> Iterator[Finding]:
    """Find rows of the same patient (and columns `by`) planned for the same day."""
    if not values.has("patient", "nominal_day", *by):
        return
    nominal = values.numbers["nominal_day"]
    planned = values.usable("patient", "nominal_day", *by) & ~np.isnan(nominal)
    keys = same(values, ("patient", *by)) * (2 * LAST_DAY + 1) + np.where(planned, nominal, 0).astype(np.int64)
    for repeat, first in repeats(keys, planned):
        message = f"the {what} planned for {nominal[repeat]:.0f} has a row already (row {values.rows[first]})"
        yield Finding(values.table.name, message, hint, int(values.rows[repeat]), "nominal_day")


def rows_twice(values: Values, by: Sequence[str], message: str, hint: str) -> Iterator[Finding]:
    """Find rows equal in the texts of these columns; the last is pointed at, and named in braces in the message."""
    if not values.has(*by):
        return
    for repeat, first in repeats(same(values, by), values.usable(*by)):
        said = message.format(**{name: values.texts[name][repeat] for name in by})
        yield Finding(
            values.table.name, f"{said} has a row already (row {values.rows[first]})", hint, int(values.rows[repeat]), by[-1]
        )
