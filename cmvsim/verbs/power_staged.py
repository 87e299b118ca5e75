"""``cmvsim power`` for designs that test one arm, have Simon's stages, or interim looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from cmvsim.calibration import Calibration
from cmvsim.core.canonical import pretty_json
from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import Request
from cmvsim.core.streams import Role, check_seed
from cmvsim.designs import GroupSequential, SimonTwoStage, SingleArmTest, check_sizes
from cmvsim.endpoints import endpoint, label_of
from cmvsim.models.strategies import reference_strategy
from cmvsim.montecarlo.experiment import TRACEBACKS_KEPT, Experiment, Failure
from cmvsim.planning.nested import NestedStudies
from cmvsim.planning.sequential import SequentialExperiment
from cmvsim.planning.sizes import LARGEST, parse_sizes
from cmvsim.planning.staged import STAGED, StagedPlanner, StagedQuestion, StagedResult
from cmvsim.planning.trial_sequential import recorded_trial
from cmvsim.report import staged_text
from cmvsim.runs.provenance import software_version
from cmvsim.scenarios import ResolvedScenario
from cmvsim.scenarios.cite import cite
from cmvsim.scenarios.relevance import bears_on_patients
from cmvsim.verbs.failed import failed_replicates
from cmvsim.verbs.power_results import FEW_REPLICATES, study_of
from cmvsim.verbs.running import FolderWork

if TYPE_CHECKING:
    from cmvsim.verbs.power import PowerOptions

FORMAT = 1
DEFAULT_POWER = 0.80
MOST_SIZES = 8
"""Sizes of a trial with interim looks that are simulated at once: each is simulated anew."""


def serves(scenario: ResolvedScenario, name: str) -> bool:
    """Whether the design of that name is answered here."""
    return isinstance(scenario.spec.designs.get(name), STAGED)


def ask(scenario: ResolvedScenario, name: str, options: PowerOptions) -> StagedQuestion:
    """The question behind the options; every mistake in them is found here."""
    spec = scenario.spec
    design = spec.designs[name]
    if not isinstance(design, STAGED):
        raise TypeError(f"'{name}' has no stages")
    _refuse(options, design.kind)
    check_seed(options.seed)
    wanted = _power_wanted(name, design, options)
    if isinstance(design, SimonTwoStage) and options.sizes:
        raise InputError(Problem("the boundaries of Simon's design say how many patients are evaluated", "-n"))
    sizes = parse_sizes(options.sizes) if options.sizes else (spec.study.patients,)
    if isinstance(design, GroupSequential):
        check_recruitment(scenario)
        if len(sizes) > MOST_SIZES:
            raise InputError(Problem(f"{len(sizes)} sizes", "-n", allowed=f"at most {MOST_SIZES}, each is simulated anew"))
    if sizes[-1] > LARGEST:
        raise InputError(Problem(f"{sizes[-1]:,} patients", "-n", allowed=f"at most {LARGEST:,}"))
    if isinstance(design, SimonTwoStage):
        check_recruitment(scenario)
        sizes = ()
    if options.detectable and len(sizes) > 1:
        raise InputError(
            Problem(f"{len(sizes)} sample sizes", "-n", allowed="one: the smallest effect is looked for at one size")
        )
    check_sizes(design, name, sizes)
    asked = options.endpoints[0] if options.endpoints else design.endpoint or spec.analysis.primary
    if asked not in spec.surroundings.rates:
        allowed = ", ".join(spec.surroundings.rates)
        raise InputError(Problem(f"{asked} is no cumulative incidence", "--endpoint", allowed=f"one of {allowed}"))
    return StagedQuestion(name, design.kind, asked, sizes, wanted, options.replicates, options.seed, options.detectable)


def _power_wanted(name: str, design: SingleArmTest | SimonTwoStage | GroupSequential, options: PowerOptions) -> float | None:
    """The power that N is looked for with: asked for, or the design's where no sizes are given."""
    wanted = options.power
    if options.detectable:
        wanted = options.power if options.power is not None else design.power or DEFAULT_POWER
        if not design.alpha < wanted < 1:
            raise InputError(Problem(f"{wanted:g} is no power", "--power", allowed="above alpha and below 1"))
        return wanted
    if isinstance(design, SimonTwoStage):
        if wanted is not None:
            raise InputError(Problem("Simon's design names its own power", "--power", allowed=f"--set designs.{name}.power"))
        return None
    if wanted is None and not options.sizes:
        wanted = design.power
    if wanted is not None and options.sizes:
        raise InputError(Problem("the number of patients is looked for with --power", "-n", allowed="one of the two"))
    if wanted is not None and not 0 < wanted < 1:
        raise InputError(Problem(f"{wanted:g} is no power", "--power", allowed="a number between 0 and 1, both excluded"))
    return wanted


def _refuse(options: PowerOptions, kind: str) -> None:
    """Options that ask for what these designs have not."""
    if options.half_width is not None or options.probability is not None:
        raise InputError(
            Problem(f"a {kind} design decides; no precision is looked for", "--half-width", allowed="leave it out")
        )
    if options.mcse is not None:
        raise InputError(Problem(f"a {kind} design runs all its replicates", "--mcse", allowed="--replicates"))
    if options.detectable and kind == "group_sequential":
        allowed = "a design of kind two_arm (one look), single_arm_test or simon_two_stage"
        raise InputError(Problem("the smallest effect is not looked for over interim looks", "--detectable", allowed=allowed))
    if len(options.endpoints) > 1:
        raise InputError(Problem("these designs decide by one endpoint", "--endpoint", allowed="one"))
    if options.replicates < 1:
        raise InputError(Problem(f"{options.replicates} replicates", "--replicates", allowed="at least 1"))


def check_recruitment(scenario: ResolvedScenario) -> None:
    """Calendar time needs patients who are all recruited."""
    spec = scenario.spec
    if float(spec.population.retrospective_share) > 0:
        raise InputError(
            Problem(
                "stages need patients who are recruited, not found in files", at="population.retrospective_share", allowed="0"
            )
        )
    if not spec.accrual.recruits(spec.population):
        raise InputError(Problem("no site recruits patients", at="accrual.sites"))


def request_of(scenario: ResolvedScenario, question: StagedQuestion) -> Request:
    """The request whose digest names the run."""
    content = {"question": question.as_dict(), "set": list(scenario.overrides)}
    return Request("power", scenario.id, scenario.digest, content, question.seed)


def is_staged(request: Request) -> bool:
    """Whether a stored request is of one of these designs."""
    return "kind" in request.content["question"]


def question_of(request: Request) -> StagedQuestion:
    """The question back from a stored request."""
    stored = dict(request.content["question"])
    return StagedQuestion(**{**stored, "sizes": tuple(stored["sizes"]), "seed": request.seed})


def compute(
    scenario: ResolvedScenario, calibration: Calibration, question: StagedQuestion, request: Request, work: FolderWork
) -> tuple[dict[str, str | bytes], int]:
    """All files of the run, by name, and the chunks they rest on."""
    result = StagedPlanner(scenario, calibration, question, work).answer()
    results = results_tree(scenario, request, result)
    pictures = figures(result, results)
    french = {name: scenario.spec.strategies[name].label_fr for name in results["plan"]["strategy_labels"]}
    files: dict[str, str | bytes] = {
        "scenario.resolved.json": pretty_json(scenario.as_dict()),
        "calibration.json": pretty_json(calibration.as_dict()),
        "results.json": pretty_json(results),
        "rows.csv": pd.DataFrame(results["rows"]).to_csv(index=False, lineterminator="\n"),
        "summary.md": staged_text.summary(results, list(pictures), french),
        **pictures,
        **failed_files(scenario, result),
    }
    return files, result.chunks


def results_tree(scenario: ResolvedScenario, request: Request, result: StagedResult) -> dict[str, Any]:
    """``results.json``."""
    question, spec = result.question, scenario.spec
    rests_on = cite(scenario, bears_on_patients if question.kind == "single_arm_test" else _bears_on_calendar)
    return {
        "format": FORMAT,
        "verb": "power",
        "scenario": scenario.id,
        "digest": request.digest,
        "request": request.as_dict(),
        "software_version": software_version(),
        "seed": question.seed,
        "design": question.design,
        "kind": question.kind,
        "design_sentence": spec.designs[question.design].sentence(spec.surroundings),
        "plan": plan_of(scenario, question.design),
        "endpoint": question.endpoint,
        "label": label_of(question.endpoint, scenario.spec.analysis),
        "disease": getattr(endpoint(question.endpoint), "disease", None) or "",
        "analysis": spec.analysis.human(),
        "study": study_of(spec),
        "replicates": question.replicates,
        "facts": result.facts,
        "rows": [row.as_dict() for row in result.rows],
        "why_different": list(result.why),
        "failures": [
            {"stage": stage, "replicate": f.replicate, "seed": f.seed, "message": f.message, "traceback": f.traceback}
            for stage, _, f in _first(result)
        ],
        **rests_on.behind(),
        "warnings": warnings(result),
    }


def _bears_on_calendar(path: str) -> bool:
    """Whether an input bears on what happens to patients, or on when they come: looks and stages have dates."""
    return bears_on_patients(path) or path.startswith("accrual.")


def warnings(result: StagedResult) -> list[str]:
    """What a reader must not overlook."""
    found = [
        f"{len(failed.failures)} replicates of the run '{failed.stage}' raised an error and count as failed; the first are in "
        f"failures/{_bounds(result)}"
        for failed in result.failed
    ]
    detectable = result.facts.get("detectable")
    if detectable is not None and detectable["status"] == "not confirmed":
        found.append("the confirmation did not hold; treat the incidence with care")
    if detectable is not None and result.question.replicates < FEW_REPLICATES:
        found.append(
            f"with {result.question.replicates:,} replicates the confirmation tends to ask for a larger effect than needed; "
            f"use {FEW_REPLICATES:,} or more for a number that goes into a protocol"
        )
    if result.facts.get("n") is not None and not result.facts["confirmed"]:
        found.append("the confirmation did not hold; treat the number with care")
    return found


def _bounds(result: StagedResult) -> str:
    """Power as planned (failed: nothing shown) and at best, in words."""
    for row in result.rows:
        if row.measure == "power" and row.n_failed and row.low is not None and row.high is not None:
            return (
                f"; the power at N = {row.n} is {row.low:.3f} with them counted as planned and at worst, {row.high:.3f} at best"
            )
    return ""


def _first(result: StagedResult) -> list[tuple[str, Experiment, Failure]]:
    """The first replicates that raised, with the run they are of."""
    every = [(failed.stage, failed.experiment, failure) for failed in result.failed for failure in failed.failures]
    return every[:TRACEBACKS_KEPT]


def failed_files(scenario: ResolvedScenario, result: StagedResult) -> dict[str, str | bytes]:
    """Their files, below the name of the run unless it is the study's own."""
    files: dict[str, str | bytes] = {}
    for stage, experiment, failure in _first(result):
        recorded = recorded_trial(experiment) if isinstance(experiment, SequentialExperiment) else experiment
        assert isinstance(recorded, NestedStudies)
        own = recorded.role is Role.STUDY and recorded.scenario is scenario
        files |= failed_replicates(recorded, [failure], "" if stage == "study" else stage, simulated=own)
    return files


def plan_of(scenario: ResolvedScenario, name: str) -> dict[str, Any]:
    """The design as scenario files have it, with its level and the labels of its strategies."""
    spec, design = scenario.spec, scenario.spec.designs[name]
    known = design.strategies or (reference_strategy(spec.strategies) or next(iter(spec.strategies)),)
    tree: dict[str, Any] = design.model_dump(mode="json")
    return {
        **tree,
        "level": getattr(design, "level", None),
        "strategy_labels": {strategy: spec.strategies[strategy].label for strategy in known},
    }


def figures(result: StagedResult, results: dict[str, Any]) -> dict[str, bytes]:
    """The figure of the design."""
    from cmvsim.report import staged_figures as draw
    from cmvsim.report.style import png

    label, facts = results["label"], result.facts
    if result.question.detectable:
        title = f"{label}: power by incidence"
        return {"figures/detectable.png": png(draw.power_by_incidence(result.pictured, facts["detectable"], title=title))}
    if result.question.kind == "single_arm_test":
        title = f"{label} {facts['direction']} {100 * facts['null_incidence']:g}%: power"
        figure = draw.power_curve(result.pictured, title=title, wanted=facts.get("wanted"), stable=facts.get("n"))
        return {"figures/power.png": png(figure)}
    if result.question.kind == "simon_two_stage":
        return {"figures/enrolled.png": png(draw.enrolled_bars(result.pictured, title="Patients enrolled for two stages"))}
    return {"figures/looks.png": png(draw.looks(result.pictured, title=f"{label}, N = {facts['looks'][-1]['n']}"))}
