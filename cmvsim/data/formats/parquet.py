"""Apache Parquet, by the optional package pyarrow."""

from __future__ import annotations

import importlib
import io
from typing import Any

from cmvsim.core.errors import InputError, Problem
from cmvsim.data.formats.base import Raw, Texts, UnreadableError, typed
from cmvsim.data.schema import Kind, Table

_MISSING = "Parquet needs the package pyarrow, which is not installed"
_INSTALL = "install cmvsim with its extra: cmvsim[parquet]; or use another format"


def _arrow() -> tuple[Any, Any]:
    return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")


def available() -> bool:
    """Whether pyarrow is there."""
    try:
        _arrow()
    except ImportError:
        return False
    return True


def write(table: Table, texts: Texts) -> bytes:
    """One table: int64, double and string columns, empty cells as null, labels as metadata of the fields."""
    if not available():
        raise InputError(Problem(_MISSING, "--format parquet", allowed=_INSTALL))
    arrow, parquet = _arrow()
    types = {Kind.NUMBER: arrow.float64(), Kind.DAY: arrow.int64(), Kind.COUNT: arrow.int64()}
    fields, arrays = [], []
    for name, cells in typed(table, texts).items():
        column = table.column(name)
        kind = types.get(column.kind, arrow.string())
        fields.append(arrow.field(name, kind, metadata={"label": column.meaning}))
        arrays.append(arrow.array(cells, type=kind))
    buffer = io.BytesIO()
    parquet.write_table(arrow.Table.from_arrays(arrays, schema=arrow.schema(fields)), buffer)
    return buffer.getvalue()


def read(data: bytes, table: Table) -> Raw:  # noqa: ARG001 -- the signature of all formats
    """One table."""
    if not available():
        raise UnreadableError(_MISSING, _INSTALL)
    arrow, parquet = _arrow()
    try:
        content = parquet.read_table(io.BytesIO(data))
    except (arrow.ArrowException, OSError) as error:
        raise UnreadableError(f"is not Parquet: {str(error).splitlines()[0]}", "a Parquet file") from None
    columns = [column.to_pylist() for column in content.columns]
    return Raw.of(content.column_names, list(zip(*columns, strict=True)))
