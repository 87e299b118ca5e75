"""CDISC Dataset-JSON 1.1: one JSON file per table, with names, labels and types of the columns beside the rows."""

from __future__ import annotations

import json
from typing import Any

from cmvsim.data.formats.base import Raw, Texts, UnreadableError, typed
from cmvsim.data.schema import Kind, Table

VERSION = "1.1.0"
CREATED = "1970-01-01T00:00:00"
"""The standard asks for a time of creation; a fixed one keeps the bytes a function of the table."""

_ASK = "a CDISC Dataset-JSON 1.1 file"
_TYPES = {Kind.NUMBER: "double", Kind.DAY: "integer", Kind.COUNT: "integer", Kind.TEXT: "string", Kind.CATEGORY: "string"}


def write(table: Table, texts: Texts) -> bytes:
    """One table; strings with their length, empty cells as null (of strings too)."""
    cells = typed(table, texts)
    name = table.short_name
    columns: list[dict[str, Any]] = []
    for key, values in cells.items():
        column = table.column(key)
        entry: dict[str, Any] = {"itemOID": f"IT.{name}.{key}", "name": key, "label": column.meaning or key}
        entry["dataType"] = _TYPES[column.kind]
        if not column.kind.numeric:
            entry["length"] = max([len(value) for value in values if value], default=1)
        columns.append(entry)
    rows = [list(row) for row in zip(*cells.values(), strict=True)]
    head = {
        "datasetJSONCreationDateTime": CREATED,
        "datasetJSONVersion": VERSION,
        "itemGroupOID": f"IG.{name}",
        "records": len(rows),
        "name": name,
        "label": table.meaning,
    }
    # A row is a line: readable, and a difference between two files shows the row.
    lines = [f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in head.items()]
    lines.append('"columns": [\n' + ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in columns) + "\n]")
    lines.append('"rows": [\n' + ",\n".join(json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows) + "\n]")
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def read(data: bytes, table: Table) -> Raw:  # noqa: ARG001 -- the signature of all formats
    """One table, of this version of the standard."""
    try:
        tree = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UnreadableError(f"is not UTF-8 text: byte 0x{data[error.start]:02x} cannot be read", _ASK) from None
    except ValueError as error:
        raise UnreadableError(f"is not JSON: {error}", _ASK) from None
    version = tree.get("datasetJSONVersion") if isinstance(tree, dict) else None
    if not isinstance(version, str):
        raise UnreadableError("is JSON without a datasetJSONVersion", _ASK)
    if version.split(".")[:2] != ["1", "1"]:
        raise UnreadableError(f"is of Dataset-JSON version {version}", "version 1.1")
    columns, rows = tree.get("columns"), tree.get("rows", [])
    if not isinstance(columns, list) or not all(isinstance(c, dict) and isinstance(c.get("name"), str) for c in columns):
        raise UnreadableError("has no list of columns with names", _ASK)
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise UnreadableError("its rows are no list of lists", _ASK)
    if tree.get("records", len(rows)) != len(rows):
        raise UnreadableError(f"says {tree['records']} records and has {len(rows)}", "a file that is whole")
    return Raw.of([column["name"] for column in columns], rows)
