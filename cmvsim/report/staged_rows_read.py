"""Figures of staged results by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def row_of(results: Mapping[str, Any], measure: str, estimator: str, term: str = "", n: int | None = None) -> dict[str, Any]:
    """The row of a figure; a row of nothing where there is none."""
    for row in results["rows"]:
        if (row["measure"], row["estimator"], row["term"]) == (measure, estimator, term) and n in (None, row["n"]):
            return dict(row)
    return {"value": None, "mcse": None}


def value_of(results: Mapping[str, Any], measure: str, estimator: str, term: str = "", n: int | None = None) -> Any:
    """The figure alone, None where there is none."""
    return row_of(results, measure, estimator, term, n)["value"]


def share_of(results: Mapping[str, Any], measure: str, estimator: str, n: int, *, but: str) -> float:
    """Sum of a figure over all terms but one."""
    return float(
        sum(
            row["value"]
            for row in results["rows"]
            if (row["measure"], row["estimator"], row["n"]) == (measure, estimator, n) and row["term"] != but
        )
    )
