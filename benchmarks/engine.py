"""Benchmark rows of the cohort engine: the primary endpoint at N = 150 from draws to limits, split into its stages.

The peers run in the same process: drawing the same number of standard variates from one generator (what no engine can
do without), and a plain-Python loop over patients and visits, as one would write it first. ``rows()`` measures; run as
a module (``python -m benchmarks.engine``) it prints its own table.
"""

from __future__ import annotations

import math
import time as clock
from collections.abc import Callable

import numpy as np

from benchmarks.estimators import Row
from cmvsim.core.streams import CHUNK_REPLICATES, STREAMS, Kind, Role, draw
from cmvsim.endpoints import endpoint
from cmvsim.models.baseline import Baseline
from cmvsim.planning.experiment import CohortExperiment
from cmvsim.scenarios import resolve
from cmvsim.simulation.cohort import simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.recording import record

PATIENTS = 150
SCENARIO = "cmv-cart"
ENDPOINT = "cmv_reactivation"
REPEATS = 25
LOOP_PATIENTS = 300
BASELINE = Baseline(0.57, 12.4, (1.4e-4, 1.2e-4, 2.0e-4), (4.8e-3, 1.27e-2, 7.4e-3), (3.6e-3, 1.1e-3), (3.1e-4, 1.7e-4))
"""What calibration finds for cmv-cart, rounded; solving it here would take longer than the measurement."""


def rows() -> list[Row]:
    """Time a chunk of 64 trials and its stages, best of several repetitions after a first call that compiles."""
    scenario = resolve(SCENARIO)
    experiment = CohortExperiment(scenario, BASELINE, sizes=(PATIENTS,), endpoints=(ENDPOINT,), sensitivity=False, seed=1)
    model, plan, entry = Model.of(scenario.spec, BASELINE), scenario.spec.analysis, endpoint(ENDPOINT)
    estimate = entry.estimators[0].estimate

    kept = ChunkDraws(1, Role.STUDY, 0, PATIENTS)
    history = simulate(model, kept)
    study = record(history, frozenset())
    derived = entry.derive(study, plan)
    estimate(derived, plan, (PATIENTS,))
    floor = _best(lambda: _variates(kept)) / CHUNK_REPLICATES
    loop = _best(lambda: _patient_by_patient(model, LOOP_PATIENTS), 3) * PATIENTS / LOOP_PATIENTS
    whole = _best(lambda: experiment.chunk(0)) / CHUNK_REPLICATES
    generation = "the same variates from one generator"
    return [
        _row(f"engine, primary endpoint end to end, n = {PATIENTS} ({1 / whole:,.0f} trials/s)", whole, generation, floor),
        _row("engine, draws", _best(lambda: _redraw(kept)) / CHUNK_REPLICATES, generation, floor),
        _row(
            "engine, simulate (draws at hand)",
            _best(lambda: simulate(model, kept)) / CHUNK_REPLICATES,
            "plain-Python loop (onset and visits alone)",
            loop,
        ),
        _row("engine, record", _best(lambda: record(history, frozenset())) / CHUNK_REPLICATES),
        _row("engine, derive", _best(lambda: entry.derive(study, plan)) / CHUNK_REPLICATES),
        _row("engine, estimate", _best(lambda: estimate(derived, plan, (PATIENTS,))) / CHUNK_REPLICATES),
    ]


def _redraw(used: ChunkDraws) -> None:
    """Draw afresh every stream that a chunk has used."""
    fresh = ChunkDraws(used.seed, used.role, used.chunk, used.patients)
    for name, index in used.drawn:
        fresh(name, index)
    for name, indices in used.drawn_together:
        fresh.together(name, indices)


def _variates(used: ChunkDraws) -> None:
    """As many variates of each kind, in slabs of the same size, without opening streams."""
    rng = np.random.Generator(np.random.PCG64DXSM(1))
    size = used.patients * used.replicates
    names = [name for name, _ in used.drawn]
    names += [name for name, indices in used.drawn_together for _ in indices]
    buffer = np.empty(size)
    for name in names:
        draw(rng, Kind(STREAMS[name]), size, buffer)


def _patient_by_patient(model: Model, patients: int) -> int:
    """First onset and visits of patients, one at a time: what a first version would do (no drugs, no treatment)."""
    rng = np.random.Generator(np.random.PCG64DXSM(1))
    load, plan, onset = model.cmv.load, model.monitoring, model.cmv.onset
    shape = float(onset.shape)
    scale = model.baseline.onset_median / math.log(2.0) ** (1 / shape)
    growth = math.log10(2.0) / load.doubling_time.centre
    start, peak, lloq = float(load.start_log10), load.set_point.centre, math.log10(float(plan.lloq))
    found = 0
    for _ in range(patients):
        left = 1 - rng.standard_exponential() / model.baseline.onset_amplitude
        at = model.inclusion_day + scale * (-math.log(left)) ** (1 / shape) if left > 0 else math.inf
        for day in plan.days:
            made = rng.random() < float(plan.attendance)
            noise = rng.standard_normal()
            if made and day >= at:
                value = min(start + growth * (day - at), peak) + float(plan.assay_sd_log10) * noise
                found += value >= lloq
    return found


def _row(name: str, seconds: float, peer: str | None = None, peer_seconds: float | None = None) -> Row:
    if peer is None or peer_seconds is None:
        return Row(name, seconds * 1e6, None, None, None)
    return Row(name, seconds * 1e6, peer, peer_seconds * 1e6, peer_seconds / seconds)


def _best(call: Callable[[], object], repetitions: int = REPEATS) -> float:
    """Least processor time of this thread: other processes on the machine do not count."""
    call()
    seconds = []
    for _ in range(repetitions):
        start = clock.thread_time()
        call()
        seconds.append(clock.thread_time() - start)
    return min(seconds)


if __name__ == "__main__":
    for row in rows():
        versus = "" if row.peer is None else f"  {row.peer} {row.peer_us:.1f} us, ratio {row.ratio:.2f}"
        print(f"{row.name:<72} {row.per_trial_us:10.2f} us{versus}")
