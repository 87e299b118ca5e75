"""Reference checks of the group tests, regressions and comparisons: the shared folder, else the copy in the package.

The copies hold cases whose data were made up or simulated (see their ``source``).
"""

from __future__ import annotations

import json

import numpy as np
from estimators_reference import COPIES, Check, numbers, shared_checks

COPIED = [COPIES / name for name in ("regression.json", "comparisons.json")]


def _copied() -> list[Check]:
    found = []
    for case in [c for copy in COPIED for c in json.loads(copy.read_text(encoding="utf-8"))["cases"]]:
        rows = {name: np.array(values) for name, values in case["data"].items()}
        found += [
            Check(case["case"], c["id"], c["estimator"], c["args"], c["rtol"], c["atol"], c["expected"], rows)
            for c in case["checks"]
        ]
    return found


def checks(prefixes: tuple[str, ...], skip: tuple[str, ...] = ()) -> list[Check]:
    """Checks whose estimator or id starts so: shared ones, and copied ones that are not among them."""
    shared = shared_checks()
    known = {str(c) for c in shared}
    listed = shared + [c for c in _copied() if str(c) not in known]
    return [c for c in listed if c.estimator.startswith(prefixes) and c.id not in skip]


def copied_ids(prefixes: tuple[str, ...]) -> set[str]:
    return {c.id for c in _copied() if c.estimator.startswith(prefixes)}


def codes(values: np.ndarray) -> np.ndarray:
    return np.unique(values, return_inverse=True)[1]


def args(check: Check) -> dict[str, object]:
    return check.args if isinstance(check.args, dict) else {}


def close(check: Check, got: object, expected: object, rtol: float | None = None) -> None:
    np.testing.assert_allclose(got, numbers(expected), rtol=rtol or check.rtol, atol=check.atol)
