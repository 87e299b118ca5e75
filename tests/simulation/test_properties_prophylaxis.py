"""Courses of prophylaxis by each rule on hand-made cohorts; pairing, the grid, and a drug that does nothing."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from cmvsim.core.streams import Role
from cmvsim.models.follow_up import FollowUp, follow_up
from cmvsim.models.kinetics import Kinetics
from cmvsim.models.population import Population
from cmvsim.models.strategies import LetermovirEffect, LetermovirSpec, StrategySpec, reference_strategy
from cmvsim.models.time_grid import STEPS_PER_DAY
from cmvsim.models.toxicity import Toxicity
from cmvsim.models.windows import Windows
from cmvsim.scenarios import resolve
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.prophylaxis import prophylaxis

INF = np.inf
EFFECT = LetermovirEffect(0.5, -0.4)
LYMPHOCYTES = np.array([0.1, 0.3, 0.5, 0.5])
PRIOR = np.array([True, False, True, False])
STEROIDS = Windows(np.array([2.0, INF, 6.5, 9.0]), np.array([5.0, INF, 9.0, 12.0]))


def strategy(**keys) -> StrategySpec:
    plan = {"who": "all", "start": {"day": 0}, "duration": 90, "dose": 480, **keys}
    return StrategySpec.parse({"label": "x", "prophylaxis": "letermovir", **plan})


NOTHING = StrategySpec.parse({"label": "none"})


def drug(**keys) -> LetermovirSpec:
    """Full adherence, no other stops, unless said otherwise."""
    tree = {
        "effect": "given",
        "targets": {"any_dnaemia": 0.6, "clinically_significant": 0.25},
        "given": {"onset_ratio": 0.5, "set_point_shift": -0.4},
        "disease_ratio": 0.8,
        "rebound": {"ratio": 1.5, "days": 60, "step": 7},
        "adherence": 1.0,
        "discontinued_by_90": 0.0,
        "stopped_by": [],
        **keys,
    }
    return LetermovirSpec.parse(tree)


def never(size: int = 4) -> FollowUp:
    return FollowUp(*(np.full(size, INF) for _ in range(5)))


def give(plan, spec=None, *, times=None, ttv=None, horizon=180.0, arm=None, adherence=0.0, clock=1.0):
    """Courses of four hand-made patients."""
    people = SimpleNamespace(
        stratum=np.zeros(4, dtype=np.int64),
        lymphocytes=LYMPHOCYTES,
        prior_allogeneic_hct=PRIOR,
        hematotox_high=np.array([True, True, False, False]),
    )
    variates = {"prophylaxis.adherence": np.full(4, adherence), "prophylaxis.discontinuation": np.broadcast_to(clock, 4)}
    return prophylaxis(
        plan,
        spec or drug(),
        EFFECT,
        people,
        {"corticosteroids": STEROIDS},
        times or never(),
        ttv,
        lambda name, index=0: variates[name],
        horizon,
        arm=arm,
    )


# -- who and when ------------------------------------------------------------------------------------------------
def test_all_get_it_from_the_day_to_the_end_of_the_duration():
    got = give(strategy(start={"day": 3}, duration=28))
    assert got.start.tolist() == [3.0] * 4
    assert got.stop.tolist() == [31.0] * 4
    assert got.dose.tolist() == [480.0] * 4


def test_without_prophylaxis_nobody_has_a_course_and_nothing_acts():
    got = give(NOTHING)
    assert not got.taken.any()
    assert not got.acts.any()
    assert np.isinf(got.stop).all()


@pytest.mark.parametrize(
    ("rule", "who"),
    [
        ({"lymphocytes_below": 0.3}, [0]),  # below, not at
        ({"lymphocytes_below": 0.31}, [0, 1]),
        ({"prior_allogeneic_hct": True}, [0, 2]),
        ({"hematotox_high": True}, [0, 1]),
        ({"lymphocytes_below": 0.31, "prior_allogeneic_hct": True}, [0, 1, 2]),
        ({"lymphocytes_below": 0.31, "prior_allogeneic_hct": True, "points": 2}, [0]),
        ({"lymphocytes_below": 0.51, "prior_allogeneic_hct": True, "hematotox_high": True, "points": 2}, [0, 1, 2]),
    ],
)
def test_a_baseline_rule_counts_its_criteria(rule, who):
    got = give(strategy(who={"baseline": rule}))
    assert np.flatnonzero(got.taken).tolist() == who
    others = np.setdiff1d(np.arange(4), who)
    for values in (got.log_ratio, got.shift, got.adherence, got.dose, got.log_rebound, got.log_disease):
        assert (values[others] == 0).all()
        assert (values[who] != 0).all()


def test_the_steroid_trigger_follows_their_first_dose_and_skips_who_has_none():
    got = give(strategy(start={"trigger": "corticosteroids", "delay": 1}, duration=28))
    assert got.start.tolist() == [3.0, INF, 7.5, 10.0]
    assert got.stop.tolist() == [31.0, INF, 35.5, 38.0]


def test_a_trigger_before_the_first_possible_day_waits_for_it():
    got = give(strategy(start={"trigger": "corticosteroids", "delay": 1, "day": 8}, duration=28))
    assert got.start.tolist() == [8.0, INF, 8.0, 10.0]


def test_the_latest_stop_ends_all_courses_and_what_would_begin_after_it_does_not():
    got = give(strategy(start={"trigger": "corticosteroids", "delay": 1}, duration=28, latest_stop=8))
    assert got.start.tolist() == [3.0, INF, 7.5, INF]
    assert got.stop.tolist() == [8.0, INF, 8.0, INF]


def test_the_measured_load_decides_and_is_known_after_the_turnaround():
    asked = []

    def measured(day: int) -> np.ndarray:
        asked.append(day)
        return np.array([3.99, 4.0, np.nan, -INF])  # below, at, no sample, not detected

    ttv = {"log10_at_least": 4.0, "day": 14, "turnaround": 3}
    got = give(strategy(who={"ttv": ttv}, start={"delay": 1}, duration=60), ttv=measured)
    assert asked == [14]
    assert got.start.tolist() == [INF, 18.0, INF, INF]
    later = give(strategy(who={"ttv": ttv}, start={"day": 30, "delay": 1}, duration=60), ttv=measured)
    assert later.start[1] == 30.0
    with pytest.raises(ValueError, match="the virome is not simulated"):
        give(strategy(who={"ttv": ttv}), ttv=None)


@pytest.mark.parametrize(("horizon", "who"), [(7.5, [0]), (7.6, [0, 2]), (10.0, [0, 2]), (10.1, [0, 2, 3])])
def test_no_course_begins_at_the_horizon_or_later(horizon, who):
    got = give(strategy(start={"trigger": "corticosteroids", "delay": 1}), horizon=horizon)
    assert np.flatnonzero(got.taken).tolist() == who


# -- until when --------------------------------------------------------------------------------------------------
def test_discontinuation_is_exponential_from_the_first_dose_and_not_within_a_day():
    clock = np.array([0.0, 0.001, 0.05, 5.0])
    got = give(strategy(start={"day": 10}), drug(discontinued_by_90=0.08), clock=clock)
    expected = 10 + clock * 90 / -math.log(1 - 0.08)
    assert got.stop[[0, 3]].tolist() == [11.0, 100.0]
    assert got.stop[1:3] == pytest.approx(expected[1:3], abs=1 / STEPS_PER_DAY)


def test_transplantation_and_new_therapy_end_it_where_they_are_named():
    times = never()
    times.hct[:] = [INF, 50.0, 5.0, INF]
    times.new_therapy[:] = [40.0, INF, INF, 10.0]
    plan = strategy(start={"day": 10})
    assert give(plan, times=times).stop.tolist() == [100.0] * 4
    by_hct = give(plan, drug(stopped_by=["hct"]), times=times)
    assert by_hct.stop.tolist() == [100.0, 50.0, INF, 100.0]
    assert by_hct.acts.tolist() == [True, True, False, True]
    both = give(plan, drug(stopped_by=["hct", "new_therapy"]), times=times)
    assert both.start.tolist() == [10.0, 10.0, INF, INF]
    assert both.stop.tolist() == [40.0, 50.0, INF, INF]


def test_stopped_at_is_what_the_loop_does_at_the_start_of_pre_emptive_therapy():
    got = give(strategy(start={"day": 10})).stopped_at(np.array([INF, 30.0, 10.0, 120.0]))
    assert got.start.tolist() == [10.0, 10.0, INF, 10.0]
    assert got.stop.tolist() == [100.0, 30.0, INF, 100.0]
    assert got.log_ratio[2] == got.log_rebound[2] == got.shift[2] == 0


# -- how strongly ------------------------------------------------------------------------------------------------
def test_adherence_scales_every_log_effect():
    law = {"mean": 0.9, "varies": {"sd": 0.1, "low": 0, "high": 1}}
    full = give(strategy())
    assert (full.log_ratio == math.log(0.5)).all()
    assert (full.shift == -0.4).all()
    assert (full.log_rebound == math.log(1.5)).all()
    assert (full.log_disease == math.log(0.8)).all()
    for z in (-9.0, -1.0, 9.0):
        got = give(strategy(), drug(adherence=law), adherence=z)
        share = got.adherence[0]
        assert 0 <= share <= 1
        for part, whole in ((got.log_ratio, math.log(0.5)), (got.shift, -0.4), (got.log_rebound, math.log(1.5))):
            assert part == pytest.approx(share * whole, rel=1e-14)


def test_a_drug_without_effect_is_taken_and_does_nothing():
    spec = drug(effect="none")
    assert spec.known_effect == LetermovirEffect(1.0, 0.0)
    people = SimpleNamespace(stratum=np.zeros(4, dtype=np.int64))
    got = prophylaxis(
        strategy(), spec, spec.known_effect, people, {}, never(), None, lambda name, index=0: np.full(4, 0.3), 180.0
    )
    assert got.taken.all()
    assert not got.acts.any()


# -- several arms, whole cohorts -----------------------------------------------------------------------------------
def cohort(plans, arm=None, patients=500, scenario="letermovir-strategies"):
    """The catalogue's population, its toxicity and follow-up, under strategies."""
    spec = resolve(scenario).spec
    draws = ChunkDraws(5, Role.STUDY, 0, patients)
    population = Population(spec.population, draws)
    toxicity = Toxicity(spec.toxicity, population, Kinetics(spec.kinetics, population, draws), draws)
    steroids = toxicity.courses["corticosteroids"]
    strata = tuple(spec.population.strata)
    times = follow_up(spec.follow_up, population.stratum, strata, draws)

    def ttv(day: int) -> np.ndarray:
        return 3.0 + 0.1 * day * (population.lymphocytes < 0.5)

    args = (population, {"corticosteroids": steroids}, times, ttv, draws, float(spec.study.horizon))
    return prophylaxis(plans, spec.letermovir, EFFECT, *args, arm=arm), spec


def test_arms_give_each_patient_the_course_of_the_assigned_strategy_bit_for_bit():
    plans = tuple(resolve("letermovir-strategies").spec.strategies.values())
    arm = np.arange(500 * 64) % len(plans)
    mixed, _ = cohort(plans, arm)
    assert len(plans) == 5
    for index, plan in enumerate(plans):
        alone, _ = cohort(plan)
        assert alone.taken.any() == (plan.prophylaxis != "none")
        mine = arm == index
        for name in ("start", "stop", "dose", "adherence", "log_ratio", "shift", "log_rebound", "log_disease"):
            assert np.array_equal(getattr(mixed, name)[mine], getattr(alone, name)[mine]), (index, name)


def test_several_strategies_need_an_arm():
    with pytest.raises(ValueError, match="arm of each patient"):
        give((strategy(), NOTHING))


def test_a_patient_has_the_same_chance_under_two_strategies():
    long, _ = cohort(strategy(duration=90))
    short, _ = cohort(strategy(duration=30))
    both = long.taken & short.taken
    assert np.array_equal(long.adherence[both], short.adherence[both])
    early = long.stop < 30
    assert early.sum() > 100
    assert np.array_equal(long.stop[early], short.stop[early])


def test_all_operational_times_are_on_the_grid():
    spec = resolve("letermovir-strategies").spec
    for plan in spec.strategies.values():
        got, _ = cohort(plan)
        for times in (got.start[got.taken], got.stop[got.taken]):
            assert np.array_equal(times * STEPS_PER_DAY, np.rint(times * STEPS_PER_DAY))
        assert (got.stop[got.taken] > got.start[got.taken]).all()


def test_discontinued_and_adherent_shares_are_those_of_the_laws():
    spec = drug(discontinued_by_90=0.08, adherence={"mean": 0.95, "varies": {"sd": 0.08, "low": 0, "high": 1}})
    size = 2000 * 64
    people = SimpleNamespace(stratum=np.zeros(size, dtype=np.int64))
    draws = ChunkDraws(5, Role.STUDY, 0, 2000)
    free = prophylaxis(strategy(duration=90), spec, EFFECT, people, {}, never(size), None, draws, 180.0)
    assert abs((free.stop < 90).mean() - 0.08) < 4.5 * math.sqrt(0.08 * 0.92 / size)
    # mean of a normal (0.95, 0.08) truncated to [0, 1]
    alpha = (1 - 0.95) / 0.08
    phi, cdf = math.exp(-(alpha**2) / 2) / math.sqrt(2 * math.pi), 0.5 * math.erfc(-alpha / math.sqrt(2))
    expected = 0.95 - 0.08 * phi / cdf
    assert abs(free.adherence.mean() - expected) < 4.5 * free.adherence.std() / math.sqrt(free.adherence.size)


def test_the_reference_is_preemptive_or_the_first_without_a_drug():
    assert reference_strategy({"a": strategy(), "preemptive": NOTHING}) == "preemptive"
    assert reference_strategy({"a": NOTHING, "preemptive": NOTHING}) == "preemptive"
    assert reference_strategy({"a": strategy(), "b": NOTHING, "c": NOTHING}) == "b"
    assert reference_strategy({"a": strategy()}) is None
