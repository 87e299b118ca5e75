"""From cells to values: every cell interpreted by its column's schema, every cell that cannot be named."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cmvsim.core.records import BoolArray, FloatArray, IntArray
from cmvsim.data.cells import Cells, Finding, ObjectArray, number_of, suggestion
from cmvsim.data.schema import Column, Kind, Table

NOT_AVAILABLE = frozenset({"na", "n/a", "nan", "null", "none", "."})
"""What other programs write for an empty cell; taken as text it would become a category of its own."""

_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Values:
    """A table's values, column by column.

    Attributes
    ----------
    table
        Its schema.
    rows
        Row of each record in a spreadsheet.
    texts
        Texts of every column that is there, empty where nothing was given.
    numbers
        Days, numbers and codes of closed categories; NaN where the cell is empty or cannot be read.
    good
        Where a cell could be read; an empty cell that may be empty is good.
    """

    table: Table
    rows: IntArray
    texts: Mapping[str, ObjectArray]
    numbers: Mapping[str, FloatArray]
    good: Mapping[str, BoolArray]

    def has(self, *columns: str) -> bool:
        """Whether all these columns are there."""
        return all(column in self.texts for column in columns)

    def usable(self, *columns: str) -> BoolArray:
        """Rows in which all these columns could be read."""
        out = np.ones(self.rows.size, dtype=np.bool_)
        for column in columns:
            out &= self.good[column]
        return out


def text_fault(text: str) -> str:
    """Say why a text cannot be a name in a table; empty if it can."""
    if text.lower() in NOT_AVAILABLE:
        return f"'{text}' stands for nothing recorded"
    if any(unicodedata.category(character) == "Cc" for character in text):
        return f"{text!r} holds a control character"
    return ""


def parse(cells: Cells) -> tuple[Values, list[Finding]]:
    """Interpret the cells of a table.

    Parameters
    ----------
    cells
        The texts.

    Returns
    -------
    values
        What could be read.
    findings
        One per cell that could not.
    """
    texts: dict[str, ObjectArray] = {}
    numbers: dict[str, FloatArray] = {}
    good: dict[str, BoolArray] = {}
    findings: list[Finding] = []
    for column in cells.table.columns:
        if column.name not in cells.columns:
            continue
        # Columns repeat few distinct texts: interpret each once, whatever the number of rows.
        codes, distinct = pd.factorize(cells.columns[column.name])
        read = [_read(column, text) for text in distinct]
        fine = np.array([not fault for _, fault in read], dtype=np.bool_)[codes] & cells.sound
        texts[column.name], good[column.name] = cells.columns[column.name], fine
        if column.kind.numeric or column.allowed:
            values = np.array([value for value, _ in read], dtype=np.float64)[codes]
            numbers[column.name] = np.where(fine, values, np.nan)
        hints = {text: _allowed(column, text) for text, (_, fault) in zip(distinct, read, strict=True) if fault}
        for index in np.flatnonzero(~fine & cells.sound):
            fault = read[codes[index]][1]
            hint = hints[distinct[codes[index]]]
            findings.append(Finding(cells.table.name, fault, hint, int(cells.rows[index]), column.name))
    return Values(cells.table, cells.rows, texts, numbers, good), findings


def _read(column: Column, text: str) -> tuple[float, str]:
    """Value of a cell (NaN for texts and empty cells) and what is wrong with it (empty if nothing is)."""
    if not text:
        return np.nan, "" if column.blank else "the cell is empty"
    if column.kind.numeric:
        return _read_number(column, text)
    if column.allowed:
        known = text in column.allowed
        return (float(column.allowed.index(text)), "") if known else (np.nan, f"'{text}' is not a known {column.name}")
    return np.nan, text_fault(text)


def _read_number(column: Column, text: str) -> tuple[float, str]:
    value = number_of(text)
    whole = column.kind is not Kind.NUMBER
    what = column.kind.value
    if value is None:
        return np.nan, f"'{text}' is not a {what}"
    if whole and not value.is_integer():
        return np.nan, f"{text} is not a {what}"
    if column.positive and value <= 0:
        return np.nan, f"{text} is not above 0"
    if not column.low <= value <= column.high:
        return np.nan, f"{text} is out of range"
    return value, ""


def _allowed(column: Column, text: str) -> str:
    if not text:
        return column.values
    if text.lower() in NOT_AVAILABLE and column.blank:
        return f"leave the cell empty: {column.blank}"
    if column.allowed:
        return suggestion(text, column.allowed)
    if column.kind is Kind.DAY and _DATE.fullmatch(text):
        return f"{column.values}; days count from infusion, dates are not read"
    if column.kind.numeric and "," in text:
        return f"{column.values}; write a decimal point and no separator of thousands"
    return column.values
