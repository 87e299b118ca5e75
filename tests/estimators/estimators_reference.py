"""Reading the reference numbers of R: the shared folder and the copy that the package holds for `cmvsim qualify`."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

SHARED = Path(__file__).parents[2].parent / "shared" / "reference" / "estimators"
COPIES = Path(__file__).parents[2] / "cmvsim" / "qualification" / "reference"
COPY = COPIES / "event_times.json"

Rows = dict[str, np.ndarray]


@dataclass(frozen=True)
class Check:
    case: str
    id: str
    estimator: str
    args: Any
    rtol: float
    atol: float
    expected: Any
    rows: Rows

    def __str__(self) -> str:
        return f"{self.case}-{self.id}"


def _column(values: list[str]) -> np.ndarray:
    try:
        return np.array([float(v) for v in values])
    except ValueError:
        return np.array(values)


def _checks(case: str, listed: list[dict[str, Any]], rows: Rows) -> list[Check]:
    return [Check(case, c["id"], c["estimator"], c["args"], c["rtol"], c["atol"], c["expected"], rows) for c in listed]


@lru_cache(maxsize=1)
def shared_checks() -> list[Check]:
    """Every check of the shared folder; empty where it is absent."""
    found = []
    for path in sorted(SHARED.glob("*/expected.json")):
        with (path.parent / "data.csv").open(newline="") as file:
            table = list(csv.DictReader(file))
        rows = {name: _column([row[name] for row in table]) for name in table[0]}
        case = json.loads(path.read_text(encoding="utf-8"))
        found += _checks(case["case"], case["checks"], rows)
    return found


def copied_checks() -> list[Check]:
    """The checks that travel with the package."""
    found = []
    for case in json.loads(COPY.read_text(encoding="utf-8"))["cases"]:
        rows = {name: np.array(values) for name, values in case["data"].items()}
        found += _checks(case["case"], case["checks"], rows)
    return found


def numbers(values: Any) -> np.ndarray:
    """Array from R's JSON, where non-finite numbers are strings; NA and NaN both become NaN."""
    text = json.dumps(values).replace('"NA"', "NaN").replace('"NaN"', "NaN")
    return np.array(json.loads(text), dtype=float)
