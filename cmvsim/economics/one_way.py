"""One-way sensitivity: each input at the ends of what is not known of it, all else as it stands, the same patients.

A bar is what one input adds to the uncertainty of the answer, so hazards follow the rule of the draws of a probabilistic
analysis: what was observed stays as observed, whichever law is true (docs/model.md 17).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cmvsim.calibration.redraw import Redraw
from cmvsim.core.errors import CmvsimError
from cmvsim.economics.cohort import evaluate_cohort, model_of
from cmvsim.economics.probabilistic import drawn_inputs
from cmvsim.economics.settings import EvaluationSettings, economics_of
from cmvsim.models.baseline import Baseline
from cmvsim.scenarios import ResolvedScenario
from cmvsim.scenarios.vary import vary, vary_prices
from cmvsim.valuation import price_list

ENDS = np.array([0.025, 0.975])
PATIENTS = 8_192
"""Of each end of each input, at most: the base case has its own."""


@dataclass(frozen=True, slots=True)
class OneWayRow:
    """One input at its 2.5% and 97.5% quantiles.

    Attributes
    ----------
    net_benefit_low, net_benefit_high
        Increment of net benefit of the strategy at these; NaN where the scenario does not allow the number.
    base
        With all inputs as they stand, in the same patients.
    """

    strategy: str
    threshold: float
    base: float
    input: str
    key: str
    kind: str
    low: float
    high: float
    net_benefit_low: float
    net_benefit_high: float

    @property
    def width(self) -> float:
        """Length of the bar."""
        found = abs(self.net_benefit_high - self.net_benefit_low)
        return found if found == found else 0.0


def one_way_rows(
    scenario: ResolvedScenario,
    redraw: Redraw,
    strategies: tuple[str, str],
    threshold: float,
    patients: int,
    seed: int,
    tick: Callable[[int, int], None],
) -> tuple[OneWayRow, ...]:
    """All uncertain inputs, the one that matters most first; hazards are those of a draw of it."""

    def benefit(changes: dict[str, float]) -> float:
        varied = vary(scenario, changes)
        baseline: Baseline = redraw.baseline(varied, laws="solved")
        prices = vary_prices(price_list(economics_of(varied.spec).price_list.value), changes)
        settings = EvaluationSettings.of(varied.spec, strategies[1:], prices)
        o = evaluate_cohort(model_of(varied.spec, baseline, drawn=True), settings, patients, seed)
        return float((threshold * (o.qaly[1] - o.qaly[0]) - (o.total[1] - o.total[0])).mean())

    base = benefit({})
    inputs = drawn_inputs(scenario)
    rows = []
    for done, item in enumerate(inputs):
        low, high = (float(x) for x in item.marginal.quantile(ENDS, np.full(2, np.inf)))
        ends = []
        for value in (low, high):
            try:
                ends.append(benefit(item.changes(value)))
            except CmvsimError:  # a part above its whole, say: alone, the number is not allowed
                ends.append(float("nan"))
        rows.append(OneWayRow(strategies[1], threshold, base, item.id, item.key, item.kind, low, high, *ends))
        tick(done + 1, len(inputs))
    return tuple(sorted(rows, key=lambda row: -row.width))
