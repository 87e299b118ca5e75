"""``cmvsim power`` of an assurance design: another design's success over what is not known of the scenario."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cmvsim.calibration import Calibration, calibrate
from cmvsim.core.canonical import pretty_json
from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import Request
from cmvsim.core.streams import check_seed
from cmvsim.designs import Assurance, GroupSequential, PrecisionTarget, SimonTwoStage, SingleArmPrecision, check_sizes
from cmvsim.endpoints import endpoint, label_of
from cmvsim.planning.assurance import AssuranceQuestion, AssuranceResult, Assurer, as_dict
from cmvsim.planning.one_analysis import ASSURED, endpoint_of
from cmvsim.planning.sizes import parse_sizes
from cmvsim.report import assurance_text
from cmvsim.runs.provenance import software_version
from cmvsim.scenarios import ResolvedScenario
from cmvsim.scenarios.cite import cite
from cmvsim.scenarios.relevance import bears_on_patients
from cmvsim.verbs import power_staged
from cmvsim.verbs.running import FolderWork

if TYPE_CHECKING:
    from cmvsim.verbs.power import PowerOptions

FORMAT = 1
KIND = "assurance"
NEAREST = 0.02
"""Share of draws beyond the model's reach from which a reader is told."""


def serves(scenario: ResolvedScenario, name: str) -> bool:
    """Whether a design is an assurance."""
    return isinstance(scenario.spec.designs[name], Assurance)


def ask(scenario: ResolvedScenario, name: str, options: PowerOptions) -> AssuranceQuestion:
    """The question behind the options; every mistake in them is found here."""
    spec = scenario.spec
    design = spec.designs[name]
    assert isinstance(design, Assurance)
    other = spec.designs[design.of]
    if other.kind not in ASSURED:
        allowed = f"a design of kind {', '.join(ASSURED)}"
        raise InputError(Problem(f"'{design.of}' is of kind {other.kind}", "--design", f"designs.{name}.of", allowed))
    unused = {"--mcse": options.mcse is not None, "--sensitivity": options.sensitivity, "--detectable": options.detectable}
    for option, given in unused.items():
        if given:
            raise InputError(Problem("is not offered with an assurance", option, allowed="--replicates"))
    if options.replicates < 2:
        raise InputError(Problem(f"{options.replicates} replicates", "--replicates", allowed="at least 2"))
    check_seed(options.seed)
    target = None
    if isinstance(other, SingleArmPrecision):
        width = options.half_width or (other.target.half_width if other.target is not None else None)
        if width is None:
            raise InputError(
                Problem(
                    f"the design '{design.of}' has no target", "--half-width", f"designs.{design.of}.target", "a half-width"
                )
            )
        target = PrecisionTarget.parse({"half_width": width}, where="--half-width")
    elif options.half_width is not None:
        raise InputError(Problem(f"the design '{design.of}' tests, it is not sized for precision", "--half-width"))
    probability = options.probability or options.power or design.probability
    if probability is not None and not 0 < probability < 1:
        raise InputError(Problem(f"{probability:g} is no assurance", "--probability", allowed="between 0 and 1"))
    sizes = _sizes(scenario, design.of, options)
    if len(options.endpoints) > 1:
        raise InputError(Problem(f"{len(options.endpoints)} endpoints", "--endpoint", allowed="one: what success is judged on"))
    named = options.endpoints[0] if options.endpoints else endpoint_of(spec, design.of)
    return AssuranceQuestion(
        name,
        design.of,
        endpoint(named).id,
        target,
        design.studies_per_draw,
        sizes,
        probability,
        options.replicates,
        options.seed,
    )


def _sizes(scenario: ResolvedScenario, name: str, options: PowerOptions) -> tuple[int, ...] | None:
    """Sizes to report of the other design, None where one is looked for."""
    other = scenario.spec.designs[name]
    sizes = parse_sizes(options.sizes) if options.sizes else None
    if sizes is None and options.probability is None and options.power is None:
        sizes = (scenario.spec.study.patients,)
    if isinstance(other, SimonTwoStage | GroupSequential):
        power_staged.check_recruitment(scenario)
    if isinstance(other, SimonTwoStage):
        return _two_stages(other, name, options)
    check_sizes(other, name, sizes or ())
    if isinstance(other, GroupSequential) and (sizes is None or len(sizes) > power_staged.MOST_SIZES):
        told = "each size of a trial with looks is simulated anew for every draw"
        raise InputError(Problem(told, "-n", allowed=f"-n with up to {power_staged.MOST_SIZES} sizes"))
    return sizes


def _two_stages(design: SimonTwoStage, name: str, options: PowerOptions) -> tuple[int, ...]:
    """Its one size, evaluable patients at most, which is neither asked for nor looked for."""
    for option, given in (("-n", options.sizes), ("--probability", options.probability), ("--power", options.power)):
        if given is not None:
            told = "the boundaries of Simon's design say how many patients are evaluated"
            raise InputError(Problem(told, option, allowed=f"--set designs.{name}.power"))
    return (design.stages.n,)


def request_of(scenario: ResolvedScenario, question: AssuranceQuestion) -> Request:
    """The request whose digest names the run."""
    content = {key: value for key, value in asdict(question).items() if key not in ("target", "seed")}
    content["half_width"] = question.target.half_width if question.target is not None else None
    content["sizes"] = list(question.sizes) if question.sizes is not None else None
    return Request("power", scenario.id, scenario.digest, {KIND: content, "set": list(scenario.overrides)}, question.seed)


def asked(request: Request) -> bool:
    """Whether a stored request is one of an assurance."""
    return KIND in request.content


def again(scenario: ResolvedScenario, request: Request, work: FolderWork) -> str:
    """``results.json`` of a stored request, computed again."""
    stored = dict(request.content[KIND])
    width, sizes = stored.pop("half_width"), stored.pop("sizes")
    target = PrecisionTarget.parse({"half_width": width}) if width is not None else None
    question = AssuranceQuestion(**stored, target=target, sizes=tuple(sizes) if sizes else None, seed=request.seed)
    files, _ = compute(scenario, calibrate(scenario), question, request, work)
    return str(files["results.json"])


def compute(
    scenario: ResolvedScenario, calibration: Calibration, question: AssuranceQuestion, request: Request, work: FolderWork
) -> tuple[dict[str, str | bytes], int]:
    """All files of the run, by name, and the chunks they rest on."""
    result = Assurer(scenario, calibration, question, work).answer()
    results = results_tree(scenario, request, result)
    flat = [{**row, **(row["distribution"] or {})} for row in results["rows"]]
    for row in flat:
        del row["distribution"]
    files: dict[str, str | bytes] = {
        "scenario.resolved.json": pretty_json(scenario.as_dict()),
        "calibration.json": pretty_json(calibration.as_dict()),
        "results.json": pretty_json(results),
        "rows.csv": pd.DataFrame(flat).to_csv(index=False, lineterminator="\n"),
        **figures(results, result),
    }
    files["summary.md"] = assurance_text.summary(results, sorted(name for name in files if name.startswith("figures/")))
    return files, result.chunks


def results_tree(scenario: ResolvedScenario, request: Request, result: AssuranceResult) -> dict[str, Any]:
    """``results.json``."""
    question, rests_on = result.question, cite(scenario, bears_on_patients)
    crossing, confirmed = result.crossing, result.confirmed
    return {
        "format": FORMAT,
        "verb": "power",
        "kind": KIND,
        "scenario": scenario.id,
        "digest": request.digest,
        "request": request.as_dict(),
        "software_version": software_version(),
        "seed": question.seed,
        "design": question.design,
        "of": question.of,
        "of_kind": scenario.spec.designs[question.of].kind,
        "of_sentence": scenario.spec.designs[question.of].sentence(scenario.spec.surroundings),
        "endpoint": question.endpoint,
        "label": label_of(question.endpoint, scenario.spec.analysis),
        "half_width": question.target.half_width if question.target is not None else None,
        "level": scenario.spec.analysis.level,
        "probability": question.probability,
        "replicates": question.replicates,
        "studies_per_draw": question.studies_per_draw,
        "draws": -(-question.replicates // question.studies_per_draw),
        "uncertain_inputs": len(result.inputs),
        "unreached": result.unreached,
        "rows": [as_dict(row) for row in result.rows],
        "answer": {
            "n": crossing.n if crossing is not None else None,
            "ci_low": crossing.low if crossing is not None else None,
            "ci_high": crossing.high if crossing is not None else None,
            "interval_method": crossing.method if crossing is not None else "",
            "confirmation": as_dict(confirmed) if confirmed is not None else None,
        }
        if question.sizes is None
        else None,
        "failures": [
            {"replicate": f.replicate, "seed": f.seed, "message": f.message, "traceback": f.traceback}
            for f in result.failures[:5]
        ],
        **rests_on.behind(),
        "warnings": warnings(result),
    }


def warnings(result: AssuranceResult) -> list[str]:
    """What a reader must not overlook."""
    told = []
    if result.unreached > NEAREST:
        told.append(
            f"the targets of {result.unreached:.0%} of the draws are beyond what the model reaches together; they have the "
            "nearest hazards, so that inputs vary less than stated: power is more uncertain than it looks here, and the "
            "assurance may lie on either side"
        )
    if result.failures:
        told.append(f"{len(result.failures)} studies raised an error and count as not successful")
    return told


def figures(results: dict[str, Any], result: AssuranceResult) -> dict[str, str | bytes]:
    """Assurance and power by N; with several studies per draw, the distribution of power."""
    from cmvsim.report import assurance_figures as draw
    from cmvsim.report.style import png

    files: dict[str, str | bytes] = {"figures/assurance.png": png(draw.by_size(results))}
    if results["rows"][-1]["distribution"] is not None:
        files["figures/distribution.png"] = png(draw.distribution(results, np.asarray(result.by_draw)))
    return files
