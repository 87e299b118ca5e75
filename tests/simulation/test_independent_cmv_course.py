"""The visit loop against a second account of it, patient by patient, under stress parameters."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from simulation_build import STRESS, STRESS_BASELINE, model
from simulation_twin import Patient, Told, compare_arrays, first_reaching, flat, traits

from cmvsim.core.streams import Role
from cmvsim.models.history import History
from cmvsim.simulation.cohort import simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model

BRANCHES = (
    "shifted",
    "breakthrough",
    "cleared on drug",
    "cleared off drug",
    "waits through a switch",
    "stopped on results",
    "not accepted",
    "start",
    "restart",
    "regrowth",
    "stopped while replicating, decays",
    "result after the end of monitoring",
)
AT_LEAST = 30

VARIANTS = {
    "waiting clock unchanged by the drug": ("cmv.onset.ratios.antiviral=1",),
    "drug slows the next episode": (),
    "drug hastens the next episode": ("cmv.onset.ratios.antiviral=3",),
    "at once": ("monitoring.turnaround=0", "preemptive_therapy.delay=0", "cmv.load.treated.lag=0"),
    "slow laboratory": ("monitoring.turnaround=3", "preemptive_therapy.delay=1", "preemptive_therapy.stop_after.negatives=2"),
    "late drug": ("cmv.load.treated.lag=5", "preemptive_therapy.stop_after.minimum_days=1", "preemptive_therapy.delay=0"),
    "whole blood": (
        'monitoring.matrix="whole_blood"',
        "monitoring.lod=20",
        "monitoring.lloq=35",
        "preemptive_therapy.start_at=250",
        "preemptive_therapy.accepted=1",
        "monitoring.turnaround=0.5",
        "preemptive_therapy.stop_after.negatives=2",
    ),
    "dense windows": ("toxicity.washout_step=1.25", "cmv.onset.shape=0.8"),
}


def _both(of: Model, seed: int, patients: int, replicates: int = 8) -> tuple[History, list[Told]]:
    draws = ChunkDraws(seed, Role.STUDY, 0, patients, replicates)
    engine = simulate(of, draws, path=True)
    score, prior = engine.population.score, engine.population.prior_allogeneic_hct
    until = flat(engine.observation.monitoring_end)
    told = []
    for i in range(patients * replicates):
        windows = {drug: (float(w.start[i]), float(w.stop[i])) for drug, w in engine.toxicity.courses.items()}
        told.append(Patient(of, traits(of, draws, i, windows, float(score[i]), bool(prior[i]), float(until[i]))).run())
    return engine, told


def _differences(of: Model, engine: History, told: list[Told]) -> list[str]:
    """What differs, one text per patient, from the first event in time on."""
    assert engine.episodes is not None
    assert engine.samples is not None
    onset, clear = flat(engine.episodes.onset), flat(engine.episodes.clear)
    start, stop = flat(engine.antiviral_start), flat(engine.antiviral_stop)
    code, load = flat(engine.samples.result), flat(engine.samples.load)
    k, c = onset.shape[1], start.shape[1]
    found = []
    for i, mine in enumerate(told):
        wrong = []
        for name, got, ours in (
            ("onset", onset[i], [e.onset for e in mine.episodes] + [math.nan] * (k - len(mine.episodes))),
            ("clear", clear[i], [e.clear for e in mine.episodes] + [math.inf] * (k - len(mine.episodes))),
            ("start", start[i], [x[0] for x in mine.courses] + [math.nan] * (c - len(mine.courses))),
            ("stop", stop[i], [x[1] for x in mine.courses] + [math.nan] * (c - len(mine.courses))),
        ):
            if not all(compare_arrays(a, float(b)) for a, b in zip(ours, got, strict=True)):
                wrong.append(f"{name} twin {_finite(ours)} engine {_finite(got.tolist())}")
        if mine.codes != code[i].tolist():
            wrong.append(f"codes twin {mine.codes} engine {code[i].tolist()}")
        elif not np.array_equal(np.array(mine.loads), load[i], equal_nan=True):
            wrong.append("loads")
        if wrong:
            found.append(f"patient {i}: " + "; ".join(wrong))
    return found


def _finite(times: list[float]) -> list[float]:
    return [round(t, 6) for t in times if math.isfinite(t)]


def _check_enough(told: list[Told]) -> None:
    ever = sum(bool(mine.episodes) for mine in told)
    assert ever >= 0.8 * len(told), "stress parameters must reach most patients"


@pytest.mark.parametrize("variant", VARIANTS)
def test_engine_and_twin_tell_the_same_history(variant: str) -> None:
    of = model(*STRESS, *VARIANTS[variant], baseline=STRESS_BASELINE)
    engine, told = _both(of, seed=11, patients=64)
    _check_enough(told)
    found = _differences(of, engine, told)
    near = sum(min(mine.margins, default=1.0) < 1e-12 for mine in told)
    assert len(found) <= near, f"{len(found)} of {len(told)} patients differ\n" + "\n".join(found[:3])


def test_every_branch_is_reached_by_many_patients() -> None:
    reached: Counter[str] = Counter()
    for seed, variant in enumerate(VARIANTS.values()):
        of = model(*STRESS, *variant, baseline=STRESS_BASELINE)
        _, told = _both(of, seed=20 + seed, patients=32)
        for mine in told:
            reached.update(mine.branches)
    assert {name: reached[name] for name in BRANCHES if reached[name] < AT_LEAST} == {}


@pytest.mark.verification
@pytest.mark.parametrize("seed", range(10))
def test_engine_and_twin_agree_on_random_parameters(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pick = rng.choice
    of = model(
        *STRESS,
        f"monitoring.turnaround={pick([0, 0.25, 1, 3])}",
        f"preemptive_therapy.delay={pick([0, 1, 2.5])}",
        f"cmv.load.treated.lag={pick([0, 1.5, 4])}",
        f"cmv.onset.ratios.antiviral={pick([0.05, 0.3, 1])}",
        f"cmv.onset.episodes={pick([1, 2, 3, 5])}",
        f"monitoring.jitter={pick([0, 1])}",
        f"preemptive_therapy.stop_after.negatives={pick([1, 2, 3])}",
        f"preemptive_therapy.accepted={pick([0.3, 1])}",
        f"cmv.onset.shape={pick([0.7, 1.27, 2.5])}",
        f"cmv.load.treated.regrowth={pick([0, 0.5, 1])}",
        baseline=replace(STRESS_BASELINE, onset_amplitude=6.0),
    )
    engine, told = _both(of, seed=100 + seed, patients=64)
    found = _differences(of, engine, told)
    assert not found, f"{len(found)} of {len(told)} patients differ\n" + "\n".join(found[:3])


@pytest.mark.parametrize("level", [0.6, 1.0, 1.6, 2.2, 3.0])
def test_first_time_at_a_level_is_that_of_the_realised_course(level: float) -> None:
    """A population with regrowth and restarts; the engine's own history, so the two accounts must not differ."""
    of = model(*STRESS, "cmv.onset.ratios.antiviral=1", baseline=STRESS_BASELINE)
    engine, told = _both(of, seed=31, patients=64)
    assert engine.episodes is not None
    ours = np.array([first_reaching(mine, level, of.horizon) for mine in told])
    got = flat(engine.episodes.first_reaching(np.float64(level)))
    got = np.where(got > of.horizon, np.inf, got)
    assert 0.2 < np.isfinite(ours).mean() < 1
    both = np.isfinite(ours) & np.isfinite(got)
    assert np.array_equal(np.isfinite(ours), np.isfinite(got))
    np.testing.assert_allclose(got[both], ours[both], rtol=0, atol=1e-9)
