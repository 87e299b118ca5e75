"""What a file format does: bytes to the texts of a table, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmvsim.data.schema import Kind, Table

ObjectArray = NDArray[np.object_]
Texts = Mapping[str, ObjectArray]
"""Texts of a table by column; an empty text is an empty cell."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A table as it stands in a file, nothing interpreted.

    Attributes
    ----------
    header
        Names of the columns.
    header_row
        Row of the header as a spreadsheet counts; 0 where the format has no such row.
    records
        Texts of each record.
    rows
        Number of each record: its row in a spreadsheet, or from 1 on where the format has no header row.
    """

    header: list[str]
    header_row: int
    records: list[list[str]]
    rows: list[int]

    @classmethod
    def of(cls, header: Sequence[str], records: Sequence[Sequence[Any]]) -> Raw:
        """A table of a format that knows numbers and has no header row."""
        texts = [[cell_text(cell) for cell in record] for record in records]
        return cls(list(header), 0, texts, list(range(1, len(texts) + 1)))


class UnreadableError(Exception):
    """The file holds no table; carries what a Finding needs."""

    def __init__(self, message: str, allowed: str, row: int = 0) -> None:
        super().__init__(message)
        self.message, self.allowed, self.row = message, allowed, row


@dataclass(frozen=True, slots=True)
class Format:
    """A file format of study tables.

    Attributes
    ----------
    id, suffix
        Its name on the command line, and how file names end.
    read
        (bytes, table) -> Raw; raises UnreadableError.
    write
        (table, texts) -> bytes, the same for the same texts; raises InputError for what the format cannot hold.
    """

    id: str
    suffix: str
    read: Callable[[bytes, Table], Raw]
    write: Callable[[Table, Texts], bytes]

    def file(self, table: Table) -> str:
        """File name of a table."""
        return f"{table.name}{self.suffix}"


def number_text(value: float) -> str:
    """Shortest text that reads back as the same number; whole numbers without a decimal point."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def cell_text(cell: Any) -> str:
    """Text of a cell of a format that knows types."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, int | float):
        value = float(cell)
        return "" if value != value else number_text(value)
    return str(cell).strip()


def typed(table: Table, texts: Texts) -> dict[str, list[Any]]:
    """Cells of a table by column: int, float or str, None where empty."""
    cells: dict[str, list[Any]] = {}
    for name, column in texts.items():
        kind = table.column(name).kind
        if not kind.numeric:
            cells[name] = [text or None for text in column]
        elif kind is Kind.NUMBER:
            cells[name] = [float(text) if text else None for text in column]
        else:
            cells[name] = [int(float(text)) if text else None for text in column]  # "7.0" is a whole number
    return cells
