"""``cmvsim sensitivity``: on which inputs the operating characteristics of a study depend, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from cmvsim.calibration import Calibration, calibrate
from cmvsim.core.canonical import pretty_json
from cmvsim.core.errors import InputError, Problem, did_you_mean
from cmvsim.core.records import Measure, Request
from cmvsim.core.streams import check_seed
from cmvsim.designs import check_sizes
from cmvsim.endpoints import endpoint
from cmvsim.montecarlo.mcse import Summary
from cmvsim.planning.one_analysis import DECIDE, KINDS, endpoint_of
from cmvsim.planning.sensitivity import (
    PER_STUDY,
    PointResult,
    Sensitivity,
    SensitivityQuestion,
    SensitivityResult,
    Shape,
    as_tree,
    settings_of,
    swing,
)
from cmvsim.planning.sizes import parse_sizes
from cmvsim.planning.variations import Variation, check_settings, parse_variation, unknowns
from cmvsim.report import sensitivity_text
from cmvsim.runs.provenance import software_version
from cmvsim.scenarios import ResolvedScenario, resolve
from cmvsim.scenarios.cite import cite
from cmvsim.scenarios.relevance import bears_on_patients
from cmvsim.verbs.place import Place, RunOutcome
from cmvsim.verbs.power import reachable
from cmvsim.verbs.running import FolderWork, kept_run
from cmvsim.verbs.ui import Ui

FORMAT = 1
DEFAULT_REPLICATES = 640
"""Ten chunks: with common random numbers the differences are far more precise than the figures themselves."""


@dataclass(frozen=True, slots=True)
class SensitivityOptions:
    """What the user typed."""

    scenario: str
    overrides: tuple[str, ...] = ()
    variations: tuple[str, ...] = ()
    design: str | None = None
    endpoint: str | None = None
    size: str | None = None
    measures: tuple[str, ...] = ()
    replicates: int = DEFAULT_REPLICATES
    seed: int = 1


def sensitivity(options: SensitivityOptions, place: Place, ui: Ui) -> RunOutcome:
    """Vary inputs and keep what was found in a run folder.

    Raises
    ------
    InputError
        If scenario or options hold a mistake; nothing is written then.
    """
    scenario = resolve(options.scenario, options.overrides)
    question = ask(scenario, options)
    request = request_of(scenario, question, options)
    return kept_run(
        request,
        place,
        ui,
        solve=lambda: reachable(scenario),
        make=lambda calibration, work: compute(scenario, calibration, question, request, work),
        keep_chunks=False,
    )


def ask(scenario: ResolvedScenario, options: SensitivityOptions) -> SensitivityQuestion:
    """The question behind the options; every mistake in them is found here."""
    spec = scenario.spec
    name = options.design or next(iter(spec.designs))
    if name not in spec.designs:
        raise InputError(Problem(f"the scenario has no design '{name}'", "--design", allowed=did_you_mean(name, spec.designs)))
    design = spec.designs[name]
    if design.kind not in KINDS:
        allowed = f"a design of kind {', '.join(KINDS)}"
        raise InputError(Problem(f"the design '{name}' is of kind {design.kind}", "--design", allowed=allowed))
    if options.replicates < 2:
        raise InputError(Problem(f"{options.replicates} replicates", "--replicates", allowed="at least 2"))
    check_seed(options.seed)
    sizes = parse_sizes(options.size) if options.size else (spec.study.patients,)
    if len(sizes) > 1:
        raise InputError(Problem(f"{len(sizes)} sample sizes", "-n", allowed="one"))
    check_sizes(design, name, sizes)
    target = getattr(design, "target", None)
    half_width = target.half_width if target is not None else None
    variations = tuple(parse_variation(scenario, text) for text in options.variations) or unknowns(scenario)
    if not variations:
        raise InputError(Problem("no input of the scenario is said to be uncertain", "--vary", allowed="--vary KEY=a,b,c"))
    shape = _shape(options, variations)
    check_settings(variations, len(settings_of(variations, shape)))
    return SensitivityQuestion(
        design=name,
        endpoint=endpoint(options.endpoint or endpoint_of(spec, name)).id,
        patients=sizes[0],
        variations=variations,
        measures=_measures(options.measures, half_width, decides=design.kind in DECIDE),
        half_width=half_width,
        replicates=options.replicates,
        shape=shape,
        seed=options.seed,
    )


def _shape(options: SensitivityOptions, variations: tuple[Variation, ...]) -> Shape:
    """One key is a curve, two are a grid, more are varied one at a time; limits make a tornado."""
    if not options.variations or all(variation.limits for variation in variations):
        return "tornado"
    return "curve" if len(variations) == 1 else "grid" if len(variations) == 2 else "one_at_a_time"


def _measures(asked: tuple[str, ...], half_width: float | None, *, decides: bool) -> tuple[Measure, ...]:
    """Those asked for; by default what the design is for, and the estimate."""
    without = {Measure.P_HALF_WIDTH_LE: half_width is None, Measure.POWER: not decides}
    known = [measure for measure in PER_STUDY if not without.get(measure, False)]
    reasons = {
        Measure.P_HALF_WIDTH_LE.value: " (the design has no target half-width)",
        Measure.POWER.value: " (the design decides nothing)",
    }
    for name in asked:
        if name not in known:
            allowed = did_you_mean(name, [measure.value for measure in known])
            raise InputError(Problem(f"'{name}' is no measure here{reasons.get(name, '')}", "--measure", allowed=allowed))
    default = (Measure.POWER, Measure.HALF_WIDTH, Measure.MEAN_ESTIMATE, Measure.P_HALF_WIDTH_LE)
    return tuple(Measure(name) for name in dict.fromkeys(asked)) or tuple(m for m in default if m in known)


def request_of(scenario: ResolvedScenario, question: SensitivityQuestion, options: SensitivityOptions) -> Request:
    """The request whose digest names the run."""
    content = {
        "design": question.design,
        "endpoint": question.endpoint,
        "patients": question.patients,
        "variations": [variation.as_dict() for variation in question.variations],
        "measures": [measure.value for measure in question.measures],
        "shape": question.shape,
        "replicates": question.replicates,
        "vary": list(options.variations),
    }
    return Request(
        "sensitivity", scenario.id, scenario.digest, {"question": content, "set": list(scenario.overrides)}, question.seed
    )


def again(scenario: ResolvedScenario, request: Request, work: FolderWork) -> str:
    """``results.json`` of a stored request, computed again."""
    asked = request.content["question"]
    options = SensitivityOptions(
        scenario.source,
        variations=tuple(asked["vary"]),
        design=asked["design"],
        endpoint=asked["endpoint"],
        size=str(asked["patients"]),
        measures=tuple(asked["measures"]),
        replicates=asked["replicates"],
        seed=request.seed,
    )
    files, _ = compute(scenario, calibrate(scenario), ask(scenario, options), request, work)
    return str(files["results.json"])


def compute(
    scenario: ResolvedScenario,
    calibration: Calibration,
    question: SensitivityQuestion,
    request: Request,
    work: FolderWork,
) -> tuple[dict[str, str | bytes], int]:
    """All files of the run, by name, and the chunks they rest on."""
    result = Sensitivity(scenario, calibration, question, work).answer()
    results = results_tree(scenario, request, result)
    rows = [{**row["setting"], **{key: row[key] for key in row if key != "setting"}} for row in results["rows"]]
    files: dict[str, str | bytes] = {
        "scenario.resolved.json": pretty_json(scenario.as_dict()),
        "calibration.json": pretty_json(calibration.as_dict()),
        "results.json": pretty_json(results),
        "rows.csv": pd.DataFrame(rows if question.shape in ("curve", "grid") else _long(results["rows"])).to_csv(
            index=False, lineterminator="\n"
        ),
        "summary.md": sensitivity_text.summary(results),
        **figures(results),
    }
    return files, result.chunks


def _long(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One input and its value per row, where inputs vary one at a time."""
    found = []
    for row in rows:
        ((key, value),) = row["setting"].items() if row["setting"] else (("", None),)
        found.append({"input": key, "input_value": value, **{name: row[name] for name in row if name != "setting"}})
    return found


def results_tree(scenario: ResolvedScenario, request: Request, result: SensitivityResult) -> dict[str, Any]:
    """``results.json``."""
    question, rests_on = result.question, cite(scenario, bears_on_patients)
    one_at_a_time = question.shape != "grid"
    return {
        "format": FORMAT,
        "verb": "sensitivity",
        "scenario": scenario.id,
        "digest": request.digest,
        "request": request.as_dict(),
        "software_version": software_version(),
        "seed": question.seed,
        "design": question.design,
        "endpoint": question.endpoint,
        "label": endpoint(question.endpoint).label,
        "n": question.patients,
        "replicates": question.replicates,
        "shape": question.shape,
        "half_width": question.half_width,
        "scale": result.scale,
        "level": scenario.spec.analysis.level,
        "measures": {measure.value: PER_STUDY[measure] for measure in question.measures},
        "inputs": [_input(scenario, variation) for variation in question.variations],
        "rows": [row for point in (result.base, *result.points) for row in _rows(point)],
        "influence": [row for measure in question.measures for row in _influence(result, measure)] if one_at_a_time else [],
        "unreached": [{"setting": as_tree(setting), "why": why} for setting, why in result.unreached],
        **rests_on.behind(),
        "warnings": warnings(result),
    }


def _input(scenario: ResolvedScenario, variation: Variation) -> dict[str, Any]:
    names = {f"cmv.targets[{i}].value": target.measure.replace("_", " ") for i, target in enumerate(scenario.spec.cmv.targets)}
    more = f" and {len(variation.keys) - 1} more" if len(variation.keys) > 1 else ""
    return {
        "key": variation.key,
        "label": f"target: {names[variation.key]}" if variation.key in names else variation.key + more,
        "keys": list(variation.keys),
        "unit": variation.unit,
        "kind": variation.kind,
        "evidence": variation.evidence,
        "base": variation.base,
        "values": list(variation.values),
        "limits95": variation.limits,
    }


def _rows(point: PointResult) -> list[dict[str, Any]]:
    found = []
    for measure, summary in point.values.items():
        change = point.differences.get(measure, Summary(0.0, 0.0, summary.n_ok, summary.n_failed))
        found.append(
            {
                "setting": as_tree(point.setting),
                "measure": measure.value,
                "value": summary.value,
                "mcse": summary.mcse,
                "difference": change.value,
                "difference_mcse": change.mcse,
                "n_ok": summary.n_ok,
                "n_failed": summary.n_failed,
                "same": point.same,
                "replicates": point.replicates,
            }
        )
    return found


def _influence(result: SensitivityResult, measure: Measure) -> list[dict[str, Any]]:
    base = result.base.values[measure].value
    found = []
    for variation, width, points in swing(result, measure):
        at = [(point.setting[0][1], base + point.differences[measure].value) for point in points]
        found.append(
            {
                "measure": measure.value,
                "input": variation.key,
                "range": width,
                "mcse": max(point.differences[measure].mcse for point in points),
                "values": [value for value, _ in at],
                "results": [value for _, value in at],
            }
        )
    return found


def warnings(result: SensitivityResult) -> list[str]:
    """What a reader must not overlook."""
    count = len(result.unreached)
    what = "1 setting is" if count == 1 else f"{count} settings are"
    return [f"{what} out of the model's reach and not shown"] if count else []


def figures(results: dict[str, Any]) -> dict[str, str | bytes]:
    """Tornado, curve or grid, one per measure."""
    from cmvsim.report import sensitivity_figures as draw
    from cmvsim.report.style import png

    return {f"figures/{name}.png": png(figure) for name, figure in draw.figures(results).items()}
