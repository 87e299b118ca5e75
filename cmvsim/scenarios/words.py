"""Values in words: what a clinician reads for a proportion, a load, a schedule, or a spread between patients."""

from __future__ import annotations

from typing import Any

import numpy as np

from cmvsim.core.errors import shown
from cmvsim.core.value import Between, Stated, Value
from cmvsim.models.monitoring import ScheduleItem, nominal_days
from cmvsim.scenarios.inputs import Input

PERIODS = {1: "daily", 7: "weekly", 14: "fortnightly"}
LONG_RUN = 4
"""Visits at equal distances are written as a run from so many on."""
UNTYPED_UNITS = {"lymphocytes": "x 10^9/L", "jitter": "days", "assay_sd_log10": "log10 IU/mL", "slope": "in log odds per log10"}
"""Units of inputs whose type is a pure number, by the last part of their key path."""
NORMAL_95 = 1.959963984540054


def percent(share: float) -> str:
    """Write a proportion with at most two significant digits below 10%."""
    value = 100 * share
    return f"{value:.0f}%" if value >= 9.95 or abs(value - round(value)) < 1e-9 else f"{value:.2g}%"


def number(value: float) -> str:
    """Write a number with four significant digits, thousands separated."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def quantity(value: float, unit: str) -> str:
    """Write a number with its unit.

    Parameters
    ----------
    value
        As the scenario holds it.
    unit
        Of :class:`cmvsim.core.value.Unit`.
    """
    if unit == "proportion":
        return percent(value)
    if unit == "day from infusion":
        return f"day {number(value)}"
    if unit == "days":
        return "1 day" if value == 1 else f"{number(value)} days"
    if unit in {"ratio", "correlation"}:
        return f"{unit} {number(value)}"
    return f"{number(value)} {unit}".strip()


def interval(value: Value, scale: float = 1.0, unit: str = "") -> str:
    """Write the central 95% of what is not known, in brackets with a leading space; empty where nothing is said."""
    if value.uncertain is None:
        return ""
    low, high = (scale * x for x in value.uncertain.interval95())
    digits = ".0f" if high >= 10 else ".1f" if high >= 1 else ".2g"
    return f" ({low:{digits}} to {high:{digits}}{unit})"


def visits(days: tuple[int, ...]) -> str:
    """Write visit days: ``days 7-42 weekly, 56, 70, 84, 90``."""
    parts, first = [], 0
    while first < len(days):
        last = first + 1
        while last + 1 < len(days) and days[last + 1] - days[last] == days[first + 1] - days[first]:
            last += 1
        if last < len(days) and last - first + 1 >= LONG_RUN:
            step = days[first + 1] - days[first]
            parts.append(f"{days[first]}-{days[last]} {PERIODS.get(step, f'every {step} days')}")
            first = last + 1
        else:
            parts.append(str(days[first]))
            first += 1
    return ("days " if len(days) > 1 else "day ") + ", ".join(parts)


def between(law: Between, unit: str, among: str = "patients") -> str:
    """Write a quantity that differs between patients (or sites): its centre and where 95% of them lie."""
    if law.spread == 0:
        return quantity(law.centre, unit)
    low, centre, high = (float(f"{x:.2g}") for x in law.of_normal(np.array([-NORMAL_95, 0.0, NORMAL_95])))
    ends = [percent(x) if unit == "proportion" else number(x) for x in (low, high)]
    return f"{quantity(centre, unit)} ({ends[0]} to {ends[1]} between {among})"


def choice(value: Any) -> str:
    """Write a choice that is no number."""
    if isinstance(value, tuple) and value and isinstance(value[0], ScheduleItem):
        return visits(nominal_days(value))
    if isinstance(value, tuple) and value and isinstance(value[0], str):
        return ", ".join(choice(item) for item in value)
    if isinstance(value, tuple) and value and isinstance(value[0], float):
        ends = f"{number(value[0])} to {number(value[-1])}"
        return f"{ends}, {len(value)} values" if len(value) > LONG_RUN else ", ".join(number(item) for item in value)
    if isinstance(value, tuple):
        return visits(tuple(value)) if value else "none"
    return value.replace("_", " ") if isinstance(value, str) else shown(value)


def in_words(item: Input) -> str:
    """Write the value of an input for people."""
    unit = item.unit or UNTYPED_UNITS.get(item.path.rsplit(".", 1)[-1], "")
    if isinstance(item.value, Stated):
        return choice(item.value.value)
    if isinstance(item.value, Between):
        return between(item.value, unit, "sites" if item.path.startswith("accrual.") else "patients")
    return quantity(float(item.value), unit)
