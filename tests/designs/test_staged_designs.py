"""Designs that test one arm, Simon's stages, interim looks: decisions against enumeration, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from cmvsim.core.errors import InputError
from cmvsim.core.records import Estimates, Status
from cmvsim.core.streams import Role, generator
from cmvsim.designs import DESIGNS, GroupSequential, SimonTwoStage, SingleArmTest, Surroundings
from cmvsim.designs.closed_forms import binomial_test, sequential_binomial, simon_two_stage
from cmvsim.estimators import proportion
from cmvsim.planning.single_arm import two_stages

AROUND = Surroundings(
    strategies=("preemptive", "letermovir"),
    factors=("stratum",),
    endpoints={"cmv_reactivation": ("risk_difference", "gray_test", "newcombe"), "hrql": ()},
    rates=("cmv_reactivation",),
    designs=("a",),
    level=0.95,
    primary="cmv_reactivation",
)


def single(**changes: Any) -> SingleArmTest:
    return SingleArmTest.parse({"kind": "single_arm_test", "null_incidence": 0.3, **changes})


def simon(**changes: Any) -> SimonTwoStage:
    return SimonTwoStage.parse({"kind": "simon_two_stage", "p0": 0.3, "p1": 0.1, **changes})


def sequential(**changes: Any) -> GroupSequential:
    base = {"kind": "group_sequential", "arms": ["preemptive", "letermovir"], "looks": {"information": [0.5, 1.0]}}
    return GroupSequential.parse({**base, **changes})


@pytest.mark.parametrize(("direction", "p1"), [("below", 0.12), ("above", 0.5)])
@pytest.mark.parametrize("sides", [1, 2])
def test_closed_form_power_of_the_exact_test_is_its_sawtooth(direction: str, p1: float, sides: int) -> None:
    """Every count of every size is decided; weighted by the binomial law they give the enumerated power, tooth by tooth."""
    design = single(direction=direction, sides=sides)
    sawtooth = []
    for n in range(5, 90):
        x = np.arange(n + 1)
        found = proportion(x, np.full(n + 1, n), method="clopper-pearson", level=design.level)
        decision = design.decide(found)
        assert decision.met is not None
        exact = binomial_test(n, 0.3, p1, 0.05 / sides)
        sawtooth.append(float(stats.binom.pmf(x, n, p1)[decision.met].sum()))
        assert sawtooth[-1] == pytest.approx(exact.power, abs=1e-12)
        assert stats.binom.pmf(x, n, 0.3)[decision.met].sum() == pytest.approx(exact.attained, abs=1e-12)
        assert decision.against is not None
        assert decision.against.any() == (sides == 2 and n > 9) or n <= 13
    assert (np.diff(sawtooth) < -1e-3).any(), "more patients may mean less power"


def test_a_study_without_an_estimate_shows_nothing() -> None:
    nan = np.array([np.nan, 0.05])
    counts = np.array([0, 40], dtype=np.int64)
    status = np.array([Status.EMPTY, Status.OK], dtype=np.int64)
    found = Estimates(nan, nan, np.array([np.nan, 0.01]), np.array([np.nan, 0.2]), counts, counts, status, 0.9, "")
    decision = single().decide(found)
    assert decision.met is not None
    assert decision.met.tolist() == [False, True]


@pytest.mark.parametrize("criterion", ["optimal", "minimax"])
@pytest.mark.parametrize(("p0", "p1"), [(0.1, 0.3), (0.4, 0.2)])
def test_simulated_stages_agree_with_enumeration_when_everybody_is_evaluable(criterion: str, p0: float, p1: float) -> None:
    design = simon(p0=p0, p1=p1, criterion=criterion)
    found = design.stages
    null, wanted = (p0, p1) if p1 > p0 else (1 - p0, 1 - p1)
    assert found == getattr(simon_two_stage(null, wanted), criterion)
    replicates, n = 6000, found.n
    days = np.arange(n) * 10.0
    for p in (p0, p1):
        event = generator(5, Role.STUDY, 0, "population.stratum").random((replicates, n)) < p
        ended = [two_stages(design, np.ones(n, dtype=bool), row, days, np.full(n, 90.0)) for row in event]
        assert all(one is not None for one in ended)
        claim = np.array([one.n == n and design.successes(np.array(one.events), np.array(n)) > found.r for one in ended if one])
        stop = np.array([not one.continued for one in ended if one])
        enrolled = np.array([one.enrolled for one in ended if one])
        exact = sequential_binomial([found.n1, n], [found.r1, found.r], [found.n1 + 1, found.r + 1], [p if p1 > p0 else 1 - p])
        for share, expected in ((claim.mean(), exact.upper[1, 0]), (stop.mean(), exact.lower[0, 0])):
            assert abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / replicates)
        assert abs(enrolled.mean() - exact.expected_n[0]) < 4 * enrolled.std() / np.sqrt(replicates)


def test_patients_who_are_not_evaluable_are_replaced_and_the_calendar_counts_the_pause() -> None:
    design = simon(p0=0.1, p1=0.4, alpha=0.1, power=0.9)
    n1, n = design.stages.n1, design.stages.n
    known = np.tile([True, False], n)
    event = np.ones(2 * n, dtype=bool)
    days, lag = np.arange(2 * n) * 10.0, np.where(known, 60.0, 0.0)
    found = two_stages(design, known, event, days, lag)
    assert found is not None
    assert (found.first_events, found.first_enrolled, found.enrolled) == (n1, 2 * n1 - 1, 2 * n - 1)
    assert found.overrun == 6  # one every ten days for sixty days
    assert found.day == days[2 * n - 2] + 60 + 60  # the second stage begins when the first is known
    stopped = two_stages(design, known, np.zeros(2 * n, dtype=bool), days, lag)
    assert stopped is not None
    assert not stopped.continued
    assert (stopped.enrolled, stopped.n, stopped.day) == (2 * n1 - 1, n1, days[2 * n1 - 2] + 60)
    assert two_stages(design, known[: 2 * n - 2], event[: 2 * n - 2], days[: 2 * n - 2], lag[: 2 * n - 2]) is None


def test_claims_need_the_second_stage() -> None:
    design = simon(p0=0.1, p1=0.3)
    found = design.stages
    counts = np.array([found.n1, found.n, found.n], dtype=np.int64)
    events = np.array([found.n1, found.r, found.r + 1], dtype=np.int64)
    zeros = np.zeros(3)
    estimates = Estimates(zeros, zeros, zeros, zeros, counts, events, np.zeros(3, dtype=np.int64), 0.95, "")
    met = design.decide(estimates).met
    assert met is not None
    assert met.tolist() == [False, False, True]


def test_rules_of_a_trial_with_looks() -> None:
    design = sequential(futility={"beta": 0.1, "binding": True}, alpha=0.05, sides=2)
    rules = design.rules(80)
    assert (rules.planned, rules.efficacy.total, rules.sides, rules.binding) == (80, 0.025, 2, True)
    assert rules.futility is not None
    assert rules.futility.total == 0.1
    assert design.looks.names == ("look 1", "final")
    made = design.looks(np.zeros((3, 50)))
    assert [(look.name, look.information) for look in made] == [("look 1", 0.5), ("final", 1.0)]
    dated = sequential(looks={"calendar": [300, 500]})
    assert dated.rules(10).fractions == (1 / 3, 2 / 3, 1.0)
    assert [look.day for look in dated.looks(np.zeros((1, 5)))][:2] == [300, 500]
    again = GroupSequential.model_validate(design.model_dump())
    assert again == design


@pytest.mark.parametrize(
    ("make", "changes", "says"),
    [
        (single, {"null_incidence": 1.2}, "null_incidence"),
        (single, {"direction": "sideways"}, "direction"),
        (single, {"evaluable": "some"}, "evaluable"),
        (simon, {"p1": 0.3}, "differ"),
        (simon, {"power": 0.04}, "power"),
        (sequential, {"looks": {}}, "one of the two"),
        (sequential, {"looks": {"information": [0.5, 1], "calendar": [3]}}, "one of the two"),
        (sequential, {"looks": {"information": [0.5, 0.9]}}, "information 1"),
        (sequential, {"looks": {"calendar": [500, 300]}}, "one after the other"),
        (sequential, {"efficacy": {"spending": "all at once"}}, "spending"),
    ],
)
def test_mistakes_are_named(make: Any, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError) as caught:
        make(**changes)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("design", "at"),
    [
        (single(strategy="aciclovir"), "x.strategy"),
        (single(endpoint="hrql"), "x.endpoint"),
        (single(endpoint="cmv_reactivations"), "x.endpoint"),
        (simon(p0=0.5, p1=0.501), "x"),
        (sequential(comparison="newcombe"), "x.comparison"),
        (sequential(comparison="newcomb"), "x.comparison"),
    ],
)
def test_what_the_scenario_has_not_is_named(design: Any, at: str) -> None:
    assert [problem.at for problem in design.check(AROUND, "file", "x")] == [at]


def test_sound_designs_have_no_problems_and_tell_what_they_ask() -> None:
    for design in (single(strategy="letermovir"), simon(), sequential(), single(endpoint="cmv_reactivation", sides=2)):
        assert design.check(AROUND, "file", "x") == []
        assert "cmv_reactivation" in design.sentence(AROUND)
        assert DESIGNS[design.kind] is type(design)
    assert "at most" in simon().sentence(AROUND)
    assert "50%, 100%" in sequential().sentence(AROUND)
