"""The planning reference cases: the shared folder, the copy in the package, and what the package gives for each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cmvsim.qualification import closed_forms

TOP = Path(__file__).parents[2]
SHARED = TOP.parent / "shared" / "reference" / "planning.json"
COPY = TOP / "cmvsim" / "qualification" / "reference" / "closed_forms.json"

# no closed forms; theirs are tests/planning/test_performance.py and tests/planning/test_exponential_trial.py
ELSEWHERE = {"performance", "competing_exp_sim"}

Case = dict[str, Any]


def cases(path: Path) -> list[Case]:
    """The applicable cases of a file; none where it is absent."""
    if not path.exists():
        return []
    return [case for case in json.loads(path.read_text(encoding="utf-8")) if case["kind"] not in ELSEWHERE]


def answer(case: Case) -> dict[str, Any]:
    """What the package gives, in the keys of `expected`."""
    return closed_forms.answer(case["kind"], case["input"])
