"""``cmvsim qualify``: does this installation give the numbers it should? Every reference case that ships with the package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import numpy as np

from cmvsim.core.canonical import digest, pretty_json, rounded
from cmvsim.core.records import Request
from cmvsim.qualification import TOPICS, Case, Comparison, Outcome, load_cases, run_case
from cmvsim.report import qualification_page as page
from cmvsim.runs.folder import RunFolder, RunState
from cmvsim.runs.provenance import environment, software_version
from cmvsim.verbs.place import Place, RunOutcome, read_results, write_outputs
from cmvsim.verbs.ui import Ui

FORMAT = 1
MOST_FAILURES = 20
"""Numbers of one quantity that are listed when they disagree; the count is always told."""


@dataclass(frozen=True, slots=True)
class QualifyOptions:
    """What the user typed; without a topic all of them."""

    topic: str | None = None


def qualify(options: QualifyOptions, place: Place, ui: Ui, cases: Sequence[Case] | None = None) -> RunOutcome:
    """Compute the reference cases and keep the report in a run folder.

    The cases are computed afresh each time: an old report says nothing of the installation as it is now.

    Parameters
    ----------
    cases
        Other cases than those of the package.

    Raises
    ------
    InputError
        If there is no such topic; nothing is written then.
    """
    chosen = load_cases(options.topic) if cases is None else tuple(cases)
    request = Request(
        "qualify",
        "installation",
        digest([_identity(case) for case in chosen]),
        {"topic": options.topic, "software_version": software_version(), "environment": environment()},
        seed=0,
    )
    folder = RunFolder(request, output=place.output)
    outcomes = []
    with ui.progress("computing reference cases") as tick:
        for case in chosen:
            outcomes.append(run_case(case))
            tick(len(outcomes), len(chosen))
    results = rounded(results_tree(request, outcomes))
    with folder.open(force=place.force or folder.state is RunState.FINISHED) as run:
        write_outputs(
            run,
            {
                "results.json": pretty_json(results),
                "qualification.html": page.html(results),
                "summary.md": page.summary(results),
            },
        )
        run.finish()
    return RunOutcome(folder.path, read_results(folder.path), found=False)


def _identity(case: Case) -> dict[str, Any]:
    return {"topic": case.topic, "id": case.id, "rtol": case.rtol, "atol": case.atol, "expected": case.expected}


def results_tree(request: Request, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """``results.json``."""
    topics = [topic for topic in TOPICS if any(outcome.case.topic == topic for outcome in outcomes)]
    return {
        "format": FORMAT,
        "verb": "qualify",
        "digest": request.digest,
        "request": request.as_dict(),
        "software_version": software_version(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "environment": environment(),
        "verdict": "pass" if outcomes and all(outcome.passed for outcome in outcomes) else "fail",
        "topics": [_topic(topic, [o for o in outcomes if o.case.topic == topic]) for topic in topics],
        "cases": [_case(outcome) for outcome in outcomes],
    }


def _topic(topic: str, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    errors = [outcome.largest_relative_error for outcome in outcomes]
    return {
        "topic": topic,
        "label": TOPICS[topic],
        "cases": len(outcomes),
        "passed": sum(outcome.passed for outcome in outcomes),
        "numbers": sum(item.size for outcome in outcomes for item in outcome.comparisons),
        "largest_relative_error": float(np.nanmax(errors)) if np.isfinite(errors).any() else None,
    }


def _case(outcome: Outcome) -> dict[str, Any]:
    case = outcome.case
    return {
        "topic": case.topic,
        "id": case.id,
        "kind": case.kind,
        "what": case.what,
        "source": case.source,
        "rtol": case.rtol,
        "atol": case.atol,
        "verdict": "pass" if outcome.passed else "fail",
        "largest_relative_error": outcome.largest_relative_error,
        "error": outcome.error,
        "quantities": [_quantity(item) for item in outcome.comparisons],
        "failures": [line for item in outcome.comparisons for line in _failures(item)],
    }


def _quantity(item: Comparison) -> dict[str, Any]:
    within, errors = item.within(), item.relative_errors()
    return {
        "quantity": item.quantity,
        "expected": _told(item.expected),
        "got": _told(item.got),
        "rtol": item.rtol,
        "atol": item.atol,
        "verdict": "pass" if within.all() else "fail",
        "largest_relative_error": float(np.nanmax(errors)) if np.isfinite(errors).any() else None,
    }


def _told(values: Any) -> Any:
    """JSON form; what is no finite number as a word, so that NaN and infinity stay apart."""
    if isinstance(values, np.ndarray):
        return _told(values.tolist())
    if isinstance(values, list):
        return [_told(value) for value in values]
    return values if isinstance(values, str) or np.isfinite(values) else str(values)


def _failures(item: Comparison) -> list[str]:
    """What disagrees, in words, the first ones of many."""
    within = item.within()
    if within.all():
        return []
    if isinstance(item.expected, str) or isinstance(item.got, str):
        return [f"{item.quantity}: expected {item.expected}, got {item.got}"]
    if item.expected.shape != item.got.shape:
        return [f"{item.quantity}: {item.expected.shape} numbers expected, got {item.got.shape}"]
    wrong = np.argwhere(~np.atleast_1d(within))
    expected, got = np.atleast_1d(item.expected), np.atleast_1d(item.got)
    lines = []
    for place in islice(wrong, MOST_FAILURES):
        where = "" if item.expected.ndim == 0 else f" [{', '.join(str(k + 1) for k in place)}]"
        a, b = float(expected[tuple(place)]), float(got[tuple(place)])
        lines.append(
            f"{item.quantity}{where}: expected {a:.12g}, got {b:.12g}; differs by {abs(b - a):.3g}, "
            f"{item.atol + item.rtol * abs(a):.3g} allowed"
        )
    if len(wrong) > MOST_FAILURES:
        lines.append(f"{item.quantity}: {len(wrong) - MOST_FAILURES} more numbers differ")
    return lines
