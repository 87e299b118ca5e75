"""A derived dataset column by column, in the terms of the study tables, so that every format can write it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cmvsim.data.formats.base import ObjectArray, cell_text
from cmvsim.data.schema import Column, Kind, Table

LONGEST_NAME, LONGEST_LABEL = 8, 40
"""What a SAS transport file can hold of names and labels."""


@dataclass(slots=True)
class Sheet:
    """A dataset in the making.

    Attributes
    ----------
    name, label
        Of the dataset.
    rows
        Number of its rows.
    """

    name: str
    label: str
    rows: int
    _columns: list[Column] = field(default_factory=list)
    _texts: dict[str, ObjectArray] = field(default_factory=dict)

    def text(self, name: str, label: str, values: Sequence[str] | ObjectArray | str) -> None:
        """Add a column of texts; one text stands in every row."""
        self._add(name, label, Kind.TEXT, [values] * self.rows if isinstance(values, str) else values)

    def number(self, name: str, label: str, values: Any) -> None:
        """Add a column of numbers; NaN is an empty cell."""
        self._add(name, label, Kind.NUMBER, np.asarray(values, dtype=np.float64).tolist())

    def _add(self, name: str, label: str, kind: Kind, values: Sequence[Any] | ObjectArray) -> None:
        assert len(name) <= LONGEST_NAME
        assert len(label) <= LONGEST_LABEL
        assert len(values) == self.rows
        texts = np.empty(self.rows, dtype=np.object_)
        texts[:] = [cell_text(value) for value in values]
        self._columns.append(Column(name, kind, label, blank="missing"))
        self._texts[name] = texts

    @property
    def table(self) -> Table:
        """Its schema."""
        return Table(self.name, self.label, tuple(self._columns))

    @property
    def texts(self) -> dict[str, ObjectArray]:
        """Its cells."""
        return self._texts
