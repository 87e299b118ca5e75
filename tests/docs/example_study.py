"""The example study of docs/example: how its tables are simulated, and which of its results are kept."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "example"
SCENARIO, PATIENTS, SEED = "cmv-cart-two-parts", 60, 2
COMMAND = f"cmvsim simulate {SCENARIO} -n {PATIENTS} --seed {SEED} -o example"
KEPT = ["endpoint", "estimator", "term", "n", "events", "estimate", "se", "ci_low", "ci_high", "status"]
TABLES = (
    *("subjects", "samples", "disposition", "exposures", "events", "stays", "virome", "car_t", "sequencing"),
    *("questionnaires", "resources"),
)


def expected_of(rows: list[dict[str, object]]) -> pd.DataFrame:
    """The columns of expected.csv, from the rows of results.json."""
    return pd.DataFrame(rows)[KEPT]
