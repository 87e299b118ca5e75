"""The CMV course against a second account of it, patient by patient and event by event, under stress parameters."""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pytest
from simulation_twin import Told
from simulation_twin_compare import MARGIN, Comparison, both, flat
from simulation_twin_load import first_reaching
from simulation_twin_stress import VARIANTS, Stress, random_stress

from cmvsim.core.streams import Role
from cmvsim.models.history import History, Process
from cmvsim.simulation.cohort import simulate
from cmvsim.simulation.draws import ChunkDraws

PATIENTS = 52  # x 8 replicates
AT_LEAST = 30
BRANCHES = (
    "acts",
    "acts on a refractory episode",
    "cleared before inclusion",
    "cleared before the drug acted",
    "cleared off treatment",
    "cleared on treatment",
    "count of qualifying results back at 0",
    "disease after the end of monitoring",
    "disease on treatment",
    "disease starts treatment",
    "disease while a start is pending",
    "event at the horizon",
    "first line: foscarnet",
    "first line: ganciclovir",
    "first line: maribavir",
    "first line: valganciclovir",
    "follow-up off",
    "follow-up on",
    "follow-up test",
    "further onset in the rebound",
    "intolerant of ganciclovir at the start",
    "kidney injury: maribavir",
    "kidney injury: valganciclovir",
    "letermovir ended by therapy",
    "letermovir never begun",
    "neutropenia: foscarnet",
    "neutropenia: maribavir",
    "neutropenic at the start",
    "not accepted",
    "onset in the rebound",
    "onset on letermovir",
    "onset on treatment",
    "onset on treatment that acts",
    "onset that was beyond the horizon",
    "prevalent",
    "qualifies, awaits confirmation",
    "refractory at the start",
    "refractory on maribavir",
    "refractory to foscarnet: maribavir",
    "refractory to ganciclovir: foscarnet",
    "refractory to ganciclovir: maribavir",
    "restart",
    "restart on a falling course",
    "result after the end of monitoring",
    "result at the horizon",
    "result while a start is pending",
    "set-point raised by steroids",
    "start",
    "start after the end of monitoring",
    "started when cleared",
    "stopped at the maximum",
    "stopped before it acted",
    "stopped on results",
    "stopped, falls on",
    "stopped, regrows",
    "switched before the drug acted",
    "switched on a course that falls on",
    "switched when cleared",
    "switched while the load falls",
    "valganciclovir in place of foscarnet",
    "waits through a start",
    "waits through a stop",
    "waits through the end of letermovir",
)


@cache
def _stress(name: str) -> Stress:
    return VARIANTS[name]()


@cache
def _run(name: str) -> tuple[History, list[Told]]:
    stress = _stress(name)
    seed = 300 + list(VARIANTS).index(name)
    return both(stress.model, seed, PATIENTS, strategies=stress.strategies, never_lost=stress.never_lost)


def _compare(stress: Stress, engine: History, told: list[Told]) -> None:
    near = sum(min(mine.margins, default=1.0) < MARGIN for mine in told)
    assert near <= 0.01 * len(told), "decisions that rounding may turn are rare"
    found = Comparison(stress.model, engine).differences(told)
    assert not found, f"{len(found)} of {len(told)} patients differ\n" + "\n".join(found[:3])


@pytest.mark.parametrize("name", VARIANTS)
def test_engine_and_twin_tell_the_same_history(name: str) -> None:
    engine, told = _run(name)
    ever = sum(bool(mine.episodes) for mine in told)
    assert ever >= 0.7 * len(told), "stress parameters must reach most patients"
    _compare(_stress(name), engine, told)


def test_every_branch_is_reached_by_many_patients() -> None:
    reached: Counter[str] = Counter()
    for name in VARIANTS:
        for mine in _run(name)[1]:
            reached.update(mine.branches)
    assert {branch: reached[branch] for branch in BRANCHES if reached[branch] < AT_LEAST} == {}
    assert set(reached) <= {*BRANCHES}, "every branch that the twin names is counted"


@pytest.mark.parametrize("seed", range(4))
def test_engine_and_twin_agree_on_random_parameters(seed: int) -> None:
    stress = random_stress(seed)
    _compare(stress, *both(stress.model, 400 + seed, 16, strategies=stress.strategies, never_lost=stress.never_lost))


@pytest.mark.verification
@pytest.mark.parametrize("seed", range(4, 64))
def test_engine_and_twin_agree_on_more_random_parameters(seed: int) -> None:
    stress = random_stress(seed)
    _compare(stress, *both(stress.model, 400 + seed, 64, strategies=stress.strategies, never_lost=stress.never_lost))


@pytest.mark.parametrize("name", ["disease", "slow laboratory", "clinicians' tests", "letermovir for all"])
def test_what_is_seen_does_not_depend_on_whether_the_path_is_kept(name: str) -> None:
    """Without the path only patients in whom something may be seen are run; disease after the last sample is part of it."""
    stress = _stress(name)
    draws = ChunkDraws(77, Role.STUDY, 0, PATIENTS, 8)
    strategy = stress.strategies[0] if stress.strategies else None
    needs = frozenset({Process.CMV})
    kept, lean = (simulate(stress.model, draws, needs=needs, path=path, strategy=strategy) for path in (True, False))
    for part, names in (
        ("samples", ("time", "result", "load", "extra")),
        ("treatment", ("start", "stop", "drug", "drug_start", "drug_stop", "neutropenia", "kidney_injury")),
        ("disease", ("time", "organ")),
    ):
        for one in names:
            a, b = getattr(getattr(kept, part), one), getattr(getattr(lean, part), one)
            assert np.array_equal(a, b, equal_nan=a.dtype.kind == "f"), (part, one)
    last = np.fmax.reduce(np.where(np.isnan(kept.samples.time), -np.inf, kept.samples.time), axis=-1)
    late = (kept.episodes.onset[..., 0] > last) & np.isfinite(kept.disease.time)
    assert name == "letermovir for all" or late.sum() >= 1, "disease of an episode that no sample could see"


def test_with_cmv_off_nothing_is_found_and_the_planned_samples_are_the_same() -> None:
    stress = _stress("clinicians' tests")
    draws = ChunkDraws(78, Role.STUDY, 0, PATIENTS, 8)
    on, off = (simulate(stress.model, draws, needs=frozenset({Process.CMV}), path=True, cmv=cmv) for cmv in (True, False))
    assert np.isnan(off.episodes.onset).all()
    assert np.isnan(off.treatment.start).all()
    assert np.isinf(off.disease.time).all()
    assert not off.samples.extra.any()
    assert set(np.unique(off.samples.result)) == {0, 1}
    planned = np.where(on.samples.extra, np.nan, on.samples.time)
    assert np.array_equal(planned, off.samples.time, equal_nan=True)


@pytest.mark.parametrize("level", [0.6, 1.0, 1.6, 2.2, 3.0])
def test_first_time_at_a_level_is_that_of_the_realised_course(level: float) -> None:
    """A population with regrowth and restarts; both accounts have the same course, by the first test."""
    name = "drug slows the next episode"
    engine, told = _run(name)
    assert engine.episodes is not None
    horizon = _stress(name).model.horizon
    ours = np.array([first_reaching(mine.episodes, level, horizon) for mine in told])
    got = flat(engine.episodes.first_reaching(np.float64(level)))
    got = np.where(got > horizon, np.inf, got)
    seen = np.isfinite(ours)
    assert 0.2 < seen.mean() < 1
    assert np.array_equal(seen, np.isfinite(got))
    np.testing.assert_allclose(got[seen], ours[seen], rtol=0, atol=1e-9)
