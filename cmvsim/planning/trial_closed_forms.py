"""Closed forms that the simulated power of two arms is started from and printed beside, and why the two differ."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cmvsim.core.errors import InputError
from cmvsim.designs import Randomised
from cmvsim.designs.closed_forms import (
    lachin_foulkes_size,
    logrank_size,
    subdistribution_size,
    two_proportions_power,
    two_proportions_size,
)
from cmvsim.planning.question import why_different
from cmvsim.scenarios import ResolvedScenario

OF_HAZARDS = frozenset({"log_rank", "log_rank_stratified", "cox", "cox_stratified"})
OF_SUBDISTRIBUTIONS = frozenset({"gray_test", "fine_gray"})
PROPORTIONS, SCHOENFELD = "two proportions, score test", "Schoenfeld, log-rank test"
LACHIN, LATOUCHE = "Lachin-Foulkes, exponential hazards", "Latouche, subdistribution hazards"


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected at the end of the window.

    Attributes
    ----------
    control, experimental
        Cumulative incidences in the arms, every visit made.
    window
        Days of follow-up.
    """

    control: float
    experimental: float
    window: float

    @property
    def known(self) -> bool:
        """Whether a formula can be given them."""
        return all(math.isfinite(p) and 0 < p < 1 for p in (self.control, self.experimental))


def closed_forms(design: Randomised, expected: Expected, power: float) -> dict[str, int | None]:
    """Patients of both arms by each formula; None where it has no answer.

    Notes
    -----
    Hazards are those that give the incidences with nothing competing: -log(1 - F) / window in each arm. All patients are
    followed to the end of the window. A margin is known to the formula of two proportions alone, if it is a difference.
    """
    found: dict[str, int | None] = dict.fromkeys((PROPORTIONS, SCHOENFELD, LACHIN, LATOUCHE))
    if not expected.known:
        return found
    margin = design.margin or 0.0
    difference = design.no_difference == 0
    ratio = design.ratio[1] / design.ratio[0]
    common: dict[str, Any] = {"alpha": design.alpha, "power": power, "sides": design.sides}
    p0, p1 = expected.control, expected.experimental
    hazards = [-math.log1p(-p) / expected.window for p in (p0, p1)]
    better = p1 - p0 < margin if difference else hazards[1] / hazards[0] < design.null
    if not better:
        return found

    def patients(formula: Callable[[], float]) -> int | None:
        try:
            return math.ceil(formula() - 1e-9)
        except InputError:
            return None

    if difference or design.margin is None:
        # arm 1 of the formula is the experimental one, arm 2 the control
        found[PROPORTIONS] = patients(lambda: two_proportions_size(p1, p0, difference0=margin, ratio=1 / ratio, **common).total)
    if design.margin is None:
        times: dict[str, Any] = {"accrual": 0.0, "followup": expected.window, "ratio": ratio}
        found[SCHOENFELD] = patients(lambda: logrank_size(hazards[0], hazards[1] / hazards[0], **times, **common).n)
        found[LACHIN] = patients(lambda: lachin_foulkes_size(hazards[0], hazards[1], **times, **common).n)
        found[LATOUCHE] = patients(lambda: subdistribution_size(p0, p1, ratio=ratio, **common)[0].n)
    return found


def nearest(design: Randomised) -> str:
    """Name of the formula whose test is nearest to the comparison that decides."""
    if design.margin is None and design.comparison in OF_HAZARDS:
        return SCHOENFELD
    if design.margin is None and design.comparison in OF_SUBDISTRIBUTIONS:
        return LATOUCHE
    return PROPORTIONS


def detectable_risk(design: Randomised, control: float, patients: int, power: float) -> float | None:
    """Largest incidence of the experimental arm that two proportions tell from the control's; None if none does."""
    n1 = patients * design.ratio[1] / sum(design.ratio)
    share = design.ratio[0] / design.ratio[1]
    margin = (design.margin or 0.0) if design.no_difference == 0 else 0.0

    def reached(p1: float) -> bool:
        return (
            two_proportions_power(n1, p1, control, difference0=margin, ratio=share, alpha=design.alpha, sides=design.sides)
            >= power
        )

    low, high = 1e-9, control + margin - 1e-9
    if not 0 < control < 1 or high <= low or not reached(low):
        return None
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if reached(middle) else (low, middle)
    return low


def why_trial_differs(scenario: ResolvedScenario, design: Randomised) -> tuple[str, ...]:
    """What the closed forms do not know and this scenario and design have."""
    spec = scenario.spec
    gives = [spec.strategies[name] for name in design.arms if spec.strategies[name].prophylaxis != "none"]
    drug = spec.letermovir
    spread, stops = drug.adherence, bool(drug.stopped_by.value) or float(drug.discontinued_by_90) > 0
    latent = "episodes that had begun before the first dose go on, so the ratio of hazards is not constant"
    wald = "the test is that of two cumulative incidences with censoring (Wald), not that of two proportions"
    reasons = [
        (bool(gives) and (spread.spread > 0 or spread.centre < 1 or stops), "doses are missed and courses end early"),
        (bool(gives) and float(spec.cmv.onset.prevalent) > 0, latent),
        (design.comparison == "risk_difference", wald),
        (bool(design.stratify), "randomisation is stratified, and strata differ in incidence"),
    ]
    general = [text for text in why_different(scenario) if not text.startswith("the interval is that")]
    return (*general, *(text for holds, text in reasons if holds))
