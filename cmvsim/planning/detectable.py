"""The smallest effect of letermovir that a study of given size detects with the power wanted.

The drug's two effects are scaled together: with a strength s the ratio of onset is raised to the power s and the shift of the
set-point multiplied by s, so that 0 is no effect and 1 the scenario's own. Power is computed at each strength on the same
patients with the same chance, bisected, and confirmed on new streams.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from cmvsim.core.errors import InputError, Problem
from cmvsim.core.streams import Role
from cmvsim.designs import Randomised
from cmvsim.models.baseline import Baseline
from cmvsim.models.strategies import LetermovirEffect
from cmvsim.montecarlo.estimand_values import EstimandValue
from cmvsim.montecarlo.mcse import Summary
from cmvsim.planning.trial_closed_forms import detectable_risk
from cmvsim.scenarios import ResolvedScenario

STRONGEST = 8.0
WITHIN = 0.01
"""The strength is bisected to this."""
STEP = 0.02
MAX_CONFIRMATIONS = 20
CONFIRMED_WITHIN = 0.01
_Z95 = 1.959963984540054

PowerAt = Callable[[str, ResolvedScenario, Baseline, Role, int], Summary]
"""(stage, scenario, baseline, role, attempt) -> power; the stage "study" is the scenario as it is."""
TruthAt = Callable[[ResolvedScenario, Baseline], tuple[EstimandValue, ...]]


@dataclass(frozen=True, slots=True)
class StrengthPoint:
    """Power at one strength of the effect."""

    strength: float
    power: float
    mcse: float


@dataclass(frozen=True, slots=True)
class Detectable:
    """The smallest effect that was found.

    Attributes
    ----------
    strength
        Of the scenario's own effect; None if not even the strongest that was tried is detected.
    onset_ratio, set_point_shift
        The drug's effects at that strength.
    control, experimental
        True incidences (protocol) in the arms.
    contrast, contrast_mcse
        The true comparison, on the scale of the design's comparison.
    status
        "confirmed", "not confirmed" or "not reached".
    confirmation
        Power on new streams: the figure to report.
    curve
        All strengths tried, ascending.
    closed_form_experimental
        Largest incidence of the experimental arm that the formula of two proportions tells from the control's.
    """

    n: int
    wanted: float
    strength: float | None
    onset_ratio: float | None
    set_point_shift: float | None
    control: float | None
    experimental: float | None
    contrast: float | None
    contrast_mcse: float | None
    status: str
    confirmation: StrengthPoint | None
    curve: tuple[StrengthPoint, ...]
    closed_form_experimental: float | None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)


def scaled(
    scenario: ResolvedScenario, baseline: Baseline, effect: LetermovirEffect, strength: float
) -> tuple[ResolvedScenario, Baseline]:
    """The scenario with the drug's effect at a strength."""
    drug = scenario.spec.letermovir.model_copy(update={"effect": "solved"})
    spec = scenario.spec.model_copy(update={"letermovir": drug})
    moved = LetermovirEffect(effect.onset_ratio**strength, effect.set_point_shift * strength)
    return replace(scenario, spec=spec), replace(baseline, letermovir=moved)


def detectable_effect(
    scenario: ResolvedScenario,
    baseline: Baseline,
    design: Randomised,
    patients: int,
    wanted: float,
    power_at: PowerAt,
    truth_at: TruthAt,
) -> Detectable:
    """Bisect the strength of the effect, then confirm.

    Raises
    ------
    InputError
        If the arms do not differ by letermovir, or the drug has no effect to scale.
    """
    effect = _effect(scenario, baseline, design)
    seen: dict[float, Summary] = {1.0: power_at("study", scenario, baseline, Role.STUDY, 0)}

    def power(strength: float) -> float:
        if strength not in seen:
            stage = f"strength-{len(seen)}"
            seen[strength] = power_at(stage, *scaled(scenario, baseline, effect, strength), Role.STUDY, 0)
        return seen[strength].value

    low, high = 0.0, 1.0
    while power(high) < wanted and high < STRONGEST:
        low, high = high, 2 * high
    reached = power(high) >= wanted
    while reached and high - low > WITHIN:
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= wanted else (middle, high)
    if not reached:
        return _answer(scenario, baseline, effect, design, patients, wanted, None, "not reached", None, seen, truth_at)
    strength, status, point = high, "not confirmed", None
    for attempt in range(MAX_CONFIRMATIONS):
        stage = f"confirmation-{attempt}"
        found = power_at(stage, *scaled(scenario, baseline, effect, strength), Role.CONFIRMATION, attempt)
        point = StrengthPoint(strength, found.value, found.mcse)
        if found.value - _Z95 * found.mcse > wanted - CONFIRMED_WITHIN:
            status = "confirmed"
            break
        strength += STEP
    assert point is not None
    return _answer(scenario, baseline, effect, design, patients, wanted, point.strength, status, point, seen, truth_at)


def _effect(scenario: ResolvedScenario, baseline: Baseline, design: Randomised) -> LetermovirEffect:
    spec = scenario.spec
    gives = [spec.strategies[name].prophylaxis != "none" for name in design.arms]
    effect = spec.letermovir.known_effect or baseline.letermovir
    if gives != [False, True]:
        raise InputError(
            Problem(
                "the effect that is varied is that of letermovir, which must be given in the experimental arm alone",
                "--detectable",
                allowed="a design that compares a strategy with the drug to one without",
            )
        )
    if effect is None or effect == LetermovirEffect(1.0, 0.0):
        raise InputError(
            Problem(
                "the drug has no effect that could be varied", "--detectable", allowed='letermovir.effect other than "none"'
            )
        )
    return effect


def _answer(
    scenario: ResolvedScenario,
    baseline: Baseline,
    effect: LetermovirEffect,
    design: Randomised,
    patients: int,
    wanted: float,
    strength: float | None,
    status: str,
    confirmation: StrengthPoint | None,
    seen: dict[float, Summary],
    truth_at: TruthAt,
) -> Detectable:
    curve = tuple(StrengthPoint(s, seen[s].value, seen[s].mcse) for s in sorted(seen))
    if strength is None:
        nothing = (None,) * 7
        return Detectable(patients, wanted, *nothing, status, None, curve, None)
    there = scaled(scenario, baseline, effect, strength)
    truth = truth_at(*there)
    values = {v.strategy: v for v in truth if v.kind == "protocol" and v.endpoint == truth[0].endpoint}
    control, experimental = (values[arm].value for arm in design.arms)
    contrast = next(v for name, v in values.items() if name not in design.arms)
    drug = there[1].letermovir
    assert drug is not None
    return Detectable(
        patients,
        wanted,
        strength,
        drug.onset_ratio,
        drug.set_point_shift,
        control,
        experimental,
        contrast.value,
        contrast.mcse,
        status,
        confirmation,
        curve,
        detectable_risk(design, control, patients, wanted),
    )
