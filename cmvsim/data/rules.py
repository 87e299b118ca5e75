"""What must hold within one row: declared, so that a rule is one entry and its message stands beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from cmvsim.core.records import BoolArray, FloatArray
from cmvsim.data.cells import Finding
from cmvsim.data.parsing import Values
from cmvsim.data.schema import DISPOSITION, EXPOSURES, SAMPLES, Table
from cmvsim.data.study import EndReason, Result

Numbers = Mapping[str, FloatArray]
_PROTOCOL, _CLINICAL = 0, 1


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


RULES = (
    Rule(
        SAMPLES,
        ("day", "result"),
        lambda v: _missed(v) & ~_empty(v, "day"),
        "a day ({day}) is given for a missed sample",
        "an empty day, or the result of the sample",
    ),
    Rule(
        SAMPLES,
        ("day", "result"),
        lambda v: ~_missed(v) & _empty(v, "day"),
        "the cell is empty, but the sample was taken ({result})",
        "the day of the sample; empty only where missed",
    ),
    Rule(
        SAMPLES,
        ("nominal_day", "result"),
        lambda v: _missed(v) & _empty(v, "nominal_day"),
        "a missed sample without its planned day",
        "the day for which it was planned",
    ),
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
    Rule(
        SAMPLES,
        ("load_iu_ml", "result"),
        lambda v: _quantified(v) & _empty(v, "load_iu_ml"),
        "a quantified sample without its load",
        "the load in IU/mL, or another result",
    ),
    Rule(
        SAMPLES,
        ("load_iu_ml", "result"),
        lambda v: ~_quantified(v) & ~_empty(v, "load_iu_ml"),
        "a load ({load_iu_ml}) is given, but the result is {result}",
        "an empty load, or result quantified",
    ),
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
    Rule(
        EXPOSURES,
        ("stop_day", "start_day"),
        lambda v: v["stop_day"] <= v["start_day"],
        "the course stops on {stop_day} and starts on {start_day}",
        "stop_day is the last day + 1, so at least start_day + 1; empty when ongoing",
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
