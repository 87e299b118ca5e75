"""What a table and a column are: the terms in which the schema is declared."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from cmvsim.data.study import Result

LAST_DAY = 3650
"""Days beyond ten years either side of infusion are typing errors or dates."""

RESULTS = tuple("missed" if result is Result.NONE else result.name.lower() for result in Result)
"""Text of each :class:`~cmvsim.data.study.Result`, by code."""

NO_YES = ("no", "yes")


class Kind(StrEnum):
    """Type of a column's cells."""

    TEXT = "text"
    DAY = "whole day"
    COUNT = "whole number"
    NUMBER = "number"
    CATEGORY = "category"

    @property
    def numeric(self) -> bool:
        """Whether cells are numbers."""
        return self in (Kind.DAY, Kind.COUNT, Kind.NUMBER)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name, kind, meaning
        What it is called, what its cells are, what they mean.
    required
        Whether the column must be there.
    allowed
        Categories in the order of their codes (0, 1, ...); none: an open category, coded by first appearance.
    unit
        Unit of a number.
    blank
        What an empty cell means; empty when a cell must not be empty.
    low, high
        Inclusive bounds of a number.
    positive
        Whether a number must be above zero.
    short
        Name of at most eight characters for formats that allow no more; by default the name itself.
    """

    name: str
    kind: Kind
    meaning: str
    required: bool = True
    allowed: tuple[str, ...] = ()
    unit: str = ""
    blank: str = ""
    low: float = -math.inf
    high: float = math.inf
    positive: bool = False
    short: str = ""

    @property
    def values(self) -> str:
        """What a cell may hold, in words."""
        if self.allowed:
            text = ", ".join(self.allowed)
        elif self.kind in (Kind.DAY, Kind.COUNT):
            text = f"a whole number from {self.low:g} to {self.high:g}"
        elif self.kind is Kind.NUMBER and self.positive:
            text = "a number above 0"
        elif self.kind is Kind.NUMBER:
            text = f"a number from {self.low:g}" + (f" to {self.high:g}" if math.isfinite(self.high) else " on")
        else:
            text = "any text"
        return f"{text}; empty: {self.blank}" if self.blank else text

    @property
    def short_name(self) -> str:
        """Upper-case name of at most eight characters."""
        return (self.short or self.name).upper()


@dataclass(frozen=True, slots=True)
class Table:
    """One table: a file ``<name>.csv`` (or of another format) of a study's folder.

    Attributes
    ----------
    name, meaning
        What it is called and what its rows are.
    columns
        In their order.
    required
        Whether a study must have it.
    short
        As of :class:`Column`.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    required: bool = True
    short: str = ""

    @property
    def file(self) -> str:
        """File name of the CSV form."""
        return f"{self.name}.csv"

    @property
    def short_name(self) -> str:
        """Upper-case name of at most eight characters."""
        return (self.short or self.name).upper()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """Find a column by its name."""
        return next(column for column in self.columns if column.name == name)


def day(name: str, meaning: str, blank: str = "", *, required: bool = True, short: str = "") -> Column:
    """A column of days from infusion."""
    return Column(
        name,
        Kind.DAY,
        meaning,
        required=required,
        unit="days from infusion",
        blank=blank,
        low=-LAST_DAY,
        high=LAST_DAY,
        short=short,
    )


def category(
    name: str, allowed: tuple[str, ...], meaning: str, *, blank: str = "", required: bool = True, short: str = ""
) -> Column:
    """A column of closed categories, whose codes are their places."""
    return Column(name, Kind.CATEGORY, meaning, required=required, allowed=allowed, blank=blank, short=short)


PATIENT = Column("patient", Kind.TEXT, "Identifier of the patient, the same in all tables")
