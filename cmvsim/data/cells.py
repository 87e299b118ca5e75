"""From files to cells: a table as columns of texts, every structural fault named, no value interpreted."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cmvsim.core.errors import Problem, did_you_mean
from cmvsim.core.records import BoolArray, IntArray
from cmvsim.data.formats import FORMATS, files_of
from cmvsim.data.formats.base import ObjectArray, Raw, UnreadableError, number_text
from cmvsim.data.schema import TABLES, Table

__all__ = ["Cells", "Finding", "ObjectArray", "number_of", "number_text", "read_cells", "suggestion"]


class Finding(NamedTuple):
    """A problem with its place still in parts, so that findings can be listed in the order of the tables."""

    table: str
    message: str
    allowed: str = ""
    row: int = 0  # as a spreadsheet counts, the header being row 1 (without a header: from 1); 0 is the whole table
    column: str = ""

    def problem(self, file: str) -> Problem:
        """Write it for the user; `file` is the name of the table's file."""
        place = [f"row {self.row}"] if self.row else []
        place += [f"column {self.column}"] if self.column else []
        return Problem(self.message, where=file, at=", ".join(place), allowed=self.allowed)


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


def suggestion(word: str, options: Iterable[str]) -> str:
    """Say the nearest option and all options; case does not matter."""
    options = list(options)
    hint = did_you_mean(word.lower(), options)
    return f"{hint} allowed: {', '.join(options)}" if hint.startswith("did you mean") else f"allowed: {', '.join(options)}"


def read_cells(folder: Path, table: Table) -> tuple[Cells | None, list[Finding], str]:
    """Read one table's file, whatever its format.

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
    file
        Name of the file, of the CSV form where there is none.
    """
    there = files_of(folder, table)
    if not there:
        near = _misnamed(folder, table)
        if not table.required and not near:
            return None, [], table.file
        hint = f"did you mean '{near}'?" if near else f"needed: {', '.join(t.file for t in TABLES if t.required)}"
        return None, [Finding(table.name, "there is no such file", hint)], table.file
    path, form = there[0]
    if len(there) > 1:
        others = ", ".join(other.name for other, _ in there[1:])
        message = f"the table is there twice: {path.name} and {others}"
        return None, [Finding(table.name, message, "one file per table, in one format")], path.name
    try:
        raw = form.read(_bytes(path), table)
    except UnreadableError as error:
        return None, [Finding(table.name, error.message, error.allowed, error.row)], path.name
    cells, findings = _cells(table, raw)
    return cells, findings, path.name


def _cells(table: Table, raw: Raw) -> tuple[Cells, list[Finding]]:
    findings = _header_findings(table, raw.header, raw.header_row)
    width, records = len(raw.header), list(raw.records)
    sound = np.array([len(record) == width for record in records], dtype=np.bool_)
    for index in np.flatnonzero(~sound):
        count = len(records[index])
        findings.append(
            Finding(
                table.name,
                f"{count} cell{'s' * (count != 1)} where the header has {width}",
                "one cell per column; a text with a comma in it stands in double quotes",
                raw.rows[index],
            )
        )
        records[index] = (records[index] + [""] * width)[:width]
    if not records and table.required:
        findings.append(Finding(table.name, "the table has no rows", "at least one"))
    columns = _columns(table, raw.header, records)
    return Cells(table, columns, np.array(raw.rows, dtype=np.int64), sound), findings


def _misnamed(folder: Path, table: Table) -> str:
    """Find a file that seems meant to be this table: a slip in its name must not hide an optional one."""
    known = {form.file(other) for other in TABLES for form in FORMATS.values()} | {"dictionary.csv"}
    # What truly happened stands beside simulated tables; run folders hold JSON of their own.
    names = sorted(p.name for p in folder.iterdir() if p.name not in known and not p.name.startswith("history_"))
    # A folder may hold other tables: only a near-certain slip stops a study without an optional table.
    cutoff = 0.6 if table.required else 0.8
    for form in FORMATS.values():
        if form.suffix == ".json":
            continue
        mine = [name for name in names if name.lower().endswith(form.suffix)]
        near = next((n for n in mine if difflib.get_close_matches(form.file(table), [n.lower()], 1, cutoff)), "")
        if near:
            return near
    return ""


def _bytes(path: Path) -> bytes:
    if path.is_dir():
        raise UnreadableError("is a folder, not a file", "a table")
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror or 'unknown reason'}", "a readable file") from error


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
