"""Benchmark rows of a whole study: simulation, recording by topic, derivation and primary estimate of every endpoint.

One chunk of 64 trials of 150 patients of cmv-cart. Attributable cost has its estimate without the bootstrap among the
endpoints, and the bootstrap of the plan in a row of its own. Times are least processor time of this thread, in turns, so that
other processes on the machine count little. ``python -m benchmarks.endpoints`` prints the table alone.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from benchmarks.engine import BASELINE, PATIENTS, SCENARIO
from cmvsim.core.streams import CHUNK_REPLICATES, Role
from cmvsim.data.study import Topic
from cmvsim.endpoints import ENDPOINTS, AnalysisSpec
from cmvsim.planning.experiment import CohortExperiment
from cmvsim.scenarios import ResolvedScenario, resolve
from cmvsim.simulation.cohort import ALL, simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.recording import record

ROUNDS = 7
WANTED = 300
"""Trials per second on one core, simulation and all primary analyses together (the bootstrap of costs apart)."""
COST = "cost_of_illness"


@dataclass(frozen=True, slots=True)
class Part:
    """One amount of work on a chunk of trials; `share` is of simulation, recording and analyses together."""

    name: str
    ms: float
    share: float | None = None


def parts() -> list[Part]:
    """Time a chunk and its stages, least of several rounds after a first call that compiles."""
    scenario = _without_bootstrap(resolve(SCENARIO))
    experiment = CohortExperiment(scenario, BASELINE, (PATIENTS,), tuple(ENDPOINTS), sensitivity=False, seed=1)
    model, plan = experiment.model, scenario.spec.analysis
    history = simulate(model, _chance(), needs=ALL)
    study = record(history)
    work: dict[str, Callable[[], object]] = {
        "simulate, all processes": lambda: simulate(model, _chance(), needs=ALL),
        "record, what is always there": lambda: record(history, frozenset()),
    }
    for topic in Topic:
        work[f"record, {topic.value} added"] = partial(record, history, frozenset({topic}))
    derived = {name: entry.derive(study, plan) for name, entry in ENDPOINTS.items()}
    for name, entry in ENDPOINTS.items():
        work[f"derive {name}"] = partial(entry.derive, study, plan)
        work[f"estimate {name}"] = partial(entry.estimators[0].estimate, derived[name], plan, (PATIENTS,))
    whole = "simulate, record, all endpoints (CohortExperiment.chunk)"
    work[whole] = partial(experiment.chunk, 0)
    with_bootstrap = f"estimate {COST}, {_resamples()} bootstrap samples"
    bootstrap = partial(ENDPOINTS[COST].estimators[0].estimate, derived[COST], resolve(SCENARIO).spec.analysis, (PATIENTS,))
    seconds = least(work, ROUNDS) | least({with_bootstrap: bootstrap}, 2)
    always = seconds["record, what is always there"]
    for topic in Topic:
        name = f"record, {topic.value} added"
        seconds[name] = max(seconds[name] - always, 0.0)
    apart = {whole, with_bootstrap}
    total = sum(each for name, each in seconds.items() if name not in apart)
    found = [Part(name, each * 1e3, each / total) for name, each in seconds.items() if name not in apart]
    return [*found, Part("sum", total * 1e3, 1.0), *(Part(name, seconds[name] * 1e3) for name in (whole, with_bootstrap))]


def least(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Least processor time of each call, in turns, after a first round that compiles."""
    seconds = dict.fromkeys(calls, float("inf"))
    for turn in range(rounds + 1):
        for name, call in calls.items():
            start = clock.thread_time()
            call()
            if turn:
                seconds[name] = min(seconds[name], clock.thread_time() - start)
    return seconds


def table() -> str:
    """All parts as text."""
    found = parts()
    width = max(len(part.name) for part in found)
    lines = [f"{'what':<{width}}  {'ms/chunk':>9}  {'share':>6}  {'trials/s':>9}"]
    for part in found:
        share = "" if part.share is None else f"{part.share:.1%}"
        rate = f"{CHUNK_REPLICATES / part.ms * 1e3:,.0f}" if part.ms > 0 else ""
        lines.append(f"{part.name:<{width}}  {part.ms:>9.2f}  {share:>6}  {rate:>9}")
    lines.append(f"\nwanted: {WANTED} trials/s of the whole, attributable cost without its bootstrap")
    return "\n".join(lines)


def _chance() -> ChunkDraws:
    return ChunkDraws(1, Role.STUDY, 0, PATIENTS)


def _resamples() -> int:
    return resolve(SCENARIO).spec.analysis.resamples


def _without_bootstrap(scenario: ResolvedScenario) -> ResolvedScenario:
    plan: AnalysisSpec = scenario.spec.analysis.model_copy(update={"resamples": 0})
    return replace(scenario, spec=scenario.spec.model_copy(update={"analysis": plan}))


if __name__ == "__main__":
    print(table())
