"""Speeds of R and lifelines beside ours: constants measured once on another machine, printed where neither is installed.

Microseconds per trial of 150 patients, or seconds of one data set of a million rows. They are a reference, not a measurement
of this run: the machine differs, so that a ratio is good to its order of magnitude.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.estimators import Row

WANTED_OF_R, WANTED_OF_LIFELINES = 50, 500
MILLION = "one data set of 1e6 rows"

PUBLISHED: dict[str, tuple[str, float, float | None]] = {
    "Aalen-Johansen at a horizon": ("R cuminc", 678.0, 13_039.0),
    "Gray, two groups": ("R cuminc", 746.0, None),
    "log-rank, two groups": ("R survdiff", 652.0, 8_384.0),
    "Cox, 3 covariates, Efron, n": ("R coxph", 1_450.0, 14_417.0),
    "Fine-Gray, 3 covariates, full": ("R crr", 2_931.0, None),
    "logistic, 3 covariates, n": ("R glm", 705.0, None),
    f"Aalen-Johansen, {MILLION}": ("R survfit", 5.3e6, None),
    f"Cox, 3 covariates, {MILLION}": ("R coxph", 4.8e6, None),
    f"Fine-Gray, 3 covariates, {MILLION}": ("R crr, of 5,000 rows", 1.3e6, None),
}
"""By the beginning of a row's name: R's function, its time and that of lifelines, in microseconds."""


def table(rows: Sequence[Row]) -> str:
    """Rows that have a published peer, with ratios."""
    found = [(row, peer) for row in rows for name, peer in PUBLISHED.items() if row.name.startswith(name)]
    width = max(len(row.name) for row, _ in found)
    header = f"{'what':<{width}}  {'ours us':>12}  {'R, published':<22}  {'us':>10}  {'ratio':>8}"
    lines = [f"{header}  {'lifelines us':>12}  {'ratio':>8}"]
    for row, (name, r, lifelines) in found:
        beside = "" if lifelines is None else f"  {lifelines:>12,.0f}  {lifelines / row.per_trial_us:>8,.0f}"
        lines.append(
            f"{row.name:<{width}}  {row.per_trial_us:>12,.2f}  {name:<22}  {r:>10,.0f}  {r / row.per_trial_us:>8,.1f}{beside}"
        )
    wanted = (
        f"wanted at n = 150: {WANTED_OF_R} times R, {WANTED_OF_LIFELINES} times lifelines; of a million rows: not slower than R"
    )
    return "\n".join([*lines, wanted])
