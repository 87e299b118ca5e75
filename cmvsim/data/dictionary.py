"""The data dictionary: the schema as rows to print or to put beside empty tables."""

from __future__ import annotations

from typing import NamedTuple

from cmvsim.data.schema import TABLES


class DictionaryRow(NamedTuple):
    """One column of one table, in words."""

    table: str
    column: str
    type: str
    allowed: str
    unit: str
    meaning: str
    required: str


def dictionary() -> tuple[DictionaryRow, ...]:
    """Describe every column of every table.

    Returns
    -------
    tuple of DictionaryRow
        In the order of the tables and of their columns. `required` says whether the column must be there
        ("yes", "no"), and for optional tables "if the table is there".

    Examples
    --------
    >>> dictionary()[0].column
    'patient'
    """
    return tuple(
        DictionaryRow(
            table=table.name,
            column=column.name,
            type=column.kind.value,
            allowed=column.values,
            unit=column.unit,
            meaning=column.meaning,
            required="no" if not column.required else "yes" if table.required else "if the table is there",
        )
        for table in TABLES
        for column in table.columns
    )
