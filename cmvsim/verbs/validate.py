"""``cmvsim validate``: the estimators on simulated truth (ADEMP), with a verdict on each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from cmvsim.calibration import Calibration, calibrate
from cmvsim.core.canonical import digest, pretty_json
from cmvsim.core.errors import InputError, Problem, did_you_mean
from cmvsim.core.records import Request
from cmvsim.core.streams import check_seed
from cmvsim.endpoints import EstimatorChoice, endpoint
from cmvsim.planning.claims import NULL_SCENARIOS, claim_of
from cmvsim.planning.performance import link_of, null_of
from cmvsim.planning.sizes import parse_sizes
from cmvsim.planning.validation import Validation, ValidationQuestion, Validator
from cmvsim.planning.verdicts import ORDER, tolerances
from cmvsim.report import validation_text
from cmvsim.runs.provenance import software_version
from cmvsim.scenarios import ResolvedScenario, resolve
from cmvsim.scenarios.cite import cite
from cmvsim.scenarios.relevance import bears_on_patients
from cmvsim.verbs.failed import failed_replicates
from cmvsim.verbs.place import Place, RunOutcome
from cmvsim.verbs.power import reachable, same_cost
from cmvsim.verbs.running import FolderWork, kept_run
from cmvsim.verbs.ui import Ui

FORMAT = 1
DEFAULT_REPLICATES = 2_000
"""An MCSE of 0.5 points for a coverage of 95% takes 1,900."""
MANY_FAILURES = 0.01
FAILURES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class ValidateOptions:
    """What the user typed."""

    scenarios: tuple[str, ...]
    overrides: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    estimators: tuple[str, ...] = ()
    sizes: str | None = None
    replicates: int = DEFAULT_REPLICATES
    seed: int = 1


def validate(options: ValidateOptions, place: Place, ui: Ui) -> RunOutcome:
    """Judge estimators on simulated truth and keep what was found in a run folder.

    Raises
    ------
    InputError
        If a scenario or an option holds a mistake; nothing is written then.
    """
    scenarios = [resolve(name, options.overrides) for name in dict.fromkeys(options.scenarios)]
    ids = [scenario.id for scenario in scenarios]
    if len(set(ids)) < len(ids):
        raise InputError(Problem(f"two of the scenarios have the same id: {', '.join(ids)}", "SCENARIO"))
    question = ask(scenarios, options)
    request = request_of(scenarios, question)
    return kept_run(
        request,
        place,
        ui,
        solve=lambda: [reachable(scenario) for scenario in scenarios],
        make=lambda solved, work: compute(scenarios, solved, question, request, work),
    )


def ask(scenarios: Sequence[ResolvedScenario], options: ValidateOptions) -> ValidationQuestion:
    """The question behind the options; every mistake in them is found here."""
    spec = scenarios[0].spec
    names = tuple(dict.fromkeys(options.endpoints)) or same_cost(spec.analysis.endpoints)
    known = {choice.id: None for name in names for choice in endpoint(name).estimators}
    for estimator in options.estimators:
        if estimator not in known:
            asked = ", ".join(names)
            raise InputError(
                Problem(f"'{estimator}' is no estimator of {asked}", "--estimator", allowed=did_you_mean(estimator, known))
            )
    if options.estimators:  # an endpoint without one of them has nothing to say
        names = tuple(n for n in names if any(choice.id in options.estimators for choice in endpoint(n).estimators))
    if options.replicates < 2:
        raise InputError(Problem(f"{options.replicates} replicates", "--replicates", allowed="at least 2"))
    check_seed(options.seed)
    sizes = parse_sizes(options.sizes) if options.sizes else (spec.study.patients,)
    return ValidationQuestion(names, tuple(dict.fromkeys(options.estimators)), sizes, options.replicates, options.seed)


def request_of(scenarios: Sequence[ResolvedScenario], question: ValidationQuestion) -> Request:
    """The request whose digest names the run."""
    name = "+".join(scenario.id for scenario in scenarios)
    one = scenarios[0].digest if len(scenarios) == 1 else digest([[item.id, item.digest] for item in scenarios])
    content = {"question": question.as_dict(), "set": list(scenarios[0].overrides)}
    return Request("validate", name, one, content, question.seed)


def question_of(request: Request) -> ValidationQuestion:
    """The question back from a stored request."""
    stored = request.content["question"]
    names = {key: tuple(stored[key]) for key in ("endpoints", "estimators", "sizes")}
    return ValidationQuestion(**names, replicates=stored["replicates"], seed=request.seed)


def again(scenario: ResolvedScenario, request: Request, work: FolderWork) -> str:
    """``results.json`` of a stored request of one scenario, computed anew."""
    files, _ = compute([scenario], [calibrate(scenario)], question_of(request), request, work)
    return str(files["results.json"])


def compute(
    scenarios: Sequence[ResolvedScenario],
    solved: Sequence[Calibration],
    question: ValidationQuestion,
    request: Request,
    work: FolderWork,
) -> tuple[dict[str, str | bytes], int]:
    """All files of the run, by name, and the chunks they rest on."""
    pairs = zip(scenarios, solved, strict=True)
    validators = [Validator(scenario, calibration, question, work) for scenario, calibration in pairs]
    found = [validator.answer() for validator in validators]
    results = results_tree(scenarios, validators[0], request, found)
    files: dict[str, str | bytes] = {
        "results.json": pretty_json(results),
        "rows.csv": pd.DataFrame(results["rows"]).to_csv(index=False, lineterminator="\n"),
        "summary.md": validation_text.summary(results),
        **figures(results, found),
    }
    for validator, one in zip(validators, found, strict=True):
        files |= failed_replicates(validator.experiment, one.failures, validator.scenario.id if len(scenarios) > 1 else "")
    for scenario, calibration in zip(scenarios, solved, strict=True):
        place = "" if len(scenarios) == 1 else f"{scenario.id}/"
        files[f"{place}scenario.resolved.json"] = pretty_json(scenario.as_dict())
        files[f"{place}calibration.json"] = pretty_json(calibration.as_dict())
    return files, sum(item.chunks for item in found)


def results_tree(
    scenarios: Sequence[ResolvedScenario], validator: Validator, request: Request, found: Sequence[Validation]
) -> dict[str, Any]:
    """``results.json``."""
    question, alpha = validator.question, validator.alpha
    assumptions, sources = _rests_on(scenarios)
    counted = [item for one in found for item in one.verdicts if not item.declared]
    worst = max((item.verdict for item in counted), key=ORDER.index, default="holds")
    return {
        "format": FORMAT,
        "verb": "validate",
        "scenario": request.scenario,
        "digest": request.digest,
        "request": request.as_dict(),
        "software_version": software_version(),
        "seed": question.seed,
        "scenarios": [{"id": item.id, "title": item.spec.title, "digest": item.digest} for item in scenarios],
        "endpoints": list(question.endpoints),
        "labels": {name: endpoint(name).label for name in question.endpoints},
        "estimators": [_described(name, choice) for name, choice in validator.experiment.choices],
        "sizes": list(question.sizes),
        "replicates": question.replicates,
        "level": validator.scenario.spec.analysis.level,
        "tolerances": [{**item.as_dict(), "measure": item.measure.value} for item in tolerances(alpha)],
        "verdict": worst,
        "verdicts": _told(found, "verdicts"),
        "judged": _told(found, "judged"),
        "rows": _told(found, "rows"),
        "estimands": _told(found, "estimands"),
        "limits": _told(found, "limits"),
        "failures": [
            {"scenario": one.scenario, **failure.as_dict()} for one in found for failure in one.failures[:FAILURES_SHOWN]
        ],
        "assumptions": assumptions,
        "sources": sources,
        "warnings": warnings(found),
    }


def _told(found: Iterable[Validation], what: str) -> list[dict[str, Any]]:
    """The items of all scenarios, each with the scenario it is of."""
    return [{"scenario": one.scenario, **item.as_dict()} for one in found for item in getattr(one, what)]


def _described(name: str, choice: EstimatorChoice) -> dict[str, Any]:
    """What a reader must know of an estimator to read its rows."""
    claim = claim_of(name, choice.id)
    return {
        "endpoint": name,
        "estimator": choice.id,
        "label": choice.label,
        "scale": choice.scale,
        "link": link_of(choice),
        "null": null_of(choice),
        "claims": claim.claims,
        "note": choice.note,
    }


def _rests_on(scenarios: Sequence[ResolvedScenario]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Assumptions and sources of all scenarios, each once."""
    assumptions: dict[tuple[str, str], dict[str, Any]] = {}
    sources: dict[str, dict[str, Any]] = {}
    for scenario in scenarios:
        cited = cite(scenario, bears_on_patients)
        for item in cited.assumptions:
            assumptions.setdefault((item.input, item.value), {"input": item.input, "value": item.value, "why": item.why})
        for paper in cited.papers:
            entries = [reason.entry for reason in paper.reasons]
            kept = sources.setdefault(paper.source, {"source": paper.source, "citation": paper.text, "entries": []})
            kept["entries"] += [entry for entry in entries if entry not in kept["entries"]]
    return list(assumptions.values()), list(sources.values())


def warnings(found: Sequence[Validation]) -> list[str]:
    """What a reader must not overlook."""
    told = []
    for one in found:
        worst: dict[tuple[str, str], float] = {}
        for row in one.rows:
            if row.measure == "p_not_estimable" and row.value > MANY_FAILURES:
                pair = (row.endpoint, row.estimator)
                worst[pair] = max(worst.get(pair, 0.0), row.value)
        told += [
            f"{one.scenario}: {name} ({estimator}) could not be estimated in {rate:.1%} of replicates at its worst size; they "
            "count as not rejecting, and coverage, mean and bias stand with their bounds over all replicates (low, high)"
            for (name, estimator), rate in worst.items()
        ]
        if one.failures:
            told.append(f"{one.scenario}: {len(one.failures)} replicates raised an error and count as failed")
        if one.scenario in NULL_SCENARIOS - {"null"}:
            told.append(f"{one.scenario}: CMV acts on nothing there but shares causes; what is rejected is confounding")
    return told


def figures(results: dict[str, Any], found: Sequence[Validation]) -> dict[str, str | bytes]:
    """Zip, coverage and nested-loop plots."""
    from cmvsim.report import validation_figures as draw
    from cmvsim.report.style import png

    files: dict[str, str | bytes] = {}
    for one in found:
        for name, zips in one.zips.items():
            if zips:
                title, key = f"{results['labels'][name]}, {one.scenario}", zips[0].key
                of = next(e for e in results["estimators"] if (e["endpoint"], e["estimator"]) == (name, key.estimator))
                made = draw.zip_plot(zips, title=title, level=results["level"], what=of["label"], scale=of["scale"])
                files[f"figures/zip-{one.scenario}-{name}.png"] = png(made)
    for name in results["endpoints"]:
        for stem, drawn in draw.of_endpoint(results, name).items():
            files[f"figures/{stem}-{name}.png"] = png(drawn)
    return files
