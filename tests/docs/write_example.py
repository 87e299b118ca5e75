"""Writes docs/example anew, when numbers change on purpose: ``python tests/docs/write_example.py``."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from example_study import EXAMPLE, PATIENTS, SCENARIO, SEED, TABLES, expected_of

from cmvsim.verbs.estimate import EstimateOptions, estimate
from cmvsim.verbs.place import Place
from cmvsim.verbs.simulate import SimulateOptions, simulate
from cmvsim.verbs.ui import Silent

FIGURES = ("cmv_reactivation.png", "risk_factors_cox.png")

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "example"
        simulate(SimulateOptions(SCENARIO, patients=PATIENTS, seed=SEED), Place(made), Silent())
        for name in (*(f"{table}.csv" for table in TABLES), "analysis.toml"):
            shutil.copyfile(made / name, EXAMPLE / name)
        outcome = estimate(EstimateOptions(EXAMPLE), Place(Path(scratch) / "results"))
        frame = expected_of(outcome.results["rows"])
        frame.to_csv(EXAMPLE / "expected.csv", index=False, lineterminator="\n", float_format="%.15g")
        for name in FIGURES:
            shutil.copyfile(outcome.folder / "figures" / name, EXAMPLE / "figures" / name)
