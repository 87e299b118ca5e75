"""What the optional tables must hold across rows, and beside each other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cmvsim.data.cells import Finding
from cmvsim.data.matching import Tables, groups, planned_twice, positions, rows_twice
from cmvsim.data.parsing import Values
from cmvsim.data.schema import (
    CAR_T,
    QUESTIONNAIRES,
    RESOURCES,
    SEQUENCING,
    STAYS,
    SUBJECTS,
    UNIT_COSTS,
    UNITS,
    VIROME,
)
from cmvsim.data.study import Result


def further_findings(tables: Tables) -> Iterator[Finding]:
    """Find what is wrong across the rows of the optional tables."""
    for table, by, what in (
        (VIROME, ("virus",), "sample"),
        (CAR_T, (), "sample"),
        (QUESTIONNAIRES, ("instrument",), "questionnaire"),
    ):
        if table.name in tables:
            yield from planned_twice(tables[table.name], by, what, f"one row per planned {what}")
    if SEQUENCING.name in tables:
        message, hint = "gene {gene} of the sample of day {day}", "one row per gene of a sample"
        yield from rows_twice(tables[SEQUENCING.name], ("patient", "day", "gene"), message, hint)
    if CAR_T.name in tables:
        yield from _units_of_products(tables[CAR_T.name], tables.get(SUBJECTS.name))
    if STAYS.name in tables:
        yield from _intensive_care(tables[STAYS.name])
    if UNIT_COSTS.name in tables:
        yield from _prices(tables[UNIT_COSTS.name])
        if RESOURCES.name not in tables:
            yield Finding(UNIT_COSTS.name, "unit costs without the use of resources", "a table resources beside it")


def _units_of_products(values: Values, subjects: Values | None) -> Iterator[Finding]:
    """Find patients without a product, and products measured in two units or with two limits."""
    if subjects is None or not values.has("patient") or not values.rows.size:
        return
    if not subjects.has("product"):
        yield Finding(CAR_T.name, "the unit depends on the product, and subjects has no column product", "the product infused")
        return
    sound = np.flatnonzero(subjects.texts["patient"] != "")
    _, first = groups(subjects.texts["patient"][sound])
    at = positions(values.texts["patient"], subjects.texts["patient"][sound[first]])
    known = at >= 0
    product = np.where(known, subjects.texts["product"][sound[first]][at], "")
    without = np.flatnonzero(known & (product == ""))
    for index in without[groups(at[without])[1]]:
        message = f"the product of patient '{values.texts['patient'][index]}' is not recorded"
        yield Finding(CAR_T.name, message, "the product in subjects", int(values.rows[index]), "patient")
    if values.has("unit", "result"):
        taken = values.usable("unit", "result") & (values.numbers["result"] != Result.NONE)
        for index in np.flatnonzero(taken & (values.texts["unit"] == "")):
            message = f"the cell is empty, but the sample was taken ({values.texts['result'][index]})"
            yield Finding(
                CAR_T.name, message, "the unit of the product; empty only where missed", int(values.rows[index]), "unit"
            )
    for column, what in (("unit", "units"), ("lloq", "limits")):
        if not values.has(column):
            continue
        given = np.flatnonzero((product != "") & values.good[column] & (values.texts[column] != ""))
        if not given.size:
            continue
        codes, firsts = groups(product[given])
        origin = given[firsts[codes]]
        cells = values.numbers[column] if column in values.numbers else values.texts[column]
        for index in np.flatnonzero(cells[given] != cells[origin]):
            row, other = given[index], origin[index]
            message = (
                f"two {what} of product '{product[row]}': {values.texts[column][row]} here and {values.texts[column][other]} "
                f"in row {values.rows[other]}"
            )
            yield Finding(CAR_T.name, message, "one per product", int(values.rows[row]), column)


def _intensive_care(values: Values) -> Iterator[Finding]:
    """Find days in intensive care outside a stay in hospital."""
    if not values.has("patient", "start_day", "stop_day", "unit"):
        return
    sound = values.usable("patient", "start_day", "stop_day", "unit")
    stop = np.where(np.isnan(values.numbers["stop_day"]), np.inf, values.numbers["stop_day"])
    start, unit, patient = values.numbers["start_day"], values.numbers["unit"], values.texts["patient"]
    stays_of: dict[str, list[int]] = {}
    for index in np.flatnonzero(sound & (unit == UNITS.index("ward"))):
        stays_of.setdefault(patient[index], []).append(int(index))
    for index in np.flatnonzero(sound & (unit == UNITS.index("icu"))):
        around = np.array(stays_of.get(patient[index], []), dtype=np.intp)
        if not ((start[around] <= start[index]) & (stop[index] <= stop[around])).any():
            message = f"intensive care from {values.texts['start_day'][index]} lies within no stay in hospital"
            hint = "a row of unit ward from its first day or before to its last or later"
            yield Finding(STAYS.name, message, hint, int(values.rows[index]), "start_day")


def _prices(values: Values) -> Iterator[Finding]:
    """Find items with two costs, and two currencies or years."""
    yield from rows_twice(values, ("item",), "item {item}", "one cost per item")
    for column, what in (("currency", "currencies"), ("year", "years")):
        if not values.has(column):
            continue
        given = np.flatnonzero(values.good[column] & (values.texts[column] != ""))
        others = given[values.texts[column][given] != values.texts[column][given[:1]]]
        if others.size:
            texts, rows = values.texts[column], values.rows
            message = f"two {what}: {texts[given[0]]} (row {rows[given[0]]}) and {texts[others[0]]} (row {rows[others[0]]})"
            yield Finding(UNIT_COSTS.name, message, "one per study", int(rows[others[0]]), column)
