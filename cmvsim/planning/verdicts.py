"""Whether an estimator performs well enough: tolerances in one place, and the verdict they give.

A measure holds when its 95% Monte Carlo interval lies inside the tolerance, fails when it lies outside, and is unclear in
between: then more replicates are needed, not another tolerance.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, Literal

from cmvsim.core.records import Measure
from cmvsim.planning.characteristics import Row

Z95 = 1.959963984540054
Word = Literal["holds", "unclear", "fails"]
ORDER: tuple[Word, ...] = ("holds", "unclear", "fails")
DECLARED = ("naive", "biased", "immortal", "descriptive", "however long")
"""Words by which the note of an estimator says that it is shown for comparison: its failures are what it is shown for."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Range that a measure should lie in, and why that one."""

    measure: Measure
    low: float
    high: float
    why: str

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)


def tolerances(alpha: float) -> tuple[Tolerance, ...]:
    """The tolerances for intervals of level 1 - `alpha`.

    Bradley JV (1978), Br J Math Stat Psychol 31:144: the liberal criterion of robustness, a type I error within half of its
    level. Collins, Schafer and Kam (2001): bias disturbs tests and intervals from about 0.4 standard errors on; here a quarter.
    """
    return (
        Tolerance(Measure.STANDARDISED_BIAS, -0.25, 0.25, "bias at most a quarter of the empirical standard error"),
        Tolerance(Measure.RELATIVE_SE_ERROR, -0.10, 0.10, "model standard error within 10% of the empirical one"),
        Tolerance(
            Measure.COVERAGE, 1 - 1.5 * alpha, 1.0, "coverage short by at most half of alpha; wide intervals are no error"
        ),
        Tolerance(
            Measure.TYPE1, 0.0, 1.5 * alpha, "at most one and a half times alpha; judged for tests that claim their level"
        ),
        Tolerance(Measure.P_NOT_ESTIMABLE, 0.0, 0.05, "an estimate in 95% of studies or more"),
    )


@dataclass(frozen=True, slots=True)
class Judged:
    """One measure of one analysis against its tolerance."""

    n: int
    endpoint: str
    estimator: str
    term: str
    measure: str
    value: float
    mcse: float
    verdict: Word

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one term of one estimator over all sample sizes: the worst of its measures.

    Attributes
    ----------
    reasons
        Measures that do not hold, in words, failures first.
    declared
        Whether the estimator's own note says that it is shown for comparison; it then never fails a strict run.
    """

    endpoint: str
    estimator: str
    term: str
    verdict: Word
    declared: bool
    reasons: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {**asdict(self), "reasons": list(self.reasons)}


def judge(rows: Iterable[Row], alpha: float, claimed: frozenset[tuple[str, str]]) -> list[Judged]:
    """Hold each row that has a tolerance against it; type I errors only of (endpoint, estimator) that claim their level."""
    allowed = {item.measure.value: item for item in tolerances(alpha)}
    found = []
    for row in rows:
        item = allowed.get(row.measure)
        if item is None or not isfinite(row.value) or (item.measure is Measure.TYPE1 and _pair(row) not in claimed):
            continue
        word = word_of(row.value, row.mcse, item)
        found.append(Judged(row.n, row.endpoint, row.estimator, row.term, row.measure, row.value, row.mcse, word))
    return found


def word_of(value: float, mcse: float, item: Tolerance) -> Word:
    """Where the 95% Monte Carlo interval of a figure lies."""
    if not isfinite(mcse):
        return "unclear"
    low, high = value - Z95 * mcse, value + Z95 * mcse
    # An end that the measure cannot pass (a share of 0 or 1) is no limit to be clear of.
    if (low >= item.low or item.low == 0.0) and (high <= item.high or item.high == 1.0):
        return "holds"
    return "fails" if high < item.low or low > item.high else "unclear"


def verdicts(judged: Iterable[Judged], notes: dict[tuple[str, str], str]) -> list[Verdict]:
    """The verdict on each term of each estimator, in the order they come.

    Parameters
    ----------
    notes
        (endpoint, estimator) -> what the estimator's entry says of itself.
    """
    groups: dict[tuple[str, str, str], list[Judged]] = {}
    for item in judged:
        groups.setdefault((item.endpoint, item.estimator, item.term), []).append(item)
    made = []
    for (endpoint, estimator, term), items in groups.items():
        word = max((item.verdict for item in items), key=ORDER.index)
        note = notes.get((endpoint, estimator), "")
        reasons = tuple(
            f"{item.measure} {item.value:.3g} at N = {item.n} {'is unclear' if item.verdict == 'unclear' else 'fails'}"
            for item in sorted(items, key=lambda item: -ORDER.index(item.verdict))
            if item.verdict != "holds"
        )
        made.append(Verdict(endpoint, estimator, term, word, any(told in note for told in DECLARED), reasons))
    return made


def _pair(row: Row) -> tuple[str, str]:
    return row.endpoint, row.estimator
