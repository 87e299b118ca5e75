"""``cmvsim simulate``: study tables with their analysis file, as the registered study would record them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cmvsim.calibration import calibrate
from cmvsim.calibration.quality_of_life import convert
from cmvsim.core.canonical import pretty_json
from cmvsim.core.errors import InputError, Problem, did_you_mean
from cmvsim.core.records import Request
from cmvsim.core.streams import CHUNK_REPLICATES, Role, check_seed
from cmvsim.data import write_study
from cmvsim.data.formats import FORMATS
from cmvsim.data.schema import TABLES
from cmvsim.designs import Randomised
from cmvsim.endpoints import write_analysis
from cmvsim.models.strategies import reference_strategy
from cmvsim.planning.sizes import LARGEST
from cmvsim.planning.trial import comparative_plan, randomised
from cmvsim.runs.folder import RunFolder, RunState
from cmvsim.runs.provenance import sha256_file
from cmvsim.scenarios import ResolvedScenario, resolve
from cmvsim.simulation.cohort import ALL
from cmvsim.simulation.cohort import simulate as simulate_chunk
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.history_tables import history_tables
from cmvsim.simulation.model import Model
from cmvsim.simulation.recording import record
from cmvsim.verbs.place import Place, RunOutcome, read_results
from cmvsim.verbs.running import FolderWork
from cmvsim.verbs.ui import Tick, Ui, note_compiling


@dataclass(frozen=True, slots=True)
class SimulateOptions:
    """What the user typed.

    Attributes
    ----------
    replicate
        Only this one, from 0, by itself.
    strategy
        Id; by default the reference, which gives no drug.
    design
        A randomised design of the scenario: patients are assigned to its arms, and ``subjects`` says to which.
    history
        Also what truly happened.
    cmv
        False: the same patients, nobody's CMV replicating.
    form
        File format of the study tables, one of :data:`cmvsim.data.formats.FORMATS`.
    """

    scenario: str
    overrides: tuple[str, ...] = ()
    patients: int | None = None
    replicates: int = 1
    replicate: int | None = None
    strategy: str | None = None
    design: str | None = None
    history: bool = False
    cmv: bool = True
    seed: int = 1
    form: str = "csv"


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
    request = request_of(scenario, options)
    folder = RunFolder(request, output=place.output, name=scenario.id)
    if folder.state is RunState.FINISHED and not place.force:
        return RunOutcome(folder.path, read_results(folder.path), found=True)
    note_compiling(ui)
    with ui.progress("solving the hazards"):
        model = model_of(scenario)
    with folder.open(force=place.force) as run:
        with ui.progress(_label(request)) as tick:
            results = produce(scenario, model, request, run.path, tick)
        run.write("scenario.resolved.json", pretty_json(scenario.as_dict()))
        run.write("results.json", results)
        run.finish()
    return RunOutcome(folder.path, read_results(folder.path), found=False)


def request_of(scenario: ResolvedScenario, options: SimulateOptions) -> Request:
    """The request whose digest names the run; every mistake in the options is found here."""
    n = options.patients if options.patients is not None else scenario.spec.study.patients
    _check(scenario, options, n)
    content = {
        "patients": n,
        "replicates": options.replicates,
        "strategy": None if options.design else options.strategy or reference_strategy(scenario.spec.strategies),
        "history": options.history,
        "cmv": options.cmv,
        "set": list(scenario.overrides),
    }
    if options.design is not None:
        content["design"] = options.design
    if options.replicate is not None:
        content["replicate"] = options.replicate
    if options.form != "csv":
        content["format"] = options.form
    return Request("simulate", scenario.id, scenario.digest, content, options.seed)


def model_of(scenario: ResolvedScenario) -> Model:
    """The solved model, with answers to questionnaires."""
    spec = scenario.spec
    return Model.of(spec, calibrate(scenario).baseline, convert(spec.quality_of_life))


def again(scenario: ResolvedScenario, request: Request, work: FolderWork) -> str:
    """``results.json`` of the same request, computed once more in a folder of its own."""
    folder = work.chunks / "tables"
    folder.mkdir()
    with work.progress(_label(request)) as tick:
        return produce(scenario, model_of(scenario), request, folder, tick)


def _label(request: Request) -> str:
    return f"simulating {request.content['replicates']} x {request.content['patients']} patients"


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
    if options.design is not None:
        designs = scenario.spec.designs
        if options.design not in designs:
            allowed = did_you_mean(options.design, designs)
            raise InputError(Problem(f"the scenario has no design '{options.design}'", "--design", allowed=allowed))
        if not isinstance(designs[options.design], Randomised):
            known = ", ".join(name for name, design in designs.items() if isinstance(design, Randomised)) or "none"
            raise InputError(
                Problem(f"the design '{options.design}' has no arms", "--design", allowed=f"randomised designs: {known}")
            )
        if options.strategy is not None:
            raise InputError(Problem("the arms of a design have their strategies", "--strategy", allowed="--design alone"))
    if not 1 <= n <= LARGEST:
        raise InputError(Problem(f"{n} patients", "-n", allowed=f"1 to {LARGEST:,}"))
    if options.replicate is not None and options.replicates != 1:
        raise InputError(Problem("one replicate, or the first of them", "--replicate, --replicates", allowed="one of the two"))
    if options.replicate is not None and not 0 <= options.replicate < LARGEST:
        raise InputError(Problem(f"there is no replicate {options.replicate}", "--replicate", allowed=f"0 to {LARGEST - 1:,}"))
    if not 1 <= options.replicates <= LARGEST:
        raise InputError(Problem(f"{options.replicates} replicates", "--replicates", allowed=f"1 to {LARGEST:,}"))


def produce(scenario: ResolvedScenario, model: Model, request: Request, folder: Path, tick: Tick) -> str:
    """Write the tables of all replicates below `folder` and return ``results.json``: the request, and hashes of the tables."""
    replicates = int(request.content["replicates"])
    start = int(request.content.get("replicate", 0))
    for done in range(0, replicates, CHUNK_REPLICATES):
        count = min(CHUNK_REPLICATES, replicates - done)
        _write_chunk(scenario, model, request, folder, start + done, count)
        tick(done + count, replicates)
    return pretty_json(
        {
            "format": 1,
            "verb": "simulate",
            "scenario": scenario.id,
            "digest": request.digest,
            "request": request.as_dict(),
            "seed": request.seed,
            "patients": request.content["patients"],
            "replicates": replicates,
            "strategy": request.content["strategy"],
            **({"design": request.content["design"]} if "design" in request.content else {}),
            "cmv": request.content["cmv"],
            "tables": dict(_hashes(folder)),
        }
    )


_TABLE_FILES = frozenset(form.file(table) for form in FORMATS.values() for table in TABLES)


def _hashes(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".csv", ".toml"} or path.name in _TABLE_FILES:
            yield path.relative_to(folder).as_posix(), sha256_file(path)


def _write_chunk(scenario: ResolvedScenario, model: Model, request: Request, folder: Path, first: int, count: int) -> None:
    asked = request.content
    draws = ChunkDraws(request.seed, Role.STUDY, first // CHUNK_REPLICATES, int(asked["patients"]))
    plan = scenario.spec.analysis
    if "design" in asked:
        design = scenario.spec.designs[asked["design"]]
        assert isinstance(design, Randomised)
        history, arm = randomised(model, design, draws, ALL, path=asked["history"], cmv=asked["cmv"])
        study, plan = record(history, arms=design.arms, arm=arm), comparative_plan(plan, design)
    else:
        history = simulate_chunk(
            model,
            draws,
            needs=ALL,
            path=asked["history"],
            strategy=asked["strategy"],
            cmv=asked["cmv"],
        )
        study = record(history)
    before = first % CHUNK_REPLICATES
    for r in range(before, before + count):
        place = folder if asked["replicates"] == 1 else folder / f"replicate-{first + r - before:04d}"
        write_study(study, r, place, asked.get("format", "csv"))
        write_analysis(plan, place / "analysis.toml")
        if asked["history"]:
            for name, table in history_tables(history, r).items():
                table.to_csv(place / f"{name}.csv", index=False, lineterminator="\n", float_format="%.12g")
