"""From bytes to cells: a CSV file as columns of texts, every structural fault named, no value interpreted.

The file is parsed with the standard library and not with pandas, because the faults of a file (too many
cells, another separator, a quote never closed) must be reported with the row that a spreadsheet shows.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cmvsim.core.errors import Problem, did_you_mean
from cmvsim.core.records import BoolArray, IntArray
from cmvsim.data.schema import TABLES, Table

ObjectArray = NDArray[np.object_]

AS_CSV = "save the table as CSV, comma-separated, UTF-8"


class Finding(NamedTuple):
    """A problem with its place still in parts, so that findings can be listed in the order of the tables."""

    table: str
    message: str
    allowed: str = ""
    row: int = 0  # as a spreadsheet counts, the header being row 1; 0 is the whole table
    column: str = ""

    def problem(self) -> Problem:
        """Write it for the user."""
        place = [f"row {self.row}"] if self.row else []
        place += [f"column {self.column}"] if self.column else []
        return Problem(self.message, where=f"{self.table}.csv", at=", ".join(place), allowed=self.allowed)


@dataclass(frozen=True, slots=True)
class Cells:
    """The texts of a table, stripped of surrounding blanks.

    Attributes
    ----------
    table
        Its schema.
    columns
        Texts by column; unknown and repeated columns are left out.
    rows
        Row of each record in a spreadsheet.
    sound
        Records with as many cells as the header; the cells of others may have slipped and are not read.
    """

    table: Table
    columns: Mapping[str, ObjectArray]
    rows: IntArray
    sound: BoolArray


class UnreadableError(Exception):
    """The file is no CSV table; carries what a Finding needs."""

    def __init__(self, message: str, allowed: str = AS_CSV, row: int = 0) -> None:
        super().__init__(message)
        self.message, self.allowed, self.row = message, allowed, row


def suggestion(word: str, options: Iterable[str]) -> str:
    """Say the nearest option and all options; case does not matter."""
    options = list(options)
    hint = did_you_mean(word.lower(), options)
    return f"{hint} allowed: {', '.join(options)}" if hint.startswith("did you mean") else f"allowed: {', '.join(options)}"


def read_cells(folder: Path, table: Table) -> tuple[Cells | None, list[Finding]]:
    """Read one table's file.

    Parameters
    ----------
    folder
        The study's folder.
    table
        Which table.

    Returns
    -------
    cells
        The table's texts; None when there is no usable file (an optional table may be absent).
    findings
        Structural faults.
    """
    path = folder / table.file
    if not path.exists():
        near = _misnamed(folder, table)
        if not table.required and not near:
            return None, []
        hint = f"did you mean '{near}'?" if near else f"needed: {', '.join(t.file for t in TABLES if t.required)}"
        return None, [Finding(table.name, "there is no such file", hint)]
    try:
        text = _decode(_bytes(path))
        header, header_row, records, rows = _records(text, table)
    except UnreadableError as error:
        return None, [Finding(table.name, error.message, error.allowed, error.row)]
    findings = _header_findings(table, header, header_row)
    width = len(header)
    sound = np.array([len(record) == width for record in records], dtype=np.bool_)
    for index in np.flatnonzero(~sound):
        count = len(records[index])
        findings.append(
            Finding(
                table.name,
                f"{count} cell{'s' * (count != 1)} where the header has {width}",
                "one cell per column; a text with a comma in it stands in double quotes",
                rows[index],
            )
        )
        records[index] = (records[index] + [""] * width)[:width]
    if not records and table.required:
        findings.append(Finding(table.name, "the table has no rows", "at least one"))
    columns = _columns(table, header, records)
    return Cells(table, columns, np.array(rows, dtype=np.int64), sound), findings


def _misnamed(folder: Path, table: Table) -> str:
    """Find a CSV file that seems meant to be this table: a slip in its name must not hide an optional one."""
    known = {other.file for other in TABLES}
    names = sorted(p.name for p in folder.iterdir() if p.suffix.lower() == ".csv" and p.name not in known)
    # A folder may hold other tables: only a near-certain slip stops a study without an optional table.
    cutoff = 0.6 if table.required else 0.8
    return next((n for n in names if difflib.get_close_matches(table.file, [n.lower()], 1, cutoff)), "")


def _bytes(path: Path) -> bytes:
    if path.is_dir():
        raise UnreadableError("is a folder, not a file")
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror or 'unknown reason'}", "a readable file") from error


def _decode(data: bytes) -> str:
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise UnreadableError("is a spreadsheet or an archive under the name of a CSV file")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableError("is text in UTF-16")
    if b"\0" in data:
        raise UnreadableError("is a binary file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        raise UnreadableError(f"is not UTF-8 text: byte 0x{data[error.start]:02x} cannot be read", row=row) from error


def _records(text: str, table: Table) -> tuple[list[str], int, list[list[str]], list[int]]:
    """Header, its row, and the records with their rows; blank lines count as rows and are left out."""
    _refuse_other_separator(text, table)
    header: list[str] = []
    header_row = number = 0
    records: list[list[str]] = []
    rows: list[int] = []
    cleaned: dict[str, str] = {}  # a study repeats few texts often: keep each once
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for number, raw in enumerate(reader, start=1):
            record = [cleaned[cell] if cell in cleaned else cleaned.setdefault(cell, cell.strip()) for cell in raw]
            if not any(record):
                continue
            if header:
                records.append(record)
                rows.append(number)
            else:
                header, header_row = record, number
    except csv.Error as error:
        what = "a double quote is opened and never closed" if "end of data" in str(error) else f"is not CSV: {error}"
        raise UnreadableError(what, "quotes in pairs; a quote inside a quoted text is doubled", number + 1) from error
    if not header:
        raise UnreadableError("the file is empty", f"a header: {','.join(table.names)}")
    return header, header_row, records, rows


def _refuse_other_separator(text: str, table: Table) -> None:
    for row, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        for separator, name in ((";", "semicolons"), ("\t", "tabs")):
            parts = [part.strip(' "') for part in line.split(separator)]
            known = sum(part in table.names for part in parts)
            if known >= 2 or (len(parts) > 1 and "," not in line):
                raise UnreadableError(
                    f"cells are separated by {name}",
                    "separate cells by commas and write numbers with a decimal point",
                    row,
                )
        return


def _header_findings(table: Table, header: Sequence[str], row: int) -> list[Finding]:
    findings: list[Finding] = []
    missing = [column.name for column in table.columns if column.name not in header and column.required]
    absent = [name for name in table.names if name not in header]
    for name in dict.fromkeys(header):
        if not name:
            findings.append(Finding(table.name, "a column has no name", suggestion(name, absent or table.names), row))
        elif name not in table.names:
            hint = suggestion(name, absent) if absent else ""
            # A misspelt name is one mistake: not also a missing column.
            near = next((n for n in absent if f"did you mean '{n}'?" in hint), "")
            missing = [n for n in missing if n != near]
            hint = hint if near else suggestion(name, table.names)
            findings.append(Finding(table.name, f"unknown column '{name}'", hint, row, name))
        if name and header.count(name) > 1:
            message = f"column '{name}' is there {header.count(name)} times"
            findings.append(Finding(table.name, message, "each column once", row, name))
    findings += [Finding(table.name, f"column '{n}' is missing", f"needed: {table.column(n).meaning}", row, n) for n in missing]
    return findings


def _columns(table: Table, header: Sequence[str], records: Sequence[Sequence[str]]) -> dict[str, ObjectArray]:
    usable = [(i, name) for i, name in enumerate(header) if name in table.names and header.count(name) == 1]
    columns: dict[str, ObjectArray] = {}
    for index, name in usable:
        column = np.empty(len(records), dtype=np.object_)
        column[:] = [record[index] for record in records]
        columns[name] = column
    return columns


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def number_of(text: str) -> float | None:
    """Read a decimal number; None when it is none, as ``nan``, ``inf``, ``1_000`` and ``1,5`` are."""
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if np.isfinite(value) else None


def number_text(value: float) -> str:
    """Shortest text that reads back as the same number; whole numbers without a decimal point."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
