"""What the figures of a validation draw: the analyses of an endpoint in groups that share an axis, equal ones as one."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MEASURES = ("standardised_bias", "coverage")
COMPARISON = "Shown for comparison (naive or biased, as their notes say)"
KINDS = {
    "probability": "Rates",
    "risk_difference": "Differences of rates",
    "hazard_ratio": "Ratios",
    "subdistribution_hazard_ratio": "Ratios",
    "odds_ratio": "Ratios",
    "risk_ratio": "Ratios",
    "correlation": "Correlations",
}
OTHER = "Means and counts"
WIDEST = 42
"""Characters of a label's line."""

Place = tuple[str, int]
"""Scenario and sample size."""


@dataclass(frozen=True, slots=True)
class Line:
    """One analysis over scenarios and sample sizes.

    Attributes
    ----------
    label
        For a legend; analyses with the same values are named after "=".
    group
        Heading under which it is drawn.
    values
        Measure -> (scenario, N) -> value and Monte Carlo standard error.
    """

    label: str
    group: str
    values: Mapping[str, Mapping[Place, tuple[float, float]]]


def lines_of(results: Mapping[str, Any], name: str) -> list[Line]:
    """The analyses of an endpoint that have a coverage, by group: the first term of each estimator."""
    known = {item["estimator"]: item for item in results["estimators"] if item["endpoint"] == name}
    declared = {item["estimator"] for item in results["verdicts"] if item["endpoint"] == name and item["declared"]}
    merged: list[tuple[str, list[str], dict[str, dict[Place, tuple[float, float]]]]] = []
    for estimator, values in _values(results, name).items():
        group = COMPARISON if estimator in declared else KINDS.get(known[estimator]["scale"], OTHER)
        same = next((item for item in merged if item[0] == group and item[2] == values), None)
        if same is not None:
            same[1].append(estimator)
        elif "coverage" in values:
            merged.append((group, [estimator], values))
    order = list(dict.fromkeys([*KINDS.values(), OTHER, COMPARISON]))
    merged.sort(key=lambda item: order.index(item[0]))
    return [Line(_label(known, names), group, values) for group, names, values in merged]


def _values(results: Mapping[str, Any], name: str) -> dict[str, dict[str, dict[Place, tuple[float, float]]]]:
    """Estimator -> measure -> (scenario, N) -> value and error, of the first term that has a coverage."""
    rows = [row for row in results["rows"] if row["endpoint"] == name and row["value"] is not None]
    terms: dict[str, str] = {}
    for row in rows:
        if row["measure"] == "coverage":
            terms.setdefault(row["estimator"], row["term"])
    found: dict[str, dict[str, dict[Place, tuple[float, float]]]] = {}
    for row in rows:
        if row["measure"] in MEASURES and terms.get(row["estimator"]) == row["term"]:
            of = found.setdefault(row["estimator"], {}).setdefault(row["measure"], {})
            of[row["scenario"], row["n"]] = (row["value"], row["mcse"] or 0.0)
    return found


def _label(known: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> str:
    told = textwrap.fill(str(known[names[0]]["label"]), WIDEST)
    return told + (f"\n= {textwrap.fill(', '.join(names[1:]), WIDEST)}" if len(names) > 1 else "")


def several_terms(results: Mapping[str, Any], name: str) -> bool:
    """Whether an estimator has other terms than the one that is drawn."""
    seen: dict[str, set[str]] = {}
    for row in results["rows"]:
        if row["endpoint"] == name and row["measure"] == "coverage":
            seen.setdefault(row["estimator"], set()).add(row["term"])
    return any(len(terms) > 1 for terms in seen.values())


def spread(items: Sequence[Any], most: int) -> list[Any]:
    """At most so many of the items, evenly spread, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(place * (len(items) - 1) / (most - 1))] for place in range(most)]
