"""What must hold within one row: declared, so that a rule is one entry and its message stands beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from cmvsim.core.records import BoolArray, FloatArray
from cmvsim.data.cells import Finding
from cmvsim.data.parsing import Values
from cmvsim.data.schema import (
    CAR_T,
    DIMENSIONS,
    DISPOSITION,
    EVENTS_TABLE,
    EXPOSURES,
    GENE_RESULTS,
    INSTRUMENTS,
    QUESTIONNAIRES,
    RESOURCES,
    SAMPLES,
    SEQUENCING,
    STAYS,
    VIROME,
    Table,
)
from cmvsim.data.study import EndReason, Result

Numbers = Mapping[str, FloatArray]
_PROTOCOL, _CLINICAL = 0, 1
_FAILED, _YOUTH = GENE_RESULTS.index("failed"), INSTRUMENTS.index("eq_5d_y")
_YOUTH_LEVELS = 3  # of EQ-5D-Y-3L
SEVERE = 3
"""Grade from which an event is severe."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A relation between the cells of one row.

    Attributes
    ----------
    table
        Where it holds.
    needs
        Columns it looks at; the first is the one a problem points at. Rows in which one of them could not be
        read are passed over: that was said already.
    broken
        Rows that break it, from the values of these columns.
    message
        What is wrong, with columns in braces for their texts.
    allowed
        What would be accepted.
    """

    table: Table
    needs: tuple[str, ...]
    broken: Callable[[Numbers], BoolArray]
    message: str
    allowed: str


def _missed(v: Numbers) -> BoolArray:
    return np.equal(v["result"], Result.NONE)


def _quantified(v: Numbers) -> BoolArray:
    return np.equal(v["result"], Result.QUANTIFIED)


def _empty(v: Numbers, column: str) -> BoolArray:
    return np.isnan(v[column])


def _taken_or_missed(table: Table) -> tuple[Rule, ...]:
    """A missed sample has a planned day and no other; one that was taken has the day on which it was."""
    return (
        Rule(
            table,
            ("day", "result"),
            lambda v: _missed(v) & ~_empty(v, "day"),
            "a day ({day}) is given for a missed sample",
            "an empty day, or the result of the sample",
        ),
        Rule(
            table,
            ("day", "result"),
            lambda v: ~_missed(v) & _empty(v, "day"),
            "the cell is empty, but the sample was taken ({result})",
            "the day of the sample; empty only where missed",
        ),
        Rule(
            table,
            ("nominal_day", "result"),
            lambda v: _missed(v) & _empty(v, "nominal_day"),
            "a missed sample without its planned day",
            "the day for which it was planned",
        ),
    )


def _quantity_of(table: Table, column: str, what: str, unit: str) -> tuple[Rule, ...]:
    """What was quantified has a value, and nothing else has."""
    return (
        Rule(
            table,
            (column, "result"),
            lambda v: _quantified(v) & _empty(v, column),
            f"a quantified sample without its {what}",
            f"the {what}{unit}, or another result",
        ),
        Rule(
            table,
            (column, "result"),
            lambda v: ~_quantified(v) & ~_empty(v, column),
            f"a {what} ({{{column}}}) is given, but the result is {{result}}",
            f"an empty {what}, or result quantified",
        ),
    )


def _course(table: Table, what: str) -> Rule:
    return Rule(
        table,
        ("stop_day", "start_day"),
        lambda v: v["stop_day"] <= v["start_day"],
        f"the {what} stops on {{stop_day}} and starts on {{start_day}}",
        "stop_day is the last day + 1, so at least start_day + 1; empty when ongoing",
    )


_SAMPLE_RULES = (
    *_taken_or_missed(SAMPLES),
    Rule(
        SAMPLES,
        ("nominal_day", "result", "reason"),
        lambda v: ~_missed(v) & (v["reason"] == _PROTOCOL) & _empty(v, "nominal_day"),
        "a protocol sample without its planned day",
        "the day for which it was planned, or reason clinical",
    ),
    Rule(
        SAMPLES,
        ("nominal_day", "reason"),
        lambda v: (v["reason"] == _CLINICAL) & ~_empty(v, "nominal_day"),
        "a planned day ({nominal_day}) is given for a clinical sample",
        "an empty nominal_day, or reason protocol",
    ),
    *_quantity_of(SAMPLES, "load_iu_ml", "load", " in IU/mL"),
    Rule(
        SAMPLES,
        ("load_iu_ml", "result", "lloq_iu_ml"),
        lambda v: _quantified(v) & (v["load_iu_ml"] < v["lloq_iu_ml"]),
        "the load {load_iu_ml} is below the limit of quantification {lloq_iu_ml}",
        "a load at or above the limit, or result below_lloq without a load",
    ),
    Rule(
        SAMPLES,
        ("matrix", "result"),
        lambda v: ~_missed(v) & _empty(v, "matrix"),
        "the cell is empty, but the sample was taken ({result})",
        "plasma, whole_blood; empty only where missed",
    ),
    Rule(
        SAMPLES,
        ("lloq_iu_ml", "result"),
        lambda v: ~_missed(v) & _empty(v, "lloq_iu_ml"),
        "the cell is empty, but the sample was taken ({result})",
        "the limit in IU/mL; empty only where missed",
    ),
)

_FOLLOW_UP_RULES = (
    _course(EXPOSURES, "course"),
    Rule(
        EVENTS_TABLE,
        ("end_day", "day"),
        lambda v: v["end_day"] < v["day"],
        "the event ends on {end_day} and begins on {day}",
        "its last day, that of the beginning or later; empty where it has none",
    ),
    Rule(
        EVENTS_TABLE,
        ("severe_day", "day"),
        lambda v: v["severe_day"] < v["day"],
        "the event was severe on {severe_day} and begins on {day}",
        "severe_day at or after day",
    ),
    Rule(
        EVENTS_TABLE,
        ("severe_day", "end_day"),
        lambda v: v["severe_day"] > v["end_day"],
        "the event was severe on {severe_day}, but ends on {end_day}",
        "severe_day at or before end_day",
    ),
    Rule(
        EVENTS_TABLE,
        ("severe_day", "grade"),
        lambda v: ~np.isnan(v["severe_day"]) & (v["grade"] < SEVERE),
        "the event was severe on {severe_day}, but its worst grade is {grade}",
        f"a worst grade of {SEVERE} or more",
    ),
    Rule(
        DISPOSITION,
        ("death_day", "end_day"),
        lambda v: v["death_day"] < v["end_day"],
        "death on {death_day}, but monitoring went on to {end_day}",
        "end_day at or before death_day",
    ),
    Rule(
        DISPOSITION,
        ("death_day", "reason"),
        lambda v: (v["reason"] == EndReason.DEATH) & _empty(v, "death_day"),
        "monitoring ended by death without a day of death",
        "the day of death, or another reason",
    ),
    Rule(
        DISPOSITION,
        ("death_day", "reason", "end_day"),
        lambda v: (v["reason"] == EndReason.DEATH) & (v["death_day"] > v["end_day"]),
        "monitoring ended by death on {end_day}, but death was on {death_day}",
        "the same day, or another reason",
    ),
)

_FURTHER_RULES = (
    *_taken_or_missed(VIROME),
    *_quantity_of(VIROME, "load_log10", "load", " in log10 copies/mL"),
    *_taken_or_missed(CAR_T),
    *_quantity_of(CAR_T, "level", "level", " in the unit of the product"),
    Rule(
        CAR_T,
        ("level", "lloq"),
        lambda v: v["level"] < v["lloq"],
        "the level {level} is below the limit of quantification {lloq}",
        "a level at or above the limit, or result below_lloq without a level",
    ),
    Rule(
        CAR_T,
        ("lloq", "result"),
        lambda v: ~_missed(v) & _empty(v, "lloq"),
        "the cell is empty, but the sample was taken ({result})",
        "the limit of the product's assay; empty only where missed",
    ),
    Rule(
        SEQUENCING,
        ("change", "result"),
        lambda v: (v["result"] == _FAILED) & ~_empty(v, "change"),
        "a change ({change}) is given, but sequencing failed",
        "an empty change, or result sequenced",
    ),
    Rule(
        SEQUENCING,
        ("change", "result"),
        lambda v: (v["result"] != _FAILED) & _empty(v, "change"),
        "the cell is empty, but the gene was sequenced",
        "no_change, the change, or result failed",
    ),
    Rule(
        QUESTIONNAIRES,
        ("nominal_day", "day"),
        lambda v: _empty(v, "nominal_day") & _empty(v, "day"),
        "a questionnaire neither planned nor answered",
        "the planned day, the day of the answers, or both",
    ),
    *(
        Rule(
            QUESTIONNAIRES,
            (answer, "day"),
            lambda v, answer=answer: ~_empty(v, answer) & _empty(v, "day"),  # type: ignore[misc]
            f"an answer ({{{answer}}}) is given without the day",
            "the day of the answers; both empty where the questionnaire was missed",
        )
        for answer in (*DIMENSIONS, "vas")
    ),
    *(
        Rule(
            QUESTIONNAIRES,
            (answer, "instrument"),
            lambda v, answer=answer: (v[answer] > _YOUTH_LEVELS) & (v["instrument"] == _YOUTH),  # type: ignore[misc]
            f"level {{{answer}}} of {{instrument}}",
            "1, 2 or 3, or instrument eq_5d_5l",
        )
        for answer in DIMENSIONS
    ),
    _course(STAYS, "stay"),
    Rule(
        RESOURCES,
        ("last_day", "first_day"),
        lambda v: v["last_day"] < v["first_day"],
        "the use ends on {last_day} and begins on {first_day}",
        "the last day of the use, that of first_day or later",
    ),
)

RULES = (*_SAMPLE_RULES, *_FOLLOW_UP_RULES, *_FURTHER_RULES)


def row_findings(values: Values) -> Iterator[Finding]:
    """Apply all rules of a table.

    Parameters
    ----------
    values
        The table's values.

    Yields
    ------
    Finding
        One per rule and row that breaks it.
    """
    for rule in RULES:
        if rule.table is not values.table or not values.has(*rule.needs):
            continue
        broken = values.usable(*rule.needs) & rule.broken(values.numbers)
        for index in np.flatnonzero(broken):
            texts = {name: values.texts[name][index] for name in rule.needs}
            message = rule.message.format(**texts)
            yield Finding(rule.table.name, message, rule.allowed, int(values.rows[index]), rule.needs[0])
