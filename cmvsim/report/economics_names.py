"""Names of strategies and of inputs for people, numbers with their units, and the numbers an answer is given in."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cmvsim.evidence import parameters

Z95 = 1.959963984540054
MILLION = 1e6
DRUG = "Letermovir "
FEW_DAYS_OF_HEALTH = 365.25
FEWEST_AVERTED = 5
TOO_FEW = "too few infections averted in simulation"
WORDS = {
    "cmv": "CMV",
    "ttv": "TTV",
    "crs": "CRS",
    "icans": "ICANS",
    "icu": "intensive care",
    "hct": "transplantation",
    "crs3": "CRS grade 3 or more",
    "icans3": "ICANS grade 3 or more",
    "ball": "B-ALL",
    "lbcl": "lymphoma",
    "dlbcl": "DLBCL",
    "axi": "axi-cel",
    "brexu": "brexu-cel",
    "tisa": "tisa-cel",
    "hr": "hazard ratio",
    "pet": "pre-emptive therapy",
    "cscmvi": "clinically significant CMV infection",
    "hpgv": "pegivirus",
    "gcsf": "G-CSF",
    "dnaemia": "DNAemia",
    "any90": "any DNAemia by day 90",
    "death90": "death by day 90",
    "hct90": "transplantation by day 90",
    "p": "incidence:",
    "allo": "allogeneic transplantation",
    "hematotox": "CAR-HEMATOTOX",
    "steroid": "corticosteroid",
    "steroids": "corticosteroids",
    "ul54": "UL54",
    "ul56": "UL56",
    "ul97": "UL97",
    "mortality90": "mortality by day 90",
}
"""Parts of the ids of inputs that are no plain words."""


def euros(value: float | None, digits: int = 0) -> str:
    """An amount with thousands separated; no negative zero."""
    if value is None or not math.isfinite(value):
        return "none"
    return f"{round(value, digits) + 0.0:,.{digits}f}"


def signed(value: float | None) -> str:
    """An amount with its sign."""
    return "none" if value is None or not math.isfinite(value) else f"{value:+,.0f}"


def ratio(value: float | None) -> str:
    """Cost per QALY: in millions where it is so large."""
    if value is None or not math.isfinite(value):
        return "none"
    return f"{value / MILLION:.1f} million" if abs(value) >= MILLION else euros(value)


def span(low: float | None, high: float | None, digits: int = 0) -> str:
    """Two ends of an interval."""
    return f"{euros(low, digits)} to {euros(high, digits)}"


def strategy_name(label: str) -> str:
    """A strategy by its label; that it gives letermovir goes without saying."""
    rest = label.removeprefix(DRUG)
    return rest[:1].upper() + rest[1:]


def inline(name: str) -> str:
    """A name inside a sentence; an abbreviation keeps its capitals."""
    return name[:1].lower() + name[1:] if name[1:2].islower() else name


def names_of(results: Mapping[str, Any]) -> dict[str, str]:
    """Names of all strategies by id, of an evaluation or of a value of information."""
    labels = results["settings"]["labels"] if "settings" in results else results["labels"]
    return {key: strategy_name(label) for key, label in labels.items()}


def wrapped(name: str, width: int = 34) -> str:
    """A name on several lines, for a figure."""
    return textwrap.fill(name, width, break_long_words=False)


def input_name(key: str) -> str:
    """An input by its id or key, in words."""
    parts = re.split(r"[._\[\]]+", key.strip("]"))
    words = [WORDS.get(part, part) for part in parts if part]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def input_meaning(key: str) -> str:
    """What the evidence catalogue says that an input is; "" for a number of the scenario's own."""
    entry = parameters().get(key)
    return f"{entry.measures} ({entry.population})" if entry else ""


def amount_of(value: float, key: str) -> str:
    """A value of an input with its unit, in as many digits as matter."""
    entry = parameters().get(key)
    unit = entry.unit if entry else ""
    if unit == "proportion":
        return f"{100 * value:.2g}%" if abs(value) < 0.995 else f"{100 * value:.0f}%"
    text = few_digits(value)
    return (
        text if unit in ("", "ratio", "correlation", "utility") or (" per " in unit and "EUR" not in unit) else f"{text} {unit}"
    )


def short_amount(value: float, key: str) -> str:
    """The same for the end of a bar: without units longer than a few letters."""
    entry = parameters().get(key)
    return amount_of(value, key) if entry and entry.unit in ("proportion", "days", "EUR") else few_digits(value)


def few_digits(value: float) -> str:
    """Two significant digits, or all of a whole number's."""
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2g}"


def enough(row: Mapping[str, Any], patients: int) -> bool:
    """Whether so many patients averted infections enough for a price of their own: without one its interval has no width."""
    averted = float(row["infections_averted"]["value"]) * patients
    return round(averted, 6) >= FEWEST_AVERTED  # results read back from a file have twelve digits: five may be 4.9999


@dataclass(frozen=True, slots=True)
class Price:
    """Price of a day of letermovir at which a strategy is as good as its comparator: the base case of a run.

    Attributes
    ----------
    value, low, high
        By threshold, and its 95%: over the draws of a probabilistic analysis, or of patient sampling where there is none.
    fixed, fixed_low, fixed_high
        At the inputs as they stand, with the 95% of patient sampling.
    """

    strategy: str
    value: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    fixed: Sequence[float]
    fixed_low: Sequence[float]
    fixed_high: Sequence[float]


def price_rows(results: Mapping[str, Any]) -> list[Price]:
    """Of all strategies that give the drug, the highest price first."""
    drawn = {row["strategy"]: row for row in results.get("psa", {}).get("increments", ())}
    place = results["thresholds"].index(results["shown_threshold"])
    rows = []
    for row in results["increments"]:
        if not row["drug_days"] > 0:
            continue
        fixed = [_number(mean["value"]) for mean in row["break_even_price"]]
        errors = [Z95 * _number(mean["se"]) for mean in row["break_even_price"]]
        low = [value - error for value, error in zip(fixed, errors, strict=True)]
        high = [value + error for value, error in zip(fixed, errors, strict=True)]
        own = drawn.get(row["strategy"])
        if own is None:
            rows.append(Price(row["strategy"], fixed, low, high, fixed, low, high))
            continue
        ends = [[_number(end) for end in pair] for pair in own["break_even_price_95"]]
        value = [_number(price) for price in own["break_even_price"]]
        rows.append(Price(row["strategy"], value, [a for a, _ in ends], [b for _, b in ends], fixed, low, high))
    return sorted(rows, key=lambda row: -row.value[place] if row.value[place] == row.value[place] else math.inf)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
