"""Group-sequential trials: simulated against integration, rules on made-up statistics, looks by date, results by workers."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmvsim.core.records import Measure
from cmvsim.core.streams import Role
from cmvsim.designs.closed_forms.group_sequential import Spending, boundaries, crossing
from cmvsim.designs.sequential_rules import Rules
from cmvsim.montecarlo.run import MonteCarloResult, open_store, run
from cmvsim.planning.exponential_sequential import ExponentialLooks
from cmvsim.planning.exponential_trial import ExponentialTrial, TrialData
from cmvsim.planning.sequential import Looked, SequentialExperiment, by_look, integrated_rows, sequential_rows, stopped
from cmvsim.simulation.draws import ChunkDraws

TRIAL = ExponentialTrial(((0.4,), (0.05,)), ((0.3,), (0.05,)), 3.0, 6.0)
EVENTS = (150, 225, 300)
LOOKS = ExponentialLooks(TRIAL, 420, EVENTS, analyses=("logrank", "gray"))
FRACTIONS = (0.5, 0.75, 1.0)
OBF = Rules(300.0, Spending("obrien_fleming", 0.025), fractions=FRACTIONS)
REPLICATES = 6400


def simulated(looks: ExponentialLooks, folder: Path, role: Role = Role.STUDY, replicates: int = REPLICATES) -> MonteCarloResult:
    experiment = SequentialExperiment(looks, role=role)
    return run(experiment, replicates=replicates, store=open_store(folder, experiment))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> MonteCarloResult:
    return simulated(LOOKS, tmp_path_factory.mktemp("trial"))


@pytest.fixture(scope="module")
def null(tmp_path_factory: pytest.TempPathFactory) -> MonteCarloResult:
    return simulated(replace(LOOKS, trial=TRIAL.null), tmp_path_factory.mktemp("null"), Role.CONFIRMATION)


RULES = {
    "obrien_fleming": OBF,
    "pocock": replace(OBF, efficacy=Spending("pocock", 0.025)),
    "hwang_shih_decani": replace(OBF, efficacy=Spending("hwang_shih_decani", 0.025, -2.0)),
    "futility": replace(OBF, futility=Spending("hwang_shih_decani", 0.2, -2.0), sides=1),
}


@pytest.mark.parametrize("name", RULES)
def test_closed_form_power_and_stopping_of_the_log_rank_test(name: str, found: MonteCarloResult) -> None:
    """Integration with Schoenfeld's drift, which at a hazard ratio of 0.75 is good to a few thousandths."""
    rules = RULES[name]
    theory = crossing(rules.design, LOOKS.drift)
    rows = {(row.measure, row.term): row for row in sequential_rows(found, rules, "logrank")}
    assert abs(rows["power", ""].value - theory.power) < 4 * rows["power", ""].mcse + 0.005
    for k in range(3):
        stop = rows["p_stop_efficacy", f"look {k + 1}"]
        assert abs(stop.value - theory.upper[k]) < 4 * stop.mcse + 0.007
        if rules.futility is not None and k < 2:
            stop = rows["p_stop_futility", f"look {k + 1}"]
            assert abs(stop.value - theory.lower[k]) < 4 * stop.mcse + 0.007
    events = rows["expected_events", ""]
    assert abs(events.value - theory.expected(EVENTS)) < 4 * events.mcse + 1.5
    printed = {(row.measure, row.term): row.value for row in integrated_rows(rules, theory, 420, "event", LOOKS.names)}
    assert printed["power", ""] == theory.power
    assert printed["boundary", "look 1"] == rules.design.efficacy[0]


@pytest.mark.parametrize("name", RULES)
def test_closed_form_level(name: str, null: MonteCarloResult) -> None:
    """5% on two sides (3.3% or 6.7% would be found), 2.5% on one, less where a stop for futility is obeyed."""
    rules = RULES[name]
    for analysis in ("logrank", "gray"):
        level, *overruled = sequential_rows(null, rules, analysis, measure=Measure.TYPE1)
        expected = crossing(rules.design, 0.0).power * rules.sides
        assert abs(level.value - expected) < 4 * math.sqrt(expected * (1 - expected) / REPLICATES) + 0.001
        for row in overruled:
            assert level.value <= row.value
            assert abs(row.value - 0.025) < 4 * math.sqrt(0.025 * 0.975 / REPLICATES) + 0.001
        assert len(overruled) == (rules.futility is not None)


def test_looks_that_are_not_corrected_for_lose_the_level(null: MonteCarloResult) -> None:
    """The test above could see it: 5% at each of three looks is 10% in all."""
    z = by_look(null, "z.logrank")
    assert (np.abs(z) >= 1.96).any(axis=1).mean() > 0.085


def test_information_that_comes_otherwise_than_planned_keeps_the_level(tmp_path: Path) -> None:
    """Looks by date have as many events as they have; the last falls short of what was planned, or exceeds it."""
    looks = replace(LOOKS, trial=TRIAL.null, events=(), calendar=(2.0, 3.5, 5.0))
    result = simulated(looks, tmp_path, replicates=3200)
    events = by_look(result, "events")
    assert events.std(axis=0).min() > 3
    assert events[:, -1].min() < 300 < events[:, -1].max()
    done = stopped(result, OBF, "logrank")
    assert abs(done.rejected.mean() - 0.05) < 4 * math.sqrt(0.05 * 0.95 / 3200) + 0.001
    np.testing.assert_array_equal(by_look(result, "day"), np.broadcast_to([2.0, 3.5, 5.0], events.shape))


def test_what_is_counted_at_a_look(found: MonteCarloResult) -> None:
    events, day, enrolled, complete = (by_look(found, name) for name in ("events", "day", "enrolled", "complete"))
    reached = day < TRIAL.closing
    assert (events[reached] == np.broadcast_to(EVENTS, events.shape)[reached]).all(), "a look by events has just so many"
    assert (np.diff(day, axis=1) >= 0).all()
    assert (enrolled == complete).all(), "without delay nobody is enrolled after the cut"
    late = SequentialExperiment(replace(LOOKS, delay=0.5)).chunk(0)
    columns = SequentialExperiment(LOOKS).extras
    at = {name: columns.index(f"{name}.0") for name in ("enrolled", "complete", "day")}
    gained = late.extras[:, 0, at["enrolled"]] - late.extras[:, 0, at["complete"]]
    first = late.extras[:, 0, at["day"]]
    expected = 420 * np.clip(TRIAL.accrual - first, 0, 0.5) / TRIAL.accrual
    assert abs(gained.mean() - expected.mean()) < 4 * math.sqrt(expected.mean() / 64) + 0.5


def test_rules_follow_the_information_that_was_seen() -> None:
    z = np.array(
        [[3.2, 0.0, 0.0], [0.0, 2.4, 0.0], [-3.2, 0.0, 0.0], [0.0, 0.0, 1.99], [0.0, 0.0, -2.0], [np.nan, np.nan, 1.9]]
    )
    events = np.tile([150.0, 225.0, 300.0], (6, 1))
    done = OBF.decide(z, events)  # boundaries 2.963, 2.359, 2.014
    assert done.look.tolist() == [0, 1, 0, 2, 2, 2]
    assert done.claim.tolist() == [True, True, False, False, False, False]
    assert done.against.tolist() == [False, False, True, False, False, False]
    one_sided = replace(OBF, sides=1).decide(z, events)
    assert not one_sided.against.any()
    assert one_sided.look[2] == 2
    # with fewer events than planned the last look still spends what is left
    few = OBF.decide(np.array([[0.0, 0.0, 2.0]]), np.array([[10.0, 20.0, 60.0]]))
    assert few.claim.all()
    # of two looks with the same events the first decides: nobody knows then that no event will follow
    twice = OBF.decide(np.array([[9.0, 0.0, 0.0], [0.0, 9.0, 0.0]]), np.array([[150.0, 150.0, 300.0]] * 2))
    assert twice.look.tolist() == [0, 2]
    assert twice.claim.tolist() == [True, False]
    # a look without new events is not made, however extreme the statistic that it would repeat
    same = OBF.decide(np.array([[9.0, 9.0, 0.0]]), np.array([[0.0, 300.0, 300.0]]))
    assert same.look.tolist() == [2]
    assert not OBF.decide(np.zeros((1, 3)), np.zeros((1, 3))).rejected.any()


def test_boundaries_of_each_replicate_are_those_of_its_own_information() -> None:
    rng = np.random.default_rng(5)
    events = np.cumsum(rng.integers(40, 160, (200, 3)), axis=1).astype(float)
    z = rng.standard_normal((200, 3)) + 1.5
    rules = RULES["futility"]
    done = rules.decide(z, events)
    for r in range(0, 200, 10):
        own = boundaries(events[r] / 300, rules.efficacy, rules.futility, drift=rules.design.drift)
        look = next((k for k in range(2) if z[r, k] >= own.efficacy[k] or z[r, k] < own.futility[k]), 2)
        assert done.look[r] == look
        assert done.claim[r] == (z[r, look] >= own.efficacy[look])
        assert done.futile[r] == (look < 2 and z[r, look] < own.futility[look])


def test_results_do_not_depend_on_workers(tmp_path: Path) -> None:
    experiment = SequentialExperiment(replace(LOOKS, patients=100, events=(20, 40)))
    alone = run(experiment, replicates=256, store=open_store(tmp_path / "1", experiment))
    together = run(experiment, replicates=256, store=open_store(tmp_path / "2", experiment), jobs=2, backend="threading")
    for name in ("z.logrank", "events", "day"):
        np.testing.assert_array_equal(by_look(alone, name), by_look(together, name))


class Breaks(ExponentialLooks):
    """The simulation of chunk 1 raises."""

    def data(self, draws: ChunkDraws) -> TrialData:
        if draws.chunk == 1:
            raise ArithmeticError("the second chunk")
        return super().data(draws)


class BreaksOften(ExponentialLooks):
    """An analysis raises where the first patient came early."""

    def looked(self, data: TrialData, part: slice) -> tuple[Looked, ...]:
        if (data.entry[part, 0] < EARLY).any():
            raise ArithmeticError("an early patient")
        return super().looked(data, part)


EARLY = 0.2


def test_replicates_that_raise_stay_in_the_denominator(tmp_path: Path) -> None:
    broken = Breaks(TRIAL, 100, (20, 40))
    whole = replace(LOOKS, patients=100, events=(20, 40), analyses=("logrank",))
    rules = replace(OBF, planned=40.0, fractions=(0.5, 1.0), efficacy=Spending("pocock", 0.2))
    failed, fine = (simulated(looks, tmp_path / name, replicates=192) for name, looks in (("a", broken), ("b", whole)))
    rows, sound = (
        {(row.measure, row.term): row for row in sequential_rows(result, rules, "logrank")} for result in (failed, fine)
    )
    power = rows["power", ""]
    assert (power.n_ok, power.n_failed) == (128, 64)
    claims = stopped(fine, rules, "logrank").claim
    assert power.value == pytest.approx((claims[:64].sum() + claims[128:].sum()) / 192)
    assert power.value < sound["power", ""].value
    assert rows["expected_n", ""].n_ok == 128
    assert len(list(failed.failures())) == 64


def test_a_replicate_that_raises_fails_alone(tmp_path: Path) -> None:
    """The others of its chunk have the numbers that they have without it; its bounds are those of a failed one."""
    odd, plain = BreaksOften(TRIAL, 100, (20, 40)), ExponentialLooks(TRIAL, 100, (20, 40))
    failed, fine = (simulated(looks, tmp_path / name, replicates=128) for name, looks in (("a", odd), ("b", plain)))
    early = np.concatenate([plain.data(ChunkDraws(1, Role.STUDY, index, 100)).entry[:, 0] < EARLY for index in range(2)])
    assert 0 < early.sum() < 64
    assert [failure.replicate for failure in failed.failures()] == list(np.flatnonzero(early))
    assert all("an early patient" in failure.message and failure.seed == 1 for failure in failed.failures())
    for name in ("z.logrank", "events", "day"):
        np.testing.assert_array_equal(by_look(failed, name)[~early], by_look(fine, name)[~early])
        assert np.isnan(by_look(failed, name)[early]).all()
    rules = replace(OBF, planned=40.0, fractions=(0.5, 1.0), efficacy=Spending("pocock", 0.2))
    rows = {(row.measure, row.term): row for row in sequential_rows(failed, rules, "logrank")}
    claims = stopped(fine, rules, "logrank").claim
    power, duration = rows["power", ""], rows["expected_duration", ""]
    assert (power.value, power.low) == (pytest.approx((claims & ~early).mean()),) * 2
    assert power.high == pytest.approx(((claims & ~early).sum() + early.sum()) / 128)
    assert duration.low is not None
    assert duration.high is not None
    assert duration.low < duration.value < duration.high
