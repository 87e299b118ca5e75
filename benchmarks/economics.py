"""Benchmark table of the economic evaluation: patients under two strategies, draws of a probabilistic analysis, and SimPy.

All on one core, in processor time of this thread. The SimPy engine runs the same model for fewer patients and is scaled per
patient; it stops at histories and ledgers, without prices and QALYs, so the comparison is in its favour. As a module
(``python -m benchmarks.economics``) it prints its own table.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmarks.engine import BASELINE
from cmvsim.calibration import Calibration
from cmvsim.calibration.redraw import Redraw
from cmvsim.core.streams import CHUNK_REPLICATES, Role
from cmvsim.economics.cohort import evaluate_cohort, model_of
from cmvsim.economics.probabilistic import PsaExperiment
from cmvsim.economics.settings import EvaluationSettings
from cmvsim.models.strategies import LetermovirEffect
from cmvsim.scenarios import resolve
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.pathway.engine import simulate_pathway

SCENARIO = (
    "letermovir-breakeven",
    (
        "study.horizon=97",
        "monitoring.schedule=[{ every = 7, to = 42 }, { every = 14, to = 84 }, { at = 90 }]",
        "strategies.targeted.who=all",
        "strategies.targeted.start={ day = 0 }",
        "strategies.targeted.duration=90",
    ),
)
"""Universal prophylaxis of 90 days against pre-emptive therapy, seen for 90 days and the closing week."""
PATIENTS, PER_DRAW, DRAWS, BY_ONE = 100_000, 1_000, 16, 256
SOLVED = replace(BASELINE, letermovir=LetermovirEffect(0.92, -0.53))


@dataclass(frozen=True, slots=True)
class EconomicsRow:
    """Seconds for an amount of work, measured or scaled from less of it."""

    name: str
    seconds: float
    per_patient_us: float


def rows() -> list[EconomicsRow]:
    """Measure everything."""
    name, overrides = SCENARIO
    scenario = resolve(name, overrides)
    model = model_of(scenario.spec, SOLVED)
    settings = EvaluationSettings.of(scenario.spec)
    names = settings.strategies
    evaluate_cohort(model, settings, 2 * CHUNK_REPLICATES, 1)
    whole = _seconds(lambda: evaluate_cohort(model, settings, PATIENTS, 2))
    experiment = PsaExperiment(scenario, Redraw(scenario, Calibration(SOLVED, (), 0, 0)).prepare(), names, PER_DRAW, 1)
    drawn = experiment.parameters(CHUNK_REPLICATES)
    experiment.draw(drawn, 0)
    draws = _seconds(lambda: [experiment.draw(drawn, k) for k in range(1, DRAWS + 1)]) / DRAWS
    chance = ChunkDraws(1, Role.DECISION, 0, BY_ONE)

    def by_simpy() -> None:
        for strategy in names:
            simulate_pathway(model, chance, patients=slice(0, BY_ONE), replicate=0, strategy=strategy)

    by_simpy()
    simpy = _seconds(by_simpy) / BY_ONE
    return [
        EconomicsRow(f"{PATIENTS:,} patients x 2 strategies, 90 days", whole, whole / PATIENTS / 2 * 1e6),
        EconomicsRow(f"PSA, 1,000 draws x {PER_DRAW:,} patients x 2 strategies", 1000 * draws, draws / PER_DRAW / 2 * 1e6),
        EconomicsRow(f"SimPy, {PATIENTS:,} patients x 2 strategies (scaled)", simpy * PATIENTS, simpy / 2 * 1e6),
        EconomicsRow(f"SimPy, PSA of 1,000 x {PER_DRAW:,} x 2 (scaled)", simpy * 1000 * PER_DRAW, simpy / 2 * 1e6),
    ]


def table() -> str:
    """For people."""
    found = rows()
    width = max(len(row.name) for row in found)
    lines = [f"{'what':<{width}}  {'seconds':>10}  {'us per patient and strategy':>28}"]
    lines += [f"{row.name:<{width}}  {row.seconds:>10,.1f}  {row.per_patient_us:>28,.1f}" for row in found]
    return "\n".join(lines)


def _seconds(call: Callable[[], object]) -> float:
    start = clock.thread_time()
    call()
    return clock.thread_time() - start


if __name__ == "__main__":
    print(table())
