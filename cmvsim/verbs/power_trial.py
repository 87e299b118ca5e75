"""``cmvsim power`` of a randomised comparison of two arms: power, sample size, smallest detectable effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from cmvsim.calibration import Calibration
from cmvsim.core.canonical import pretty_json
from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import Request
from cmvsim.designs import TwoArm, check_sizes
from cmvsim.endpoints import endpoint, label_of
from cmvsim.endpoints.comparison import COMPARISONS, compared_by, variable_of
from cmvsim.endpoints.curves import incidence_table
from cmvsim.planning.question import PowerResult, Question
from cmvsim.planning.sizes import parse_sizes
from cmvsim.planning.trial import BY_ARM, TrialExperiment
from cmvsim.planning.trial_power import DEFAULT_POWER, TrialPlanner
from cmvsim.report import power_text, trial_protocol_text, trial_text
from cmvsim.report.rests_on_text import rests_on_lines
from cmvsim.scenarios import ResolvedScenario
from cmvsim.verbs.failed import failed_replicates
from cmvsim.verbs.power_results import results_tree
from cmvsim.verbs.running import FolderWork

if TYPE_CHECKING:
    from cmvsim.verbs.power import PowerOptions

DESIGN_KEYS = ("kind", "arms", "ratio", "stratify", "block_sizes", "comparison", "hypothesis", "margin", "alpha", "sides")


def ask(scenario: ResolvedScenario, options: PowerOptions, name: str, design: TwoArm) -> Question:
    """The question behind the options; every mistake in them is found here."""
    if options.half_width is not None or options.probability is not None:
        raise InputError(
            Problem(f"the design '{name}' is asked for its power, not for a precision", "--half-width", allowed="--power 0.9")
        )
    primary = design.endpoint or scenario.spec.analysis.primary
    endpoints = tuple(dict.fromkeys((primary, *(options.endpoints or _beside(scenario, primary)))))
    for item in endpoints:
        if not compared_by(endpoint(item)):
            served = [other for other, known in scenario.spec.surroundings.endpoints.items() if known]
            raise InputError(
                Problem(f"{item} cannot be compared between two arms", "--endpoint", allowed=f"one of {', '.join(served)}")
            )
    sizes = parse_sizes(options.sizes) if options.sizes else None
    check_sizes(design, name, sizes or ())
    if options.detectable and sizes is not None and len(sizes) > 1:
        raise InputError(
            Problem(f"{len(sizes)} sample sizes", "-n", allowed="one: the smallest effect is looked for at one size")
        )
    power = options.power if options.power is not None else design.power if sizes is None else None
    if options.detectable:
        power = options.power or design.power or DEFAULT_POWER
    return Question(
        design=name,
        endpoints=endpoints,
        sizes=sizes,
        target=None,
        search=power is not None and not options.detectable,
        replicates=options.replicates,
        mcse_target=options.mcse,
        sensitivity=options.sensitivity,
        seed=options.seed,
        power=power,
        detectable=options.detectable,
        type1=options.type1,
    )


def _beside(scenario: ResolvedScenario, primary: str) -> tuple[str, ...]:
    """Other rates of the analysis that need no more of the simulation."""
    first = endpoint(primary)
    return tuple(
        name
        for name in scenario.spec.analysis.endpoints
        if variable_of(endpoint(name)) == "rate" and endpoint(name).needs <= first.needs and endpoint(name).reads <= first.reads
    )


def compute(
    scenario: ResolvedScenario, calibration: Calibration, question: Question, request: Request, work: FolderWork
) -> tuple[dict[str, str | bytes], int]:
    """All files of the run, by name, and the chunks they rest on."""
    result = TrialPlanner(scenario, calibration, question, work).answer()
    results = trial_results(scenario, request, result)
    files: dict[str, str | bytes] = {
        "scenario.resolved.json": pretty_json(scenario.as_dict()),
        "calibration.json": pretty_json(calibration.as_dict()),
        "results.json": pretty_json(results),
        "rows.csv": pd.DataFrame(results["rows"]).to_csv(index=False, lineterminator="\n"),
        **figures(scenario, calibration, question, result),
        **failed_replicates(_trial(scenario, calibration, question, result.sizes[-1]), result.failures),
    }
    french = {arm: scenario.spec.strategies[arm].label_fr for arm in results["trial"]["arm_labels"]}
    files["summary.md"] = summary(results, sorted(name for name in files if name.startswith("figures/")), french)
    return files, result.chunks


def trial_results(scenario: ResolvedScenario, request: Request, result: PowerResult) -> dict[str, Any]:
    """``results.json``: that of all planners, with the design and its comparison."""
    question = result.question
    design = scenario.spec.designs[question.design]
    assert isinstance(design, TwoArm)
    item = COMPARISONS[design.comparison]
    tree = design.model_dump(mode="json")
    return {
        **results_tree(scenario, request, result),
        "kind": design.kind,
        "trial": {
            **{key: tree[key] for key in DESIGN_KEYS},
            "level": design.level,
            "power": question.power,
            "label": item.label,
            "scale": item.scale,
            "term": item.term(design.arms),
            "arm_labels": {arm: scenario.spec.strategies[arm].label for arm in design.arms},
        },
        "detectable": result.detectable.as_dict() if result.detectable is not None else None,
        **({"type1": result.type1.as_dict()} if result.type1 is not None else {}),
    }


def summary(results: dict[str, Any], pictures: list[str], french: dict[str, str]) -> str:
    """``summary.md``.

    Parameters
    ----------
    pictures
        Files of the figures.
    french
        Labels of the arms in French, "" where the scenario has none.
    """
    lines = [
        f"# {results['scenario']}: power of the design {results['design']}",
        "",
        trial_text.sentence(results),
        "",
        *(f"- {line}" for line in trial_text.closed_form_lines(results)),
        "",
        "## Comparisons",
        "",
        power_text.markdown_table(trial_text.table(results)),
        "",
        trial_text.LEGEND + (f" {power_text.SEARCH_NOTE}" if results["answers"] else ""),
        "",
        "## By arm",
        "",
        power_text.markdown_table(trial_text.arm_table(results)),
        "",
        *(f"- {line}" for line in trial_text.truth_lines(results)),
        "",
        *(line for path in pictures for line in (f"![{trial_text.CAPTIONS.get(path, '')}]({path})", "")),
        "## For the protocol",
        "",
        trial_protocol_text.protocol_paragraph(results, "en"),
        "",
        trial_protocol_text.protocol_paragraph(results, "fr", french),
        "",
    ]
    return "\n".join([*lines, *rests_on_lines(results)]) + "\n"


def figures(
    scenario: ResolvedScenario, calibration: Calibration, question: Question, result: PowerResult
) -> dict[str, str | bytes]:
    """Power by sample size (or by strength of the effect), and both arms of replicate 0."""
    from cmvsim.report import figures as draw
    from cmvsim.report.style import png
    from cmvsim.report.trial_figures import incidence_by_arm, power_by_strength

    label = label_of(question.endpoints[0], scenario.spec.analysis)
    made: dict[str, str | bytes] = {}
    if result.detectable is not None:
        points = [(point.strength, point.power, point.mcse) for point in result.detectable.curve]
        made["figures/strength.png"] = png(
            power_by_strength(points, result.detectable.strength, result.detectable.wanted, n=result.detectable.n)
        )
    else:
        made["figures/power.png"] = png(
            draw.curve_with_band(
                [point.n for point in result.curve],
                [point.value for point in result.curve],
                [point.mcse for point in result.curve],
                target=question.power,
                answer=result.mark,
                confirmed=result.confirmed,
                percent=True,
                ylabel="power",
                title=f"{label}: power by sample size",
            )
        )
    n = result.answers[0].n if result.answers and result.answers[0].n else result.sizes[-1]
    if variable_of(endpoint(question.endpoints[0])) == "rate":
        example = example_curves(scenario, calibration, question, n)
        labels = {arm: scenario.spec.strategies[arm].label for arm in example["arm"].unique()}
        title = f"One simulated trial of {n} patients"
        made["figures/cumulative_incidence.png"] = png(incidence_by_arm(example, labels, title=title, event_label=label))
        made["example_study.csv"] = example.to_csv(index=False, lineterminator="\n", float_format="%.12g")
    return made


def _trial(scenario: ResolvedScenario, calibration: Calibration, question: Question, n: int) -> TrialExperiment:
    """The studies of the first stage at one size, with the design's endpoint alone."""
    return TrialExperiment(
        scenario, calibration.baseline, (n,), question.endpoints[:1], question.design, sensitivity=False, seed=question.seed
    )


def example_curves(scenario: ResolvedScenario, calibration: Calibration, question: Question, n: int) -> pd.DataFrame:
    """Cumulative incidences of each arm in replicate 0 at size `n`, day by day."""
    experiment = _trial(scenario, calibration, question, n)
    choice = next(choice for _, choice in experiment.choices if choice.id == BY_ARM)
    assert choice.derive is not None
    derived: Any = choice.derive(experiment.study(0), experiment.plan)
    parts = []
    for g, arm in enumerate(derived.groups):
        table = incidence_table(derived.only(g).of_replicates(slice(0, 1)), experiment.plan)
        table.insert(0, "arm", arm)
        parts.append(table)
    return pd.concat(parts, ignore_index=True)
