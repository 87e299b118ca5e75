"""The smallest detectable effect of one arm: the search on powers known in closed form; sizes that can show nothing."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from scipy import stats

from cmvsim.core.errors import InputError
from cmvsim.core.streams import Role
from cmvsim.designs import SimonTwoStage, SingleArmTest, check_sizes
from cmvsim.montecarlo.mcse import Summary
from cmvsim.planning.detectable_incidence import STEP, DetectableIncidence, Tried, closed_form, detectable_incidence
from cmvsim.scenarios import ResolvedScenario, resolve

ONE_ARM = Path(__file__).parents[2] / "scenarios" / "letermovir-single-arm.toml"
N, REPLICATES = 100, 10_000


@pytest.fixture(scope="module")
def scenario() -> ResolvedScenario:
    return resolve(str(ONE_ARM))


class Reaches:
    """Hazards that meet targets between two values."""

    solved = "the scenario's own"

    def __init__(self, low: float = 0.02, high: float = 0.97) -> None:
        self.low, self.high = low, high

    def solve(self, varied: ResolvedScenario) -> tuple[str, bool]:
        target = float(varied.spec.cmv.incidence.value)
        return "moved", self.low <= target <= self.high


def exact_power(design: SingleArmTest, p: float) -> float:
    """By hand: the tail of the binomial law beyond the last number of events that is still significant."""
    level = design.alpha / design.sides
    if design.direction == "below":
        critical = max((k for k in range(N + 1) if stats.binom.cdf(k, N, design.null_incidence) <= level), default=-1)
        return float(stats.binom.cdf(critical, N, p))
    critical = min((k for k in range(N + 1) if stats.binom.sf(k - 1, N, design.null_incidence) <= level), default=N + 1)
    return float(stats.binom.sf(critical - 1, N, p))


def found(scenario: ResolvedScenario, design: SingleArmTest, share: float = 1.0, **more: Any) -> DetectableIncidence:
    """A study whose incidence is a share of its target and whose power is that of the exact test of all its patients."""
    stages: list[tuple[str, Role, int]] = []

    def run_at(stage: str, varied: ResolvedScenario, _baseline: object, role: Role, attempt: int) -> Tried:
        stages.append((stage, role, attempt))
        p = share * float(varied.spec.cmv.incidence.value)
        power = exact_power(design, p)
        return Tried(Summary(power, math.sqrt(power * (1 - power) / REPLICATES), REPLICATES, 0), p, float(N))

    def truth_at(varied: ResolvedScenario, _baseline: object) -> Any:
        return SimpleNamespace(value=share * float(varied.spec.cmv.incidence.value), mcse=0.001)

    redraw = more.pop("redraw", Reaches())
    answer = detectable_incidence(scenario, redraw, design, N, more.pop("wanted", 0.8), run_at, truth_at)
    assert len({stage for stage, _, _ in stages}) == len(stages), "a stage ran twice"
    assert all((role is Role.CONFIRMATION) == stage.startswith("confirmation") for stage, role, _ in stages)
    return answer


@pytest.mark.parametrize(("null", "direction", "share"), [(0.12, "below", 0.2), (0.5, "below", 1.0), (0.05, "above", 0.3)])
def test_independent_incidence_with_the_power_by_hand(
    scenario: ResolvedScenario, null: float, direction: Any, share: float
) -> None:
    """The bisected incidence is that of the exact test, up to the width of the bisection and the steps of the confirmation."""
    design = SingleArmTest(kind="single_arm_test", null_incidence=null, direction=direction)
    answer = found(scenario, design, share)
    assert answer.status == "confirmed"
    assert answer.incidence is not None
    assert answer.closed_form is not None
    assert exact_power(design, answer.closed_form) == pytest.approx(0.8, abs=1e-6)
    assert exact_power(design, answer.incidence) >= 0.79
    assert answer.confirmation is not None
    logit = [math.log(p / (1 - p)) for p in (answer.incidence / share, answer.closed_form / share)]
    assert abs(logit[0] - logit[1]) < 0.011 + 2 * STEP
    assert answer.difference == pytest.approx(answer.incidence - null)
    assert [point.target for point in answer.curve] == sorted(point.target for point in answer.curve)


def test_what_the_model_does_not_reach(scenario: ResolvedScenario) -> None:
    below = SingleArmTest(kind="single_arm_test", null_incidence=0.12)
    # the target of 30% shown as 4.5%; 60% would still be 9%
    near = found(scenario, below, 0.15, redraw=Reaches(0.1, 0.35), wanted=0.5)
    assert near.status == "beyond reach"
    assert near.target == pytest.approx(0.35, abs=0.005)
    far = found(scenario, below, 0.5, redraw=Reaches(0.2, 0.9))
    assert (far.status, far.incidence, far.confirmation) == ("not reached", None, None)
    assert min(point.target for point in far.curve) == pytest.approx(0.2, abs=0.005)


def test_closed_form_of_two_stages_has_the_power_by_enumeration() -> None:
    design = SimonTwoStage(kind="simon_two_stage", p0=0.3, p1=0.1, alpha=0.05, power=0.8)
    p = closed_form(design, float(design.stages.n), 0.8)
    assert p is not None
    stages, success = design.stages, 1 - p
    second = stages.n - stages.n1
    claims = sum(
        stats.binom.pmf(x, stages.n1, success) * stats.binom.sf(stages.r - x, second, success)
        for x in range(stages.r1 + 1, stages.n1 + 1)
    )
    assert claims == pytest.approx(0.8, abs=1e-6)
    assert 0.1 <= p < 0.3, "the design has at least its power at p1"


@pytest.mark.parametrize(
    ("design", "n", "told"),
    [
        ("test", 23, "at least 24: with fewer, even without a single event"),
        ("superiority", 3, "at least 4: one block of 4"),
        ("wide", 5, "at least 6: 2 patients in each arm"),
        ("sequential", 11, "at least 12: 3 looks"),
    ],
)
def test_sizes_that_can_show_nothing_are_refused(design: str, n: int, told: str) -> None:
    wide = 'designs.wide={kind="two_arm",arms=["preemptive","letermovir"],ratio=[1,2],block_sizes=[3]}'
    made = resolve(str(ONE_ARM), (wide,)).spec.designs[design]
    with pytest.raises(InputError, match=told):
        check_sizes(made, design, (n, 100))  # type: ignore[arg-type]
    check_sizes(made, design, (n + 1, 100))  # type: ignore[arg-type]


def test_independent_smallest_size_that_can_reject() -> None:
    """One patient fewer and no outcome is significant; with as many the most favourable one is."""
    for null, direction in ((0.12, "below"), (0.3, "above"), (0.3, "below")):
        design = SingleArmTest(kind="single_arm_test", null_incidence=null, direction=direction)  # type: ignore[arg-type]
        agreeing = 1 - null if direction == "below" else null
        least = next(n for n in range(1, 200) if agreeing**n <= 0.05)
        with pytest.raises(InputError):
            check_sizes(design, "it", (least - 1,))
        check_sizes(design, "it", (least,))
