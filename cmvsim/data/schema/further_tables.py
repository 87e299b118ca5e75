"""The tables of what a study may measure beside CMV: all optional."""

from __future__ import annotations

from cmvsim.core.ledger import Item
from cmvsim.data.schema.columns import NO_YES, PATIENT, RESULTS, Column, Kind, Table, category, day
from cmvsim.data.study import COMPONENTS, Change, Questionnaire

VIRUSES = ("anellovirus", "pegivirus", "redondovirus")

GENE_RESULTS = ("failed", "sequenced")
CHANGES = tuple(change.name.lower() for change in Change if change > Change.FAILED)
"""What a sequenced gene showed; code 0 is :attr:`~cmvsim.data.study.Change.NO_CHANGE`."""

INSTRUMENTS = tuple(instrument.name.lower() for instrument in Questionnaire if instrument)
"""Instruments; code 0 is :attr:`~cmvsim.data.study.Questionnaire.EQ_5D_Y`."""

DIMENSIONS = ("mobility", "self_care", "usual_activities", "pain", "anxiety")
"""Answers of a questionnaire, in the order of :data:`cmvsim.valuation.eq5d.DIMENSIONS`."""

ITEMS = tuple(item.value for item in Item)
UNITS = ("ward", "icu")


def _nominal(meaning: str, blank: str = "") -> Column:
    return day("nominal_day", meaning, blank, short="NOMDAY")


VIROME = Table(
    "virome",
    "One row per sample tested for a virus of the virome, and per planned one missed",
    (
        PATIENT,
        category("virus", VIRUSES, "Virus; one without rows was not tested"),
        _nominal("Day for which the sample was planned", "not planned"),
        day("day", "Day on which the sample was taken", "missed"),
        category("result", RESULTS, "What the laboratory reported; below_lloq: detected, not quantified"),
        Column(
            "load_log10",
            Kind.NUMBER,
            "Load",
            unit="log10 copies/mL",
            blank="not quantified",
            low=-5.0,
            high=20.0,
            short="LOADLOG",
        ),
    ),
    required=False,
)

CAR_T = Table(
    "car_t",
    "One row per measurement of CAR-T cells in blood, and per planned one missed",
    (
        PATIENT,
        _nominal("Day for which the sample was planned", "not planned"),
        day("day", "Day on which the sample was taken", "missed"),
        category("result", RESULTS, "What the laboratory reported"),
        Column(
            "level", Kind.NUMBER, "Concentration, in the unit of the patient's product", blank="not quantified", positive=True
        ),
        Column("unit", Kind.TEXT, "Unit of level; one per product", blank="only where missed"),
        Column("lloq", Kind.NUMBER, "Lower limit of quantification; one per product", blank="only where missed", positive=True),
    ),
    required=False,
)

SEQUENCING = Table(
    "sequencing",
    "One row per gene of a sample sent for sequencing of CMV",
    (
        PATIENT,
        day("day", "Day of the sample"),
        Column("gene", Kind.TEXT, "Gene"),
        category("result", GENE_RESULTS, "Whether it could be sequenced"),
        category("change", CHANGES, "The gravest change found", blank="failed"),
    ),
    required=False,
    short="SEQUENCE",
)


def _answer(name: str) -> Column:
    dimension = name.replace("_", " ").capitalize()
    return Column(
        name,
        Kind.COUNT,
        f"{dimension}, level 1 (no problems) to 5, or to 3 of eq_5d_y",
        blank="not answered",
        low=1,
        high=5,
        short=name.replace("_", "")[:8],
    )


QUESTIONNAIRES = Table(
    "questionnaires",
    "One row per EQ-5D questionnaire that was due, answered or not",
    (
        PATIENT,
        _nominal("Day for which it was planned", "not planned"),
        day("day", "Day on which it was answered", "missed"),
        category("instrument", INSTRUMENTS, "Instrument: EQ-5D-Y-3L or EQ-5D-5L", short="INSTRUM"),
        category("proxy", NO_YES, "Whether a parent answered"),
        *(_answer(name) for name in DIMENSIONS),
        Column("vas", Kind.NUMBER, "Visual analogue scale", blank="not answered", low=0.0, high=100.0),
    ),
    required=False,
    short="QUESTION",
)

STAYS = Table(
    "stays",
    "One row per stay in hospital, and per part of it in intensive care",
    (
        PATIENT,
        day("start_day", "First day", short="STARTDAY"),
        day("stop_day", "Last day + 1", "still in hospital", short="STOPDAY"),
        category("unit", UNITS, "ward: the whole stay, intensive care included; icu: days in intensive care within it"),
    ),
    required=False,
)

RESOURCES = Table(
    "resources",
    "One row per use of a resource; where the table is there, it holds all use",
    (
        PATIENT,
        category("item", ITEMS, "What was used"),
        category("component", COMPONENTS, "What the use belongs to", short="COMPONEN"),
        day("first_day", "First day of the use", short="FIRSTDAY"),
        day("last_day", "Last day of the use; that of first_day for an occasion", short="LASTDAY"),
        Column("quantity", Kind.NUMBER, "In the unit of the item, spread evenly over its days", low=0.0),
    ),
    required=False,
    short="RESOURCE",
)

UNIT_COSTS = Table(
    "unit_costs",
    "One row per item with its cost, where the study brings its own",
    (
        category("item", ITEMS, "What is used"),
        Column("unit_cost", Kind.NUMBER, "Cost of one unit of the item", low=0.0, short="UNITCOST"),
        Column("currency", Kind.TEXT, "Currency; one per study"),
        Column(
            "year",
            Kind.COUNT,
            "Year of the prices; one per study",
            required=False,
            blank="not said",
            low=1980,
            high=2100,
        ),
    ),
    required=False,
    short="UNITCOST",
)
