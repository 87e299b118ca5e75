"""File formats of study tables: the same texts in each, so that everything behind them is one code path."""

from __future__ import annotations

from pathlib import Path

from cmvsim.data.formats import comma_separated, dataset_json, parquet, xpt
from cmvsim.data.formats.base import Format, Texts
from cmvsim.data.schema import Table

FORMATS = {
    form.id: form
    for form in (
        Format("csv", ".csv", comma_separated.read, comma_separated.write),
        Format("parquet", ".parquet", parquet.read, parquet.write),
        Format("xpt", ".xpt", xpt.read, xpt.write),
        Format("dataset-json", ".json", dataset_json.read, dataset_json.write),
    )
}
"""By the name on the command line."""

__all__ = ["FORMATS", "Format", "Texts", "files_of", "write_table"]


def files_of(folder: Path, table: Table) -> list[tuple[Path, Format]]:
    """Files of a folder that hold this table; more than one is a mistake."""
    places = [(folder / form.file(table), form) for form in FORMATS.values()]
    return [(path, form) for path, form in places if path.exists()]


def write_table(table: Table, texts: Texts, folder: Path, form: Format) -> Path:
    """Write one table, columns in the order of its schema."""
    ordered = {name: texts[name] for name in table.names if name in texts}
    path = folder / form.file(table)
    path.write_bytes(form.write(table, ordered))
    return path
