"""``cmvsim simulate``: study tables with their analysis file, as the registered study would record them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cmvsim.calibration import calibrate
from cmvsim.core.canonical import pretty_json
from cmvsim.core.errors import InputError, Problem, did_you_mean
from cmvsim.core.records import Request
from cmvsim.core.streams import CHUNK_REPLICATES, Role, check_seed
from cmvsim.data import write_study
from cmvsim.endpoints import write_analysis
from cmvsim.planning.sizes import LARGEST
from cmvsim.runs.folder import OpenRun, RunFolder, RunState
from cmvsim.scenarios import ResolvedScenario, resolve
from cmvsim.simulation.cohort import simulate as simulate_chunk
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.history_tables import history_tables
from cmvsim.simulation.model import Model
from cmvsim.simulation.recording import record
from cmvsim.verbs.place import Place, RunOutcome, read_results
from cmvsim.verbs.ui import Ui


@dataclass(frozen=True, slots=True)
class SimulateOptions:
    """What the user typed."""

    scenario: str
    overrides: tuple[str, ...] = ()
    patients: int | None = None
    replicates: int = 1
    strategy: str | None = None
    history: bool = False
    seed: int = 1


def simulate(options: SimulateOptions, place: Place, ui: Ui) -> RunOutcome:
    """Simulate studies and write their tables.

    One replicate goes into the run folder itself, several into ``replicate-0000``, ... Replicate k is replicate k of
    `power` with the same scenario and seed.

    Raises
    ------
    InputError
        If scenario or options hold a mistake; nothing is written then.
    """
    scenario = resolve(options.scenario, options.overrides)
    n = options.patients if options.patients is not None else scenario.spec.study.patients
    _check(scenario, options, n)
    content = {"patients": n, "replicates": options.replicates, "history": options.history, "set": list(scenario.overrides)}
    request = Request("simulate", scenario.id, scenario.digest, content, options.seed)
    folder = RunFolder(request, output=place.output, name=scenario.id)
    if folder.state is RunState.FINISHED and not place.force:
        return RunOutcome(folder.path, read_results(folder.path), found=True)
    model = Model.of(scenario.spec, calibrate(scenario).baseline)
    with folder.open(force=place.force) as run:
        with ui.progress(f"simulating {options.replicates} x {n} patients") as tick:
            for first in range(0, options.replicates, CHUNK_REPLICATES):
                count = min(CHUNK_REPLICATES, options.replicates - first)
                _write_chunk(run, scenario, model, options, n, first, count)
                tick(first + count, options.replicates)
        run.write("scenario.resolved.json", pretty_json(scenario.as_dict()))
        run.write(
            "results.json",
            pretty_json(
                {
                    "format": 1,
                    "verb": "simulate",
                    "scenario": scenario.id,
                    "digest": request.digest,
                    "request": request.as_dict(),
                    "seed": options.seed,
                    "patients": n,
                    "replicates": options.replicates,
                }
            ),
        )
        run.finish()
    return RunOutcome(folder.path, read_results(folder.path), found=False)


def _check(scenario: ResolvedScenario, options: SimulateOptions, n: int) -> None:
    check_seed(options.seed)
    strategies = scenario.spec.strategies
    if options.strategy is not None and options.strategy not in strategies:
        raise InputError(
            Problem(
                f"the scenario has no strategy '{options.strategy}'",
                "--strategy",
                allowed=did_you_mean(options.strategy, strategies),
            )
        )
    if not 1 <= n <= LARGEST:
        raise InputError(Problem(f"{n} patients", "-n", allowed=f"1 to {LARGEST:,}"))
    if not 1 <= options.replicates <= LARGEST:
        raise InputError(Problem(f"{options.replicates} replicates", "--replicates", allowed=f"1 to {LARGEST:,}"))


def _write_chunk(
    run: OpenRun, scenario: ResolvedScenario, model: Model, options: SimulateOptions, n: int, first: int, count: int
) -> None:
    draws = ChunkDraws(options.seed, Role.STUDY, first // CHUNK_REPLICATES, n)
    history = simulate_chunk(model, draws, path=options.history)
    study = record(history)
    for r in range(count):
        place: Path = run.path if options.replicates == 1 else run.path / f"replicate-{first + r:04d}"
        write_study(study, r, place)
        write_analysis(scenario.spec.analysis, place / "analysis.toml")
        if options.history:
            for name, table in history_tables(history, r).items():
                table.to_csv(place / f"{name}.csv", index=False, lineterminator="\n", float_format="%.12g")
