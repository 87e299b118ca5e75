"""Solving letermovir's two effects from its two published ratios.

The published ratios are *marginal*, between groups; the model needs what happens to one patient: a ratio on the hazard
of onset and a shift of the set-point. Both act on both ratios (a lower episode may stay below the limit of detection),
so they are solved together, on a large fixed cohort that the caller simulates with and without the drug.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy import optimize

from cmvsim.core.errors import CalibrationError
from cmvsim.core.records import FloatArray
from cmvsim.models.strategies import LetermovirEffect, LetermovirTargets

Verdict = Literal["met", "inside interval", "out of reach"]
Measure = Callable[[float, float], tuple[float, float]]
"""Marginal ratios (any DNAemia, clinically significant) at an onset ratio and a set-point shift."""

LOWEST_RATIO, LOWEST_SHIFT = 1e-3, -4.0
"""Ends of the search; the other ends are 1 and 0, as a drug that provokes episodes or raises them is no prophylaxis."""
TOLERANCE = 2e-3
"""On the logarithms of the ratios."""
MAX_EVALUATIONS = 40
NOT_MET = {"inside interval": "not met, but inside their intervals", "out of reach": "out of reach"}
_SMALLEST = 1e-9
_PROBE = 0.1
_TRUST = (1.0, 1e-3)
_FLAT = 1e-3


@dataclass(frozen=True, slots=True)
class LetermovirSolution:
    """What was wanted, found and achieved.

    Attributes
    ----------
    effect
        The conditional values, of a patient who takes all of the drug; the nearest ones where the targets are out of reach.
    wanted, achieved
        Marginal ratios (any DNAemia, clinically significant), the latter on the cohort solved on.
    evaluations
        Calls of the measure.
    verdict
        "met": both ratios within the tolerance; "inside interval": not, but both within the 95% of what is not known of
        them; else "out of reach".
    """

    effect: LetermovirEffect
    wanted: tuple[float, float]
    achieved: tuple[float, float]
    evaluations: int
    verdict: Verdict

    @property
    def message(self) -> str:
        """The outcome in a sentence."""
        found = f"onset ratio {self.effect.onset_ratio:.3g} and set-point shift {self.effect.set_point_shift:+.3g} log10"
        got = f"{self.achieved[0]:.3g} for any DNAemia and {self.achieved[1]:.3g} for clinically significant infection"
        if self.verdict == "met":
            return f"{found} give marginal ratios of {got}"
        wanted = f"{self.wanted[0]:.3g} for any DNAemia and {self.wanted[1]:.3g} for clinically significant infection"
        outcome = f"letermovir.targets are {NOT_MET[self.verdict]}: wanted {wanted}"
        return f"{outcome}; the nearest the model comes is {got}, with {found}"

    @classmethod
    def of_dict(cls, tree: Mapping[str, Any]) -> LetermovirSolution:
        """Inverse of :meth:`as_dict`, through JSON too."""
        wanted, achieved = ((float(pair[0]), float(pair[1])) for pair in (tree["wanted"], tree["achieved"]))
        return cls(LetermovirEffect(**tree["effect"]), wanted, achieved, tree["evaluations"], tree["verdict"])

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)


def marginal_hazard_ratio(
    event_with: FloatArray, end_with: FloatArray, event_without: FloatArray, end_without: FloatArray, day: float
) -> float:
    """Ratio of the cumulative cause-specific hazards by `day`, with the drug over without.

    Nelson-Aalen in each group: patients are at risk until their first event, until the end of follow-up, or until a
    competing event, whichever is first. Under proportional hazards it is the hazard ratio; unlike a ratio of cumulative
    incidences, it does not confuse the drug's effect with that of competing events.

    Parameters
    ----------
    event_with, event_without
        First event of each patient at risk at the beginning, +inf if none.
    end_with, end_without
        End of risk by anything else, +inf if none. An event at that time counts.
    day
        End of the time on the drug.

    Returns
    -------
    float
        NaN without an event in the group without the drug.
    """
    with_drug, without = (
        _cumulative_hazard(event, end, day) for event, end in ((event_with, end_with), (event_without, end_without))
    )
    return with_drug / without if without > 0 else float("nan")


def _cumulative_hazard(event: FloatArray, end: FloatArray, day: float) -> float:
    exit_time = np.sort(np.minimum(event, end))
    times, deaths = np.unique(event[(event <= end) & (event <= day)], return_counts=True)
    at_risk = exit_time.size - np.searchsorted(exit_time, times, side="left")
    return float(np.sum(deaths / at_risk))


def solve_letermovir(
    measure: Measure,
    targets: LetermovirTargets | tuple[float, float],
    *,
    tolerance: float = TOLERANCE,
    max_evaluations: int = MAX_EVALUATIONS,
) -> LetermovirSolution:
    """Find the onset ratio and the set-point shift that give both marginal ratios.

    Gauss-Newton steps on (log ratio, shift) against the logarithms of the two ratios, within bounds and a region of trust;
    the Jacobian is probed once, updated by Broyden's rule, and probed anew when a step fails. The measure may be a step
    function, as that of a finite cohort is, as long as the tolerance is wider than its steps.

    Parameters
    ----------
    measure
        Universal letermovir through the time on the drug with full adherence and no discontinuation, against none, in the
        same patients with the same chance: the two marginal hazard ratios (:func:`marginal_hazard_ratio`) among those
        in whom no episode runs at the first dose. On the others the drug has no effect; with them among the patients, no
        effect on later episodes would be large enough.
    targets
        The ratios wanted; with what is not known of them, if given as in a scenario.

    Returns
    -------
    LetermovirSolution
        Where the bounds keep it from the targets: the nearest point, in the sum of squared logarithms.

    Raises
    ------
    CalibrationError
        If a ratio cannot be measured: no event without the drug.
    """
    if not isinstance(targets, LetermovirTargets):
        return _Search(measure, targets, tolerance, max_evaluations).run()
    values = (targets.any_dnaemia, targets.clinically_significant)
    wanted = (float(values[0]), float(values[1]))
    solution = _Search(measure, wanted, tolerance, max_evaluations).run()
    known = [value.uncertain.interval95() if value.uncertain is not None else (np.inf, np.inf) for value in values]
    inside = all(low <= ratio <= high for ratio, (low, high) in zip(solution.achieved, known, strict=True))
    return replace(solution, verdict="inside interval") if inside and solution.verdict != "met" else solution


class _Search:
    """The state of one solution."""

    def __init__(self, measure: Measure, wanted: tuple[float, float], tolerance: float, max_evaluations: int) -> None:
        self.measure, self.wanted = measure, wanted
        self.tolerance, self.max_evaluations = tolerance, max_evaluations
        self.evaluations = 0
        self.low, self.high = np.array([np.log(LOWEST_RATIO), LOWEST_SHIFT]), np.zeros(2)

    def run(self) -> LetermovirSolution:
        # what onset does not explain, height must: a tenth of the ratio is about a tenth of the load
        guess = np.array([np.log(self.wanted[0]), np.log10(self.wanted[1] / self.wanted[0])])
        x = np.clip(guess, self.low + _PROBE, self.high - _PROBE)
        f = self._residual(x)
        jacobian, fresh, trust = self._probe(x, f), True, _TRUST[0]
        while np.abs(f).max() > self.tolerance and self.evaluations < self.max_evaluations:
            step = self._step(x, f, jacobian, trust)
            hoped = float(f @ f - np.sum((f + jacobian @ step) ** 2))
            if fresh and hoped <= _FLAT * float(f @ f):
                break  # nowhere to go within the bounds
            new = self._residual(x + step)
            if new @ new < f @ f:
                jacobian = jacobian + np.outer(new - f - jacobian @ step, step) / (step @ step)
                x, f, fresh, trust = np.clip(x + step, self.low, self.high), new, False, min(2 * trust, _TRUST[0])
            elif fresh:
                trust = float(np.abs(step).max()) / 4
                if trust < _TRUST[1]:
                    break
            else:
                jacobian, fresh = self._probe(x, f), True
        achieved = np.exp(f + np.log(self.wanted))
        return LetermovirSolution(
            LetermovirEffect(float(np.exp(x[0])), float(x[1])),
            self.wanted,
            (float(achieved[0]), float(achieved[1])),
            self.evaluations,
            "met" if np.abs(f).max() <= self.tolerance else "out of reach",
        )

    def _residual(self, x: FloatArray) -> FloatArray:
        self.evaluations += 1
        found = np.array(self.measure(float(np.exp(x[0])), float(x[1])))
        if not np.isfinite(found).all():
            raise CalibrationError("letermovir.targets: a ratio has no value, as nobody has the event without the drug")
        residual: FloatArray = np.log(np.maximum(found, _SMALLEST)) - np.log(self.wanted)
        return residual

    def _probe(self, x: FloatArray, f: FloatArray) -> FloatArray:
        """Jacobian by differences towards the inside of the bounds."""
        columns = []
        for i in range(2):
            h = np.zeros(2)
            h[i] = _PROBE if x[i] + _PROBE <= self.high[i] else -_PROBE
            columns.append((self._residual(x + h) - f) / h[i])
        return np.column_stack(columns)

    def _step(self, x: FloatArray, f: FloatArray, jacobian: FloatArray, trust: float) -> FloatArray:
        """Least squares of the linearised residual, within the bounds and the region of trust."""
        low, high = np.maximum(self.low - x, -trust), np.minimum(self.high - x, trust)
        inside = high - low > 0
        step = np.zeros(2)
        if inside.any():
            step[inside] = optimize.lsq_linear(jacobian[:, inside], -f, bounds=(low[inside], high[inside])).x
        return step
