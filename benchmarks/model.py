"""Benchmark rows of the whole model: what each process adds to a simulated patient, and a study with all of them.

Every row draws its own chance, as a run does. Ratios are against the foundation, timed in the same run: CMV, its
testing and treatment, relapse and death, in a model in which infections do not act on death and so need not run.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.engine import BASELINE, PATIENTS, SCENARIO
from cmvsim.calibration.quality_of_life import convert
from cmvsim.core.streams import CHUNK_REPLICATES, Role
from cmvsim.endpoints import ENDPOINTS, AnalysisSpec, endpoint
from cmvsim.models.history import History, Process
from cmvsim.models.toxicity import DRUGS
from cmvsim.models.virome import VIRUSES
from cmvsim.scenarios import resolve
from cmvsim.simulation.cohort import ALL, FOUNDATION, simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.recording import record

SMALLEST = "follow_up.death_ratios.severe_infection=1"
ROUNDS = 25
ADDED = (
    ("+ infections (which act on death in cmv-cart)", Process.INFECTIONS),
    ("+ resistance", Process.RESISTANCE),
    ("+ quality of life (with hospital stays)", Process.QUALITY_OF_LIFE),
    ("+ resources", Process.RESOURCES),
)


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One amount of work; `times` is against the foundation of the same run."""

    name: str
    us_per_patient: float
    trials_per_second: float
    times: float


def rows() -> list[ModelRow]:
    """Time chunks of 64 trials, least processor time of several rounds after a first call that compiles."""
    smallest, model, plan, needs = _model(SMALLEST), _model(), resolve(SCENARIO).spec.analysis, FOUNDATION
    calls: dict[str, Callable[[], object]] = {f"foundation, n = {PATIENTS}": lambda: simulate(smallest, _chance())}
    for name, process in ADDED:
        needs |= {process}
        calls[name] = partial(_history, model, needs)
    calls["all processes, and every trait read"] = lambda: _read(_history(model, ALL))
    calls["all processes, with and without CMV in the same patients"] = lambda: _pair(model)
    calls[f"whole study: all processes, tables, {len(ENDPOINTS)} endpoints estimated"] = lambda: _study(model, plan)
    seconds = _least(calls)
    foundation = next(iter(seconds.values()))
    return [
        ModelRow(name, each / (CHUNK_REPLICATES * PATIENTS) * 1e6, CHUNK_REPLICATES / each, each / foundation)
        for name, each in seconds.items()
    ]


def _least(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Least processor time of each call; in turns, so that a busy machine slows all of them."""
    seconds = dict.fromkeys(calls, float("inf"))
    for _ in range(ROUNDS):
        for name, call in calls.items():
            start = clock.thread_time()
            call()
            seconds[name] = min(seconds[name], clock.thread_time() - start)
    return seconds


def _history(model: Model, needs: frozenset[Process]) -> History:
    return simulate(model, _chance(), needs=needs)


def _model(*overrides: str) -> Model:
    spec = resolve(SCENARIO, overrides).spec
    return Model.of(spec, BASELINE, convert(spec.quality_of_life))


def _chance() -> ChunkDraws:
    return ChunkDraws(1, Role.STUDY, 0, PATIENTS)


def _read(history: History) -> History:
    """Traits are drawn when asked for: ask for those of sections 1 to 4."""
    kinetics, toxicity, virome, population = history.kinetics, history.toxicity, history.virome, history.population
    _ = (kinetics.cmax, population.age, population.female, population.lymphocytes, population.aciclovir)
    for drug in DRUGS:
        toxicity.course(drug)
    for virus in VIRUSES:
        virome.acquired(virus)
    for day in virome.visits:
        virome.observed(day)
    return history


def _pair(model: Model) -> None:
    draws = _chance()
    simulate(model, draws, needs=ALL)
    simulate(model, draws, needs=ALL, cmv=False)


def _study(model: Model, plan: AnalysisSpec) -> None:
    study = record(_history(model, ALL))
    for name in ENDPOINTS:
        derived = endpoint(name).derive(study, plan)
        endpoint(name).estimators[0].estimate(derived, plan, (PATIENTS,))


def table() -> str:
    """All rows as text."""
    found = rows()
    width = max(len(row.name) for row in found)
    lines = [f"{'what':<{width}}  {'us/patient':>10}  {'trials/s':>9}  {'x foundation':>12}"]
    lines += [
        f"{row.name:<{width}}  {row.us_per_patient:>10.2f}  {row.trials_per_second:>9,.0f}  {row.times:>12.2f}" for row in found
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
