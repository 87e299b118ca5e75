"""``cmvsim power``: feasibility, precision and sample size of a scenario's study."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from cmvsim.calibration import Calibration, calibrate
from cmvsim.core.canonical import pretty_json
from cmvsim.core.errors import CalibrationError, InputError, Problem, did_you_mean
from cmvsim.core.records import Request
from cmvsim.core.streams import check_seed
from cmvsim.designs import PrecisionTarget, SingleArmPrecision, TwoArm
from cmvsim.endpoints import endpoint, label_of
from cmvsim.endpoints.comparison import rates
from cmvsim.endpoints.curves import incidence_table
from cmvsim.endpoints.derived import TimeToEvent
from cmvsim.planning.experiment import CohortExperiment
from cmvsim.planning.power import Planner
from cmvsim.planning.question import PowerResult, Question
from cmvsim.planning.sizes import parse_sizes
from cmvsim.report import power_text
from cmvsim.report.protocol_text import protocol_paragraph
from cmvsim.report.rests_on_text import rests_on_lines
from cmvsim.scenarios import ResolvedScenario, resolve
from cmvsim.scenarios.scenario import Scenario
from cmvsim.verbs import power_assurance, power_staged, power_trial
from cmvsim.verbs.failed import failed_replicates
from cmvsim.verbs.place import Place, RunOutcome
from cmvsim.verbs.power_results import results_tree
from cmvsim.verbs.running import FolderWork, kept_run
from cmvsim.verbs.ui import Ui

DEFAULT_REPLICATES = 10_000
LEGEND = (
    "Shares, estimates, half-widths and bias are proportions (0.05: 5 points). "
    "Evaluable: patients at risk (no DNAemia at infusion); P(narrow): share of studies that meet the half-width wanted; "
    "coverage and bias: of the confidence interval and the estimate against the protocol estimand. "
    "Half-width: mean half-width of the confidence interval; 80% quantile: not exceeded in 80% of studies. The figures in "
    "`results.json` carry their Monte Carlo standard errors. The interval is not symmetric: its half-width is half the "
    "distance between its limits."
)


Making = Callable[[Calibration, FolderWork], tuple[dict[str, str | bytes], int]]
"""From the solved hazards to the files of a run, and the chunks they rest on."""


@dataclass(frozen=True, slots=True)
class PowerOptions:
    """What the user typed."""

    scenario: str
    overrides: tuple[str, ...] = ()
    design: str | None = None
    endpoints: tuple[str, ...] = ()
    sizes: str | None = None
    half_width: float | None = None
    probability: float | None = None
    replicates: int = DEFAULT_REPLICATES
    mcse: float | None = None
    sensitivity: bool = False
    seed: int = 1
    power: float | None = None
    detectable: bool = False
    type1: bool = False


def power(options: PowerOptions, place: Place, ui: Ui) -> RunOutcome:
    """Answer a planning question and keep the answer in a run folder.

    Raises
    ------
    InputError
        If scenario or options hold a mistake; nothing is written then.
    """
    scenario = resolve(options.scenario, options.overrides)
    request, make = _asked(scenario, options)
    return kept_run(request, place, ui, solve=lambda: reachable(scenario), make=make)


def _asked(scenario: ResolvedScenario, options: PowerOptions) -> tuple[Request, Making]:
    """The request, and what makes its files: of designs with stages in a module of their own."""
    name = design_name(scenario, options)
    check_type1(scenario.spec, name, options)
    if power_assurance.serves(scenario, name):
        assured = power_assurance.ask(scenario, name, options)
        request = power_assurance.request_of(scenario, assured)
        return request, lambda calibration, work: power_assurance.compute(scenario, calibration, assured, request, work)
    if power_staged.serves(scenario, name):
        staged = power_staged.ask(scenario, name, options)
        request = power_staged.request_of(scenario, staged)
        return request, lambda calibration, work: power_staged.compute(scenario, calibration, staged, request, work)
    question = ask(scenario, options)
    plain = request_of(scenario, question)
    return plain, lambda calibration, work: compute(scenario, calibration, question, plain, work)


def design_name(scenario: ResolvedScenario, options: PowerOptions) -> str:
    """The design that is asked for.

    Raises
    ------
    InputError
        If the scenario has none of that name.
    """
    designs = scenario.spec.designs
    name = options.design or next(iter(designs))
    if name not in designs:
        raise InputError(Problem(f"the scenario has no design '{name}'", "--design", allowed=did_you_mean(name, designs)))
    return name


def reachable(scenario: ResolvedScenario) -> Calibration:
    """The solved hazards.

    Raises
    ------
    CalibrationError
        If a target is out of reach, be it so only in patients other than those solved on.
    """
    calibration = calibrate(scenario)
    missed = [t for t in calibration.targets if t.verdict == "out of reach"]
    if missed:
        told = "; ".join(f"{t.measure} {t.stratum} wanted {t.wanted:.3g}, achieved {t.achieved:.3g}" for t in missed)
        raise CalibrationError(f"{scenario.id}: targets out of reach: {told}")
    return calibration


def ask(scenario: ResolvedScenario, options: PowerOptions) -> Question:
    """The question behind the options; every mistake in them is found here."""
    spec = scenario.spec
    name = design_name(scenario, options)
    check_numbers(options)
    design = spec.designs[name]
    if isinstance(design, TwoArm):
        return power_trial.ask(scenario, options, name, design)
    if not isinstance(design, SingleArmPrecision):
        raise InputError(Problem(f"the design '{name}' is {design.kind}, which is not answered yet", "--design"))
    if options.power is not None or options.detectable:
        option = "--power" if options.power is not None else "--detectable"
        raise InputError(Problem(f"the design '{name}' decides nothing, so it has no power", option, allowed=_deciding(spec)))
    endpoints = tuple(dict.fromkeys(options.endpoints)) or same_cost(spec.analysis.endpoints)
    for item in endpoints:
        endpoint(item)
    if endpoints[0] not in rates():
        raise InputError(
            Problem(
                f"{endpoints[0]} is no cumulative incidence, which is what a study is planned for here",
                "--endpoint",
                allowed=f"a rate first ({', '.join(rates())}); others beside it",
            )
        )
    if options.probability is not None and options.half_width is None:
        raise InputError(Problem("a probability alone asks nothing", "--probability", allowed="give --half-width too"))
    target = design.target
    if options.half_width is not None:
        target = PrecisionTarget.parse(
            {
                "half_width": options.half_width,
                **({"probability": options.probability} if options.probability is not None else {}),
            },
            where="--half-width, --probability",
        )
    return Question(
        design=name,
        endpoints=endpoints,
        sizes=parse_sizes(options.sizes) if options.sizes else None,
        target=target,
        search=options.half_width is not None,
        replicates=options.replicates,
        mcse_target=options.mcse,
        sensitivity=options.sensitivity,
        seed=options.seed,
    )


def check_numbers(options: PowerOptions) -> None:
    """Mistakes in numbers that all designs take."""
    if options.replicates < 1:
        raise InputError(Problem(f"{options.replicates} replicates", "--replicates", allowed="at least 1"))
    if options.mcse is not None and not options.mcse > 0:
        raise InputError(Problem(f"{options.mcse:g} is no Monte Carlo standard error", "--mcse", allowed="above 0"))
    if options.power is not None and not 0 < options.power < 1:
        raise InputError(Problem(f"{options.power:g} is no power", "--power", allowed="above 0 and below 1, as 0.9"))
    check_seed(options.seed)


def check_type1(spec: Scenario, name: str, options: PowerOptions) -> None:
    """The type I error is asked of a randomised comparison with one look; others tell it unasked, or have none."""
    if not options.type1:
        return
    if options.detectable:
        raise InputError(
            Problem("goes with power, not with the smallest detectable effect", "--type1", allowed="one of the two")
        )
    if not isinstance(spec.designs[name], TwoArm):
        others = "designs with stages or looks tell theirs unasked"
        raise InputError(Problem(f"the design '{name}' is no two_arm design", "--type1", allowed=f"a two_arm design; {others}"))


def _deciding(spec: Scenario) -> str:
    names = [name for name, design in spec.designs.items() if not isinstance(design, SingleArmPrecision)]
    return f"designs that decide: {', '.join(names)}" if names else 'a design that decides, such as kind = "two_arm"'


def same_cost(names: tuple[str, ...]) -> tuple[str, ...]:
    """The primary endpoint of a plan, and those that need no more of the simulation: what `power` asks unless told more."""
    primary = endpoint(names[0])
    return tuple(n for n in names if endpoint(n).needs <= primary.needs and endpoint(n).reads <= primary.reads)


def request_of(scenario: ResolvedScenario, question: Question) -> Request:
    """The request whose digest names the run."""
    return Request(
        "power", scenario.id, scenario.digest, {"question": question.as_dict(), "set": list(scenario.overrides)}, question.seed
    )


def question_of(request: Request) -> Question:
    """The question back from a stored request."""
    stored = dict(request.content["question"])
    target = PrecisionTarget.parse(stored["target"]) if stored["target"] else None
    sizes = tuple(stored["sizes"]) if stored["sizes"] else None
    return Question(
        **{**stored, "endpoints": tuple(stored["endpoints"]), "sizes": sizes, "target": target, "seed": request.seed}
    )


def compute(
    scenario: ResolvedScenario, calibration: Calibration, question: Question, request: Request, work: FolderWork
) -> tuple[dict[str, str | bytes], int]:
    """All files of the run, by name, and the chunks they rest on."""
    if isinstance(scenario.spec.designs[question.design], TwoArm):
        return power_trial.compute(scenario, calibration, question, request, work)
    result = Planner(scenario, calibration, question, work).answer()
    results = results_tree(scenario, request, result)
    files: dict[str, str | bytes] = {
        "scenario.resolved.json": pretty_json(scenario.as_dict()),
        "calibration.json": pretty_json(calibration.as_dict()),
        "results.json": pretty_json(results),
        "rows.csv": pd.DataFrame(results["rows"]).to_csv(index=False, lineterminator="\n"),
        "summary.md": summary(results),
        **figures(scenario, calibration, question, result),
        **failed_replicates(experiment_of(scenario, calibration, question, result.sizes[-1]), result.failures),
    }
    return files, result.chunks


def summary(results: dict[str, Any]) -> str:
    """``summary.md``."""
    answer = power_text.sentence(results)
    lines = [
        f"# {results['scenario']}: precision and sample size",
        "",
        answer,
        "",
        power_text.markdown_table(power_text.table(results)),
        "",
        LEGEND + (f" {power_text.SEARCH_NOTE}" if results["answers"] else ""),
        "",
        *(f"- {line}" for line in power_text.truth_lines(results)),
        "",
        f"![{power_text.PRECISION_ALT}](figures/precision.png)",
        "",
        f"![{power_text.INCIDENCE_ALT}](figures/cumulative_incidence.png)",
        "",
        "## For the protocol",
        "",
        protocol_paragraph(results, "en"),
        "",
        protocol_paragraph(results, "fr"),
        "",
    ]
    return "\n".join([*lines, *rests_on_lines(results)]) + "\n"


def figures(
    scenario: ResolvedScenario, calibration: Calibration, question: Question, result: PowerResult
) -> dict[str, str | bytes]:
    """The figures, drawn from the results and from replicate 0."""
    from cmvsim.report import figures as draw
    from cmvsim.report.estimate_figures import stacked_incidence
    from cmvsim.report.style import png

    label = label_of(question.endpoints[0], scenario.spec.analysis)
    curve = result.curve
    sizes = [point.n for point in curve]
    values, errors = [point.value for point in curve], [point.mcse for point in curve]
    if question.target is not None:
        precision = draw.curve_with_band(
            sizes,
            values,
            errors,
            target=question.target.probability,
            answer=result.mark,
            confirmed=result.confirmed,
            percent=True,
            ylabel=f"P(half-width ≤ {100 * question.target.half_width:g} points)",
            title=f"{label}: precision by sample size",
        )
    else:
        precision = draw.curve_with_band(
            sizes, values, errors, ylabel="expected half-width, points", title=f"{label}: precision by sample size"
        )
    n = result.answers[0].n if result.answers and result.answers[0].n else result.sizes[-1]
    example = example_curve(scenario, calibration, question, n)
    title = f"One simulated study of {n} patients"
    study = stacked_incidence(example, title=title, event_label=label, level=scenario.spec.analysis.level)
    return {
        "figures/precision.png": png(precision),
        "figures/cumulative_incidence.png": png(study),
        "example_study.csv": example.to_csv(index=False, lineterminator="\n", float_format="%.12g"),
    }


def experiment_of(scenario: ResolvedScenario, calibration: Calibration, question: Question, n: int) -> CohortExperiment:
    """The study of `n` patients, with its own streams."""
    return CohortExperiment(scenario, calibration.baseline, (n,), question.endpoints, False, question.seed)


def example_curve(scenario: ResolvedScenario, calibration: Calibration, question: Question, n: int) -> pd.DataFrame:
    """Cumulative incidences in replicate 0 at size `n`, day by day."""
    experiment = experiment_of(scenario, calibration, question, n)
    derived = endpoint(question.endpoints[0]).derive(experiment.study(0), scenario.spec.analysis)
    if not isinstance(derived, TimeToEvent):
        raise TypeError(f"{question.endpoints[0]} has no cumulative incidence")
    return incidence_table(derived.of_replicates(slice(0, 1)), scenario.spec.analysis)
