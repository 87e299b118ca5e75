"""``results.json`` of `power`: what the runs of all designs that a planner answers have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from cmvsim.core.records import Request
from cmvsim.endpoints import endpoint, label_of
from cmvsim.planning.characteristics import Row
from cmvsim.planning.question import PowerResult
from cmvsim.runs.provenance import software_version
from cmvsim.scenarios import ResolvedScenario
from cmvsim.scenarios.cite import cite
from cmvsim.scenarios.relevance import bears_on_patients
from cmvsim.scenarios.scenario import Scenario

FORMAT = 1
MANY_FAILURES = 0.01
FEW_REPLICATES = 5_000


def results_tree(scenario: ResolvedScenario, request: Request, result: PowerResult) -> dict[str, Any]:
    """``results.json``."""
    question, spec, rests_on = result.question, scenario.spec, cite(scenario, bears_on_patients)
    analysis = spec.analysis
    return {
        "format": FORMAT,
        "verb": "power",
        "scenario": scenario.id,
        "digest": request.digest,
        "request": request.as_dict(),
        "software_version": software_version(),
        "seed": question.seed,
        "design": question.design,
        "endpoints": list(question.endpoints),
        "labels": {name: label_of(name, scenario.spec.analysis) for name in question.endpoints},
        "analysis": analysis.human(),
        "target": question.target.model_dump() if question.target else None,
        "replicates": result.replicates,
        "stopped": result.stopped,
        "answers": [asdict(answer) for answer in result.answers],
        "rows": [row.as_dict() for row in result.rows],
        "estimands": [value.as_dict() for value in result.estimands],
        "diseases": {name: getattr(endpoint(name), "disease", None) or "" for name in question.endpoints},
        "study": study_of(spec),
        "what_if": [asdict(item) for item in result.what_if],
        "failures": [
            {"replicate": f.replicate, "seed": f.seed, "message": f.message, "traceback": f.traceback}
            for f in result.failures[:5]
        ],
        **rests_on.behind(),
        "warnings": warnings(scenario, result),
    }


def study_of(spec: Scenario) -> dict[str, Any]:
    """What a protocol says of the study: how CMV is looked for, and the incidence that its size stands on."""
    return {
        "matrix": spec.monitoring.matrix.value,
        "lloq": float(spec.monitoring.lloq),
        "days": list(spec.monitoring.days),
        "attendance": float(spec.monitoring.attendance),
        "retrospective_share": float(spec.population.retrospective_share),
        "clinical_tests": spec.monitoring.clinical is not None,
        "incidence_target": float(spec.cmv.incidence.value),
    }


def warnings(scenario: ResolvedScenario, result: PowerResult) -> list[str]:
    """What a reader must not overlook."""
    question, incidence = result.question, scenario.spec.cmv.incidence
    found = []
    worst: dict[tuple[str, str], Row] = {}
    for row in result.rows:
        if row.measure == "p_not_estimable" and row.value > MANY_FAILURES:
            known = worst.setdefault((row.endpoint, row.estimator), row)
            worst[row.endpoint, row.estimator] = row if row.value > known.value else known
    for (name, estimator), missing in worst.items():
        label = label_of(name, scenario.spec.analysis)
        found.append(
            f"{label} ({estimator}) could not be estimated in {missing.value:.1%} of replicates "
            f"at its worst size; they count as not met{bounds(missing, result.rows)}"
        )
    what = "precision" if question.power is None else "power"
    published = [end for end in (incidence.published or ()) if 0 < end < 1 and not question.detectable]
    unreached = sorted(set(published) - {item.target for item in result.what_if})
    found += [f"the {what} at an incidence of {end:.1%} is not shown: the model does not reach it" for end in unreached]
    if question.mcse_target is not None and result.stopped != "mcse":
        wanted = f"the Monte Carlo standard error wanted ({question.mcse_target:g})"
        found.append(f"{wanted} was not reached in {result.replicates:,} replicates")
    if (result.answers or result.detectable is not None) and result.replicates < FEW_REPLICATES:
        more = "more patients than needed" if result.answers else "a larger effect than needed"
        found.append(
            f"with {result.replicates:,} replicates the confirmation tends to ask for {more}; "
            f"use {FEW_REPLICATES:,} or more for a number that goes into a protocol"
        )
    if result.failures:
        found.append(f"{len(result.failures)} replicates raised an error and count as failed; the first are in failures/")
    return found


def bounds(missing: Row, rows: Sequence[Row]) -> str:
    """Where the mean over all replicates may lie, in words; empty where that is not known."""
    for row in rows:
        same = (row.n, row.endpoint, row.estimator, row.term) == (missing.n, missing.endpoint, missing.estimator, missing.term)
        if (
            same
            and row.measure == "mean_estimate"
            and row.low is not None
            and row.high is not None
            and math.isfinite(row.value)
        ):
            return (
                f"; the mean estimate ({row.value:.3g} among those estimated, N = {row.n}) lies between {row.low:.3g} and "
                f"{row.high:.3g} whatever they would have given"
            )
    return ""
