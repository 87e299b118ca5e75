"""The smallest detectable effect of one arm: the incidence nearest to the fixed one that is told from it with a wanted power.

The scenario's incidence target is moved, on the logit scale, and the hazards are solved again for it (:class:`Redraw`): all
else stays as it is, a drug's effect on one patient too. Power is computed on the same patients with the same chance, the target
is bisected, and what is found is confirmed on new streams. What stands in the answer is the incidence of the tested patients
at those hazards, from one large cohort, not the target, which is of DNAemia and of patients without a drug.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from cmvsim.calibration.redraw import Redraw
from cmvsim.core.errors import InputError
from cmvsim.core.streams import Role
from cmvsim.designs import SimonTwoStage, SingleArmTest
from cmvsim.designs.closed_forms.one_sample import binomial_test
from cmvsim.designs.closed_forms.two_stage import sequential_binomial
from cmvsim.models.baseline import Baseline
from cmvsim.montecarlo.estimand_values import EstimandValue
from cmvsim.montecarlo.mcse import Summary
from cmvsim.scenarios import ResolvedScenario
from cmvsim.scenarios.vary import vary

WITHIN = 0.01
"""The logit of the target is bisected to this."""
STRIDE = 0.4
"""First step away from the scenario's own target, on the logit; further ones are as long."""
STEP = 0.02
MAX_CONFIRMATIONS = 20
CONFIRMED_WITHIN = 0.01
FARTHEST = 6.0
Z95 = 1.959963984540054

Status = Literal["confirmed", "not confirmed", "not reached", "beyond reach"]


@dataclass(frozen=True, slots=True)
class Tried:
    """What one run showed: the power, and among evaluable patients the mean incidence and their mean number."""

    power: Summary
    incidence: float
    evaluable: float


RunAt = Callable[[str, ResolvedScenario, Baseline, Role, int], Tried]
"""(stage, scenario, baseline, role, attempt) -> what it showed; the stage "study" is the scenario as it is."""
TruthAt = Callable[[ResolvedScenario, Baseline], EstimandValue]


@dataclass(frozen=True, slots=True)
class IncidencePoint:
    """Power at one incidence.

    Attributes
    ----------
    target
        Value of the scenario's incidence target.
    incidence
        Mean over the simulated studies of the proportion among evaluable patients.
    """

    target: float
    incidence: float
    power: float
    mcse: float


@dataclass(frozen=True, slots=True)
class DetectableIncidence:
    """The incidence nearest to the null that was found.

    Attributes
    ----------
    n
        Patients enrolled; of Simon's design evaluable ones, at most.
    null, direction
        The fixed incidence, and the side on which a difference is to be shown.
    target
        Value of the scenario's incidence target there; None if none was found.
    incidence, incidence_mcse, difference
        Of the tested patients with every visit made, from one large cohort; and less the null.
    evaluable
        Mean number of evaluable patients.
    status
        "not reached": not even the incidence farthest from the null that the model reaches has the power. "beyond reach": the
        nearest to it has it, so that what is detectable is nearer still.
    confirmation
        On new streams: the figures to report.
    curve
        All targets tried, ascending.
    closed_form
        Incidence at which the exact test of as many evaluable patients, or the boundaries of two stages, have the power.
    """

    n: int
    wanted: float
    null: float
    direction: str
    target: float | None
    incidence: float | None
    incidence_mcse: float | None
    difference: float | None
    evaluable: float | None
    status: Status
    confirmation: IncidencePoint | None
    curve: tuple[IncidencePoint, ...]
    closed_form: float | None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Mover:
    """The scenario with its incidence target moved: `away` from the null by so much on the logit."""

    scenario: ResolvedScenario
    redraw: Redraw
    below: bool

    def target(self, away: float) -> float:
        own = float(self.scenario.spec.cmv.incidence.value)
        logit = math.log(own / (1 - own)) + (-away if self.below else away)
        return 1 / (1 + math.exp(-logit)) if away else own

    def at(self, away: float) -> tuple[ResolvedScenario, Baseline] | None:
        """None where the model does not reach the target."""
        place = self.scenario.spec.cmv.targets.index(self.scenario.spec.cmv.incidence)
        try:
            moved = vary(self.scenario, {f"cmv.targets[{place}].value": self.target(away)})
        except InputError:
            return None
        baseline, met = self.redraw.solve(moved)
        return (moved, baseline) if met else None

    def edge(self, inside: float, outside: float) -> float:
        """The last place that is reached, between one that is and one that is not."""
        while abs(outside - inside) > WITHIN:
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if self.at(middle) is not None else (inside, middle)
        return inside


def detectable_incidence(
    scenario: ResolvedScenario,
    redraw: Redraw,
    design: SingleArmTest | SimonTwoStage,
    patients: int,
    wanted: float,
    run_at: RunAt,
    truth_at: TruthAt,
) -> DetectableIncidence:
    """Bracket the target by strides, bisect, then confirm.

    Parameters
    ----------
    redraw
        Of the scenario.
    patients
        For the answer; `run_at` knows how many it simulates.
    """
    null, below = null_of(design)
    mover = _Mover(scenario, redraw, below)
    seen: dict[float, Tried] = {}

    def power(away: float) -> float:
        if away not in seen:
            there = mover.at(away) if away else (scenario, redraw.solved)
            assert there is not None
            seen[away] = run_at("study" if not away else f"incidence-{len(seen)}", *there, Role.STUDY, 0)
        return seen[away].power.value

    low, high = _bracket(mover, power, wanted)
    status: Status = "not reached" if high is None else "beyond reach" if low is None else "not confirmed"
    point, found = None, None
    if low is not None and high is not None:
        while high - low > WITHIN:
            middle = (low + high) / 2
            low, high = (low, middle) if power(middle) >= wanted else (middle, high)
    if high is not None:
        high, point, found, held = _confirmed(mover, high, wanted, run_at)
        status = "confirmed" if held and status != "beyond reach" else status
    curve = tuple(_point(mover, away, seen[away]) for away in sorted(seen, key=mover.target))
    direction = "below" if below else "above"
    if high is None or found is None:
        nothing = (None,) * 5
        return DetectableIncidence(patients, wanted, null, direction, *nothing, status, None, curve, None)
    there = mover.at(high) if high else (scenario, redraw.solved)
    assert there is not None
    truth = truth_at(*there)
    return DetectableIncidence(
        patients,
        wanted,
        null,
        direction,
        mover.target(high),
        truth.value,
        truth.mcse,
        truth.value - null,
        found.evaluable,
        status,
        point,
        curve,
        closed_form(design, found.evaluable, wanted),
    )


def _bracket(mover: _Mover, power: Callable[[float], float], wanted: float) -> tuple[float | None, float | None]:
    """Places without and with the power, a stride apart; None for the one that the model does not reach."""
    here = 0.0
    enough = power(here) >= wanted
    stride = -STRIDE if enough else STRIDE
    while abs(here) < FARTHEST:
        there, last = here + stride, False
        if mover.at(there) is None:
            there, last = mover.edge(here, there), True
        if (power(there) >= wanted) != enough:
            return (there, here) if enough else (here, there)
        here = there
        if last:
            break
    return (None, here) if enough else (here, None)


def _confirmed(
    mover: _Mover, away: float, wanted: float, run_at: RunAt
) -> tuple[float, IncidencePoint | None, Tried | None, bool]:
    """New streams at the place found; accepted, or farther from the null and tried on further new streams."""
    point, found = None, None
    for attempt in range(MAX_CONFIRMATIONS):
        there = mover.at(away)
        if there is None:
            return away - STEP, point, found, False
        found = run_at(f"confirmation-{attempt}", *there, Role.CONFIRMATION, attempt)
        point = _point(mover, away, found)
        if found.power.value - Z95 * found.power.mcse > wanted - CONFIRMED_WITHIN:
            return away, point, found, True
        away += STEP
    return away - STEP, point, found, False


def _point(mover: _Mover, away: float, tried: Tried) -> IncidencePoint:
    return IncidencePoint(mover.target(away), tried.incidence, tried.power.value, tried.power.mcse)


def null_of(design: SingleArmTest | SimonTwoStage) -> tuple[float, bool]:
    """The fixed incidence, and whether one below it is to be shown."""
    if isinstance(design, SingleArmTest):
        return design.null_incidence, design.direction == "below"
    return design.p0, design.p1 < design.p0


def closed_form(design: SingleArmTest | SimonTwoStage, evaluable: float, wanted: float) -> float | None:
    """The incidence nearest to the null with the power wanted: exact test of a fixed number of patients, or both stages.

    None if none has it.
    """
    null, below = null_of(design)

    def power(p: float) -> float:
        if isinstance(design, SingleArmTest):
            return float(binomial_test(round(evaluable), null, p, design.alpha / design.sides).power)
        found, success = design.stages, p if design.p1 > design.p0 else 1 - p
        exact = sequential_binomial([found.n1, found.n], [found.r1, found.r], [found.n1 + 1, found.r + 1], [success])
        return float(exact.upper[1, 0])

    far, near = (1e-9, null - 1e-9) if below else (1 - 1e-9, null + 1e-9)
    if round(evaluable) < 1 or power(far) < wanted:
        return None
    for _ in range(50):
        middle = (far + near) / 2
        far, near = (middle, near) if power(middle) >= wanted else (far, middle)
    return far


def why_detectable_differs(design: SingleArmTest | SimonTwoStage) -> tuple[str, ...]:
    """Why the exact calculation finds another incidence."""
    sizes = (
        "the number of evaluable patients varies from study to study, which smooths the sawtooth of the exact test"
        if isinstance(design, SingleArmTest)
        else "boundaries count evaluable patients, whom the study replaces until there are enough"
    )
    z = isinstance(design, SingleArmTest) and design.test != "exact"
    reasons = (
        sizes,
        "its incidence is of evaluable patients with the visits they made, the one found is that of all with every visit made",
        "who is not evaluable is not like the others",
    )
    return (*reasons, "the test is that of a cumulative incidence with censoring, not that of a proportion") if z else reasons
