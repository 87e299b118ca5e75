"""A published figure beside what the model achieves: Monte Carlo error, verdict and standardised distance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import special

from cmvsim.models.cmv import SHARES, CheckSpec, TargetSpec

Verdict = Literal["met", "inside interval", "out of reach", "not simulated"]
TWO_SIDED, ONE_SIDED = 2 * float(special.ndtri(0.975)), float(special.ndtri(0.95))
COHORTS = float(np.sqrt(2))
"""Both cohorts are finite, the one solved on and the fresh one: an error of two."""


@dataclass(frozen=True, slots=True)
class TargetResult:
    """One figure: wanted and achieved, the latter on patients other than those solved on.

    Attributes
    ----------
    measure, stratum, definition, day
        What was measured; the definition in words where the measure needs one.
    wanted, published
        The figure and its 95% interval, if there is one.
    achieved, mcse
        In the model, with its Monte Carlo standard error (of a ratio, from that of its log).
    verdict
        "met", "inside interval", "out of reach", or "not simulated" where the model lacks the process.
    distance
        (achieved - wanted) / published standard error, see :func:`distance`; NaN without an interval.
    """

    measure: str
    stratum: str
    wanted: float
    published: tuple[float, float] | None
    achieved: float
    mcse: float
    verdict: Verdict
    definition: str = ""
    day: float = float("nan")
    distance: float = float("nan")

    @classmethod
    def of_dict(cls, tree: Mapping[str, Any]) -> TargetResult:
        """Inverse of ``dataclasses.asdict``, through JSON too."""
        interval = tree["published"]
        return cls(**{**tree, "published": tuple(interval) if interval is not None else None})

    @property
    def label(self) -> str:
        """What was measured, in words."""
        return f"{self.measure}, {self.definition}" if self.definition else self.measure


def result_of(spec: TargetSpec | CheckSpec, achieved: float, mcse: float) -> TargetResult:
    """What was achieved of a target or a check."""
    figure, published = float(spec.value), spec.published
    return TargetResult(
        spec.measure,
        "",
        figure,
        published,
        achieved,
        mcse,
        verdict(figure, published, achieved, mcse),
        definition_of(spec),
        float(spec.day),
        float("nan") if published is None or np.isnan(achieved) else distance(spec.measure, figure, published, achieved),
    )


def definition_of(spec: TargetSpec | CheckSpec) -> str:
    """The definition in words, or the quantile, where the measure is of one."""
    if isinstance(spec, TargetSpec):
        return str(spec.definition)
    name, _, detail = spec.label.partition(", ")
    return detail if name else ""


def verdict(wanted: float, published: tuple[float, float] | None, achieved: float, mcse: float) -> Verdict:
    """Whether a figure is met, up to four Monte Carlo standard errors of two cohorts, or inside its interval."""
    if np.isnan(achieved):
        return "not simulated"
    if abs(achieved - wanted) <= 4 * COHORTS * mcse + 5e-4 * wanted:
        return "met"
    if published is not None and published[0] <= achieved <= published[1]:
        return "inside interval"
    return "out of reach"


def distance(measure: str, wanted: float, published: tuple[float, float], achieved: float) -> float:
    """Standardised distance, on the scale on which the measure is about normal.

    Logit for shares; log for ratios, loads and days. The standard error is the width of the published interval on that
    scale over 2 x 1.96. Where nothing was seen (an interval from 0, one-sided) it is the excess over the figure, on the
    plain scale, over (bound - figure) / 1.645.
    """
    low, high = published
    if low == 0:
        return max(0.0, achieved - wanted) / ((high - wanted) / ONE_SIDED)
    scale = _logit if measure in SHARES else np.log
    x, mid, bottom, top = (float(scale(p)) for p in (max(achieved, 1e-9), wanted, low, high))
    return (x - mid) / ((top - bottom) / TWO_SIDED)


def _logit(p: float) -> float:
    return float(special.logit(min(p, 1 - 1e-9)))


def se_share(p: float, n: float) -> float:
    """Standard error of a share."""
    return float(np.sqrt(max(p * (1 - p), 1e-12) / n))
