"""Reference cases of recurrent events, paths, intervals, repeated measurements and costs, as arrays.

Numbers come from the shared folder; only the cost case, whose data were simulated, travels with the package.
"""

from __future__ import annotations

import json

import numpy as np
from estimators_reference import COPIES, Check, shared_checks

COPY = COPIES / "costs.json"


def cases(*numbers: str) -> list[Check]:
    """Checks of the cases with these numbers: shared ones, and copied ones that are not among them."""
    shared = shared_checks()
    known = {str(c) for c in shared}
    copied = []
    for case in json.loads(COPY.read_text(encoding="utf-8"))["cases"]:
        rows = {name: np.array(values) for name, values in case["data"].items()}
        listed = (
            Check(case["case"], c["id"], c["estimator"], c["args"], c["rtol"], c["atol"], c["expected"], rows)
            for c in case["checks"]
        )
        copied += [c for c in listed if str(c) not in known]
    return [c for c in shared + copied if c.case.startswith(numbers)]


def bladder(check: Check, arm: int) -> tuple[np.ndarray, np.ndarray]:
    """Recurrences (patients, k) and exits of one arm, from start-stop rows."""
    rows = check.rows
    there = rows["rx"] == arm
    patient, stop, event = rows["id"][there], rows["stop"][there], rows["event"][there]
    ids = np.unique(patient)
    events = np.full((ids.size, int(np.unique(patient, return_counts=True)[1].max())), np.nan)
    for k, i in enumerate(ids):
        times = stop[(patient == i) & (event == 1)]
        events[k, : times.size] = times
    return events, np.array([stop[patient == i].max() for i in ids])


def pigs(check: Check) -> tuple[np.ndarray, np.ndarray]:
    """Weight (40, 12) and the fixed effects (40, 12, 6): intercept, time, two doses, their products with time."""
    rows = check.rows
    ids, weeks = np.unique(rows["Pig"]), np.unique(rows["Time"])
    weight, x = np.full((ids.size, weeks.size), np.nan), np.full((ids.size, weeks.size, 6), np.nan)
    at = (np.searchsorted(ids, rows["Pig"]), np.searchsorted(weeks, rows["Time"]))
    doses = [(rows["Cu"] == name).astype(float) for name in ("Cu035", "Cu175")]
    weight[at] = rows["Weight"]
    x[at] = np.c_[np.ones(rows["Time"].size), rows["Time"], *doses, *(d * rows["Time"] for d in doses)]
    return weight, x


def ventilation(check: Check) -> tuple[np.ndarray, ...]:
    """Start, stop, origin and target of stays; of two moves of a patient on a day the first is half a day earlier."""
    rows = check.rows
    order = np.lexsort((rows["time"], rows["id"]))
    patient, time = rows["id"][order], rows["time"][order].copy()
    same = patient[1:] == patient[:-1]
    for i in np.flatnonzero(same & (time[1:] == time[:-1])):
        time[i] -= 0.5
    start = np.where(np.r_[False, same], np.r_[0.0, time[:-1]], 0.0)
    target = np.array([-1 if t == "cens" else int(t) for t in rows["to"][order]])
    return start, time, rows["from"][order].astype(int), target


def cosmesis(check: Check, arm: int) -> tuple[np.ndarray, np.ndarray]:
    """Interval ends of one arm; a missing upper end is right-censored."""
    there = check.rows["treat"] == arm
    upper = np.array([np.inf if u in ("NA", "") else float(u) for u in check.rows["upper"].astype(str)])
    return check.rows["lower"][there].astype(float), upper[there]


def histories(check: Check) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Costs (1, patients, 5), X and completeness (1, patients)."""
    costs = np.stack([check.rows[f"cost{k}"] for k in range(1, 6)], axis=-1)
    return costs[None], check.rows["time"][None], check.rows["observed"][None].astype(int)
