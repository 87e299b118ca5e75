"""The tables of a study as declarative column schemas: what each column is called and may hold.

Reading, checking, writing and the data dictionary all follow these declarations; a column that is not
declared here can be neither read nor written, so no latent quantity reaches a table by accident.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from cmvsim.data.study import EndReason, Result

LAST_DAY = 3650
"""Days beyond ten years either side of infusion are typing errors or dates."""

RESULTS = tuple("missed" if result is Result.NONE else result.name.lower() for result in Result)
"""Text of each :class:`~cmvsim.data.study.Result`, by code."""

END_REASONS = tuple(reason.name.lower() for reason in EndReason)
"""Text of each :class:`~cmvsim.data.study.EndReason`, by code."""

EVENTS = ("relapse", "new_therapy", "hct", "cmv_disease")
DRUGS = (
    "corticosteroids",
    "tocilizumab",
    "anakinra",
    "aciclovir",
    "valaciclovir",
    "letermovir",
    "ganciclovir",
    "valganciclovir",
    "foscarnet",
    "cidofovir",
    "maribavir",
)


class Kind(StrEnum):
    """Type of a column's cells."""

    TEXT = "text"
    DAY = "whole day"
    NUMBER = "number"
    CATEGORY = "category"


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

    @property
    def values(self) -> str:
        """What a cell may hold, in words."""
        if self.allowed:
            text = ", ".join(self.allowed)
        elif self.kind is Kind.DAY:
            text = f"a whole number from {self.low:g} to {self.high:g}"
        elif self.kind is Kind.NUMBER:
            text = "a number above 0" if self.positive else f"a number from {self.low:g} to {self.high:g}"
        else:
            text = "any text"
        return f"{text}; empty: {self.blank}" if self.blank else text


@dataclass(frozen=True, slots=True)
class Table:
    """One table: a CSV file ``<name>.csv`` of a study's folder."""

    name: str
    meaning: str
    columns: tuple[Column, ...]
    required: bool = True

    @property
    def file(self) -> str:
        """File name."""
        return f"{self.name}.csv"

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in their order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """Find a column by its name."""
        return next(column for column in self.columns if column.name == name)


def _day(name: str, meaning: str, blank: str = "") -> Column:
    return Column(name, Kind.DAY, meaning, unit="days from infusion", blank=blank, low=-LAST_DAY, high=LAST_DAY)


def _baseline(name: str, kind: Kind, meaning: str, **more: object) -> Column:
    return Column(name, kind, meaning, required=False, blank="not recorded", **more)  # type: ignore[arg-type]


_PATIENT = Column("patient", Kind.TEXT, "Identifier of the patient, the same in all tables")

COVARIATES = (
    _baseline("part", Kind.CATEGORY, "Part of the study", allowed=("retrospective", "prospective")),
    _baseline("site", Kind.CATEGORY, "Study site"),
    _baseline("product", Kind.CATEGORY, "CAR-T product infused"),
    _baseline("age", Kind.NUMBER, "Age at infusion", unit="years", low=0.0, high=120.0),
    _baseline("sex", Kind.CATEGORY, "Sex", allowed=("female", "male")),
    _baseline("prior_allogeneic_hct", Kind.CATEGORY, "Allogeneic HCT before infusion", allowed=("no", "yes")),
    _baseline("arm", Kind.CATEGORY, "Arm the patient was assigned to, in a comparative study"),
)
"""Optional baseline columns of ``subjects``; `Subjects.covariates` holds those that are there."""

SUBJECTS = Table(
    "subjects",
    "One row per patient, in order of enrolment",
    (
        _PATIENT,
        Column("stratum", Kind.TEXT, "Stratum; each belongs to one disease"),
        Column("disease", Kind.CATEGORY, "Disease treated", allowed=("leukaemia", "lymphoma")),
        *COVARIATES,
    ),
)

SAMPLES = Table(
    "samples",
    "One row per CMV sample, negatives included, and per planned sample missed under monitoring",
    (
        _PATIENT,
        _day("nominal_day", "Day for which the sample was planned", "a clinical sample, not planned"),
        _day("day", "Day on which the sample was taken", "missed"),
        Column(
            "matrix",
            Kind.CATEGORY,
            "What was sampled; one per study",
            allowed=("plasma", "whole_blood"),
            blank="only where missed",
        ),
        Column("result", Kind.CATEGORY, "What the laboratory reported", allowed=RESULTS),
        Column(
            "load_iu_ml",
            Kind.NUMBER,
            "CMV DNA load, at three significant digits",
            unit="IU/mL",
            blank="not quantified",
            positive=True,
        ),
        Column(
            "lloq_iu_ml",
            Kind.NUMBER,
            "Lower limit of quantification of the assay; one per study",
            unit="IU/mL",
            blank="only where missed",
            positive=True,
        ),
        Column(
            "reason",
            Kind.CATEGORY,
            "Why the sample was taken; without it, samples with a nominal day are protocol samples",
            required=False,
            allowed=("protocol", "clinical"),
            blank="as nominal_day says",
        ),
    ),
)

EXPOSURES = Table(
    "exposures",
    "One row per course of a drug; where the table is there, a drug without rows was given to nobody",
    (
        _PATIENT,
        Column("drug", Kind.CATEGORY, "Drug", allowed=DRUGS),
        _day("start_day", "First day of the course"),
        _day("stop_day", "Last day of the course + 1", "ongoing"),
    ),
    required=False,
)

EVENTS_TABLE = Table(
    "events",
    "One row per dated event; where the table is there, an event without rows happened to nobody",
    (
        _PATIENT,
        Column("event", Kind.CATEGORY, "What happened; the first of each kind counts", allowed=EVENTS),
        _day("day", "Day on which it happened"),
    ),
    required=False,
)

DISPOSITION = Table(
    "disposition",
    "One row per patient: end of CMV monitoring and vital status",
    (
        _PATIENT,
        _day("end_day", "Last day on which the patient was under CMV monitoring"),
        Column("reason", Kind.CATEGORY, "Why monitoring ended", allowed=END_REASONS),
        _day(
            "death_day",
            "Day of death; equals end_day when monitoring ended by death",
            "alive at the end of the study",
        ),
    ),
)

TABLES = (SUBJECTS, SAMPLES, EXPOSURES, EVENTS_TABLE, DISPOSITION)
"""All tables, in the order in which problems are listed."""
