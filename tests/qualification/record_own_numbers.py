"""Writes the reference cases whose numbers are cmvsim's own: random streams, and the small study from end to end.

Run it (`python tests/qualification/record_own_numbers.py`) only when numbers were meant to change, which the changelog then
says. Cases with numbers of other programs are never rewritten.
"""

from __future__ import annotations

import json
from pathlib import Path

from cmvsim.core.canonical import rounded
from cmvsim.core.records import NUMBERS_VERSION
from cmvsim.qualification.installation import bytes_digest, stream_numbers, study_rows

REFERENCE = Path(__file__).parents[2] / "cmvsim" / "qualification" / "reference"
OWN = f"cmvsim, numbers version {NUMBERS_VERSION}"

STREAM_CASES = [
    ("population.age", "STUDY", 0, 0, 1),
    ("kinetics.cmax", "STUDY", 0, 0, 1),
    ("cmv.onset", "STUDY", 0, 0, 1),
    ("cmv.onset", "STUDY", 155, 0, 1),
    ("cmv.set_point", "STUDY", 0, 3, 20260131),
    ("cmv.prevalent", "CONFIRMATION", 2, 0, 1),
    ("virome.anellovirus.noise", "TRUTH", 7, 28, 2**64 + 1),
    ("toxicity.crs.grade", "CALIBRATION", 1, 0, 7),
    ("analysis.bootstrap", "ANALYSIS", 0, 0, 1),
]
COUNT = 10_000
FIRST = 5
BASELINE = {
    "onset_amplitude": 0.6,
    "onset_median": 13.0,
    "non_relapse_hazard": [2.8e-4] * 3,
    "after_relapse_hazard": [4e-3] * 3,
    "bacterial_hazard": [0.0036, 0.0011],
    "fungal_hazard": [0.0003, 0.00018],
    "letermovir": None,
}
ENDPOINTS = ["cmv_reactivation", "cmv_leukaemia", "cmv_lymphoma", "cmv_disease", "anellovirus"]


def streams() -> dict:
    checks = []
    for name, role, chunk, index, seed in STREAM_CASES:
        args = {"stream": name, "role": role, "chunk": chunk, "index": index, "seed": seed, "count": COUNT}
        got = stream_numbers(args)
        checks.append(
            {
                "id": f"{name}-{role.lower()}-{chunk}-{index}",
                "estimator": "stream",
                "what": f"the first {COUNT:,} numbers of {name} ({role.lower()}, chunk {chunk}, index {index}, seed {seed})",
                "args": args,
                "rtol": 1e-14,
                "atol": 0,
                "expected": {"first": [float(x) for x in got[:FIRST]], "sha256": bytes_digest(got)},
            }
        )
    return {"source": OWN, "cases": [{"case": "named_streams", "source": OWN, "checks": checks}]}


def end_to_end() -> dict:
    args = {"scenario": "cmv-cart", "patients": 60, "seed": 1, "baseline": BASELINE, "endpoints": ENDPOINTS}
    check = {
        "id": "cmv-cart-60",
        "estimator": "small_study",
        "what": "60 patients of cmv-cart with given baseline hazards: simulated, written, read and analysed",
        "args": args,
        "rtol": 1e-9,
        "atol": 1e-12,
        "expected": rounded(study_rows(args)),
    }
    return {"source": OWN, "cases": [{"case": "small_study", "source": OWN, "checks": [check]}]}


if __name__ == "__main__":
    for topic, tree in (("streams", streams()), ("end_to_end", end_to_end())):
        (REFERENCE / f"{topic}.json").write_text(json.dumps(tree, indent=1) + "\n", encoding="utf-8")
