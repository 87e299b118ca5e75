"""``cmvsim economics run``: strategies compared on the same patients, with what the answer rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cmvsim.calibration import Calibration
from cmvsim.calibration.redraw import Redraw
from cmvsim.core.canonical import pretty_json
from cmvsim.core.errors import CmvsimError, InputError, Problem
from cmvsim.core.records import Request
from cmvsim.core.streams import check_seed
from cmvsim.economics.analysis import Asked, deterministic
from cmvsim.economics.evaluate import Outcomes
from cmvsim.economics.probabilistic import PsaDraws, PsaExperiment, collect, drawn_inputs
from cmvsim.economics.psa_tables import psa_tree, samples_of
from cmvsim.economics.samples import psa_csv
from cmvsim.economics.settings import EvaluationSettings, at_least_two, chosen, economics_of
from cmvsim.montecarlo.run import chunks_for, open_store
from cmvsim.montecarlo.run import run as run_experiment
from cmvsim.runs.provenance import software_version
from cmvsim.scenarios import ResolvedScenario, resolve
from cmvsim.scenarios.cite import cite
from cmvsim.verbs.place import Place, RunOutcome
from cmvsim.verbs.power import reachable
from cmvsim.verbs.running import FolderWork, kept_run
from cmvsim.verbs.ui import Ui

FORMAT = 1
MOST_PATIENTS = 1_000_000
DEFAULT_PATIENTS = 50_000
DEFAULT_PER_DRAW = 1_000
FEWEST_DRAWS = 20
"""That a regression of net benefit on the inputs can be made of."""


@dataclass(frozen=True, slots=True)
class EconomicsOptions:
    """What the user typed.

    Attributes
    ----------
    strategies
        To compare with the one without a drug; all by default.
    patients
        Of the base case.
    thresholds
        Per QALY, in place of the scenario's.
    psa
        Draws of the probabilistic analysis; 0: none.
    per_draw
        Patients in each.
    quick
        Without structural choices, other incidences and the cost of illness.
    """

    scenario: str
    overrides: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    patients: int = DEFAULT_PATIENTS
    thresholds: tuple[float, ...] = ()
    psa: int = 0
    per_draw: int = DEFAULT_PER_DRAW
    quick: bool = False
    seed: int = 1


def economics(options: EconomicsOptions, place: Place, ui: Ui) -> RunOutcome:
    """Evaluate and keep the answer in a run folder.

    Raises
    ------
    InputError
        If scenario or options hold a mistake; nothing is written then.
    """
    scenario = resolve(options.scenario, options.overrides)
    asked = ask(scenario, options)
    request = request_of(scenario, options, asked)
    return kept_run(
        request,
        place,
        ui,
        solve=lambda: reachable(scenario),
        make=lambda calibration, work: (compute(scenario, calibration, request, asked, work), chunks_for(options.psa)),
    )


def ask(scenario: ResolvedScenario, options: EconomicsOptions) -> Asked:
    """The question behind the options; every mistake in them is found here."""
    check_seed(options.seed)
    for value, name, least, most in (
        (options.patients, "-n", 2, MOST_PATIENTS),
        (options.psa, "--psa", 0, MOST_PATIENTS),
        (options.per_draw, "--per-draw", 2, MOST_PATIENTS),
    ):
        if not least <= value <= most:
            raise InputError(Problem(f"{value} is out of range", name, allowed=f"{least} to {most:,}"))
    if 0 < options.psa < FEWEST_DRAWS:
        raise InputError(
            Problem(f"{options.psa} draws tell nothing", "--psa", allowed=f"0 for none, or {FEWEST_DRAWS} and more")
        )
    names = chosen(scenario.spec, options.strategies or None)
    at_least_two(names, scenario.id)
    thresholds = tuple(sorted(set(options.thresholds))) or economics_of(scenario.spec).thresholds.value
    if thresholds[0] < 0:
        raise InputError(Problem(f"{thresholds[0]:g} per QALY", "--threshold", allowed="0 or more"))
    EvaluationSettings.of(scenario.spec, names)  # prices and value sets are there
    return Asked(names, thresholds, options.patients, options.seed, options.quick)


def request_of(scenario: ResolvedScenario, options: EconomicsOptions, asked: Asked) -> Request:
    """The request whose digest names the run."""
    content = {
        "strategies": list(asked.strategies),
        "patients": asked.patients,
        "thresholds": list(asked.thresholds),
        "psa": options.psa,
        "per_draw": options.per_draw if options.psa else None,
        "quick": options.quick,
        "economics": economics_of(scenario.spec).model_dump(mode="json"),
        "set": list(scenario.overrides),
    }
    return Request("economics", scenario.id, scenario.digest, content, options.seed)


def question_of(request: Request) -> Asked:
    """The question back from a stored request."""
    stored = request.content
    return Asked(tuple(stored["strategies"]), tuple(stored["thresholds"]), stored["patients"], request.seed, stored["quick"])


def again(scenario: ResolvedScenario, request: Request, work: FolderWork) -> str:
    """``results.json`` of the same request, computed once more."""
    results, _ = results_of(scenario, reachable(scenario), request, question_of(request), work)
    return pretty_json(results)


def compute(
    scenario: ResolvedScenario,
    calibration: Calibration,
    request: Request,
    asked: Asked,
    work: FolderWork,
) -> dict[str, str | bytes]:
    """All files of the run, by name."""
    from cmvsim.report import economics_run_figures, economics_run_text

    results, drawn = results_of(scenario, calibration, request, asked, work)
    files: dict[str, str | bytes] = {
        "scenario.resolved.json": pretty_json(scenario.as_dict()),
        "calibration.json": pretty_json(calibration.as_dict()),
    }
    if drawn is not None:
        files["PSA.csv"] = psa_csv(samples_of(drawn))
        told = results["settings"]
        files |= economics_run_figures.psa_figures(drawn, asked.thresholds, told["currency"], told["labels"])
    files |= economics_run_figures.figures(results)
    return files | {
        "results.json": pretty_json(results),
        "tables.csv": economics_run_text.long_table(results),
        "summary.md": economics_run_text.summary(results),
    }


def results_of(
    scenario: ResolvedScenario,
    calibration: Calibration,
    request: Request,
    asked: Asked,
    work: FolderWork,
) -> tuple[dict[str, Any], PsaDraws | None]:
    """``results.json``, and the draws if there are any."""
    from cmvsim.report import economics_run_text

    redraw = Redraw(scenario, calibration)
    tree, outcomes = deterministic(scenario, calibration, redraw, asked, work.progress)
    results = head("economics", scenario, request) | _asked_tree(asked) | tree | rests_on(scenario)
    results["checks"] = sums(outcomes)
    drawn, psa = None, int(request.content["psa"])
    if psa:
        drawn = draws_of(scenario, redraw, asked, psa, int(request.content["per_draw"]), work)
        with work.progress("curves") as tick:
            prices = np.array([results["settings"]["letermovir_prices"][name] for name in asked.strategies])
            results["psa"] = psa_tree(drawn, asked.thresholds, asked.middle, prices, results["strategies"])
            tick(1, 1)
    results["cheers"] = economics_run_text.cheers(results)
    return results, drawn


def draws_of(scenario: ResolvedScenario, redraw: Redraw, asked: Asked, draws: int, patients: int, work: FolderWork) -> PsaDraws:
    """Compute the draws that the run folder lacks, and read them all."""
    experiment = PsaExperiment(scenario, redraw.prepare(), asked.strategies, patients, asked.seed)
    with work.progress(f"{draws:,} draws of {patients:,} patients") as tick:
        result = run_experiment(
            experiment,
            replicates=draws,
            store=open_store(work.chunks / "psa", experiment),
            jobs=work.jobs,
            backend=work.backend,
            progress=lambda done, total, _: tick(done, total),
        )
    drawn = collect(result, experiment)
    if drawn.draws.size < FEWEST_DRAWS:
        raise CmvsimError(f"only {drawn.draws.size} of {draws} draws could be computed: {drawn.failed[0].message}")
    return drawn


def head(verb: str, scenario: ResolvedScenario, request: Request) -> dict[str, Any]:
    """What every results file of an evaluation begins with."""
    return {
        "format": FORMAT,
        "verb": verb,
        "scenario": scenario.id,
        "title": scenario.spec.title,
        "digest": request.digest,
        "request": request.as_dict(),
        "software_version": software_version(),
        "seed": request.seed,
    }


def _asked_tree(asked: Asked) -> dict[str, Any]:
    return {
        "patients": asked.patients,
        "thresholds": list(asked.thresholds),
        "shown_threshold": asked.thresholds[asked.middle],
    }


def rests_on(scenario: ResolvedScenario) -> dict[str, Any]:
    """Assumptions and papers behind the evaluation, how much of it a probabilistic analysis draws, and what it holds fixed."""
    found = cite(scenario, lambda path: not path.startswith(("accrual.", "capacity.")))
    drawn = drawn_inputs(scenario)
    moved = {key for item in drawn for key in item.keys}
    return {
        "drawn": {"inputs": len(drawn), "assumed_fixed": sum(item.input not in moved for item in found.assumptions)},
        **found.behind(),
        "own": list(found.own),
    }


def sums(outcomes: Outcomes) -> dict[str, float]:
    """Differences that must be 0: totals against the sum of their parts."""
    by_component = outcomes.cost.sum(axis=(1, 2))
    by_patient = outcomes.total.sum(axis=1)
    return {
        "cost_by_component_against_by_patient": float(abs(by_component - by_patient).max() / abs(by_patient).max()),
        "qaly_above_life_years": float(max((outcomes.qaly - outcomes.life_years).max(), 0.0)),
    }
