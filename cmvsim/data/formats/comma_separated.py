"""CSV: comma-separated, UTF-8, every structural fault named with the row that a spreadsheet shows.

Parsed with the standard library and not with pandas, because the faults of a file (too many cells, another separator, a
quote never closed) must be reported with their row.
"""

from __future__ import annotations

import csv
import io

import pandas as pd

from cmvsim.data.formats.base import Raw, Texts, UnreadableError
from cmvsim.data.schema import Table

AS_CSV = "save the table as CSV, comma-separated, UTF-8"


def write(table: Table, texts: Texts) -> bytes:  # noqa: ARG001 -- the signature of all formats
    """One table: UTF-8, line feeds, quotes where needed."""
    frame = pd.DataFrame(dict(texts), dtype=object)
    text: str = frame.to_csv(index=False, lineterminator="\n")
    return text.encode()


def read(data: bytes, table: Table) -> Raw:
    """One table; blank lines count as rows and are left out."""
    return _records(_decode(data), table)


def _decode(data: bytes) -> str:
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise UnreadableError("is a spreadsheet or an archive under the name of a CSV file", AS_CSV)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableError("is text in UTF-16", AS_CSV)
    if b"\0" in data:
        raise UnreadableError("is a binary file", AS_CSV)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        raise UnreadableError(f"is not UTF-8 text: byte 0x{data[error.start]:02x} cannot be read", AS_CSV, row) from error


def _records(text: str, table: Table) -> Raw:
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
    return Raw(header, header_row, records, rows)


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
