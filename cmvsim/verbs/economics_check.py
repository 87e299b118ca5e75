"""``cmvsim economics check``: what must hold of an evaluation whatever its numbers, as one command."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from cmvsim.calibration import Calibration
from cmvsim.core.canonical import pretty_json
from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import Request
from cmvsim.core.streams import check_seed
from cmvsim.economics.black_box import ADVISHE, Checker
from cmvsim.economics.settings import at_least_two, chosen, economics_of
from cmvsim.report import economics_check_text
from cmvsim.scenarios import ResolvedScenario, resolve
from cmvsim.verbs.economics import head
from cmvsim.verbs.place import Place, RunOutcome, kept_files
from cmvsim.verbs.power import reachable
from cmvsim.verbs.running import FolderWork
from cmvsim.verbs.ui import ProgressContext, Ui, note_compiling

VERB = "economics-check"
LEAST, MOST = 128, 100_000


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What the user typed."""

    scenario: str
    overrides: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    patients: int = 4_096
    seed: int = 1


def check(options: CheckOptions, place: Place, ui: Ui) -> RunOutcome:
    """Run all checks and keep the verdicts in a run folder.

    They are run afresh each time: old verdicts say nothing of the software as it is now.

    Raises
    ------
    InputError
        If scenario or options hold a mistake; nothing is written then.
    """
    scenario = resolve(options.scenario, options.overrides)
    request = request_of(scenario, options)
    note_compiling(ui)
    afresh = replace(place, force=True)
    return kept_files(request, afresh, lambda: compute(scenario, reachable(scenario), request, ui.progress("checks")))


def request_of(scenario: ResolvedScenario, options: CheckOptions) -> Request:
    """The request whose digest names the run; every mistake in the options is found here."""
    check_seed(options.seed)
    if not LEAST <= options.patients <= MOST:
        raise InputError(Problem(f"{options.patients} patients", "-n", allowed=f"{LEAST} to {MOST:,}"))
    names = chosen(scenario.spec, options.strategies or None)
    at_least_two(names, scenario.id)
    content = {
        "strategies": list(names),
        "patients": options.patients,
        "economics": economics_of(scenario.spec).model_dump(mode="json"),
        "set": list(scenario.overrides),
    }
    return Request(VERB, scenario.id, scenario.digest, content, options.seed)


def again(scenario: ResolvedScenario, request: Request, work: FolderWork) -> str:
    """``results.json`` of the same request, computed once more."""
    return str(compute(scenario, reachable(scenario), request, work.progress("checks"))["results.json"])


def compute(
    scenario: ResolvedScenario, calibration: Calibration, request: Request, progress: ProgressContext
) -> dict[str, str | bytes]:
    """All files of the run, by name."""
    asked = request.content
    with progress as tick:
        rows = Checker(scenario, calibration, tuple(asked["strategies"]), asked["patients"], request.seed).rows(tick)
    results: dict[str, Any] = {
        **head(VERB, scenario, request),
        "patients": asked["patients"],
        "passed": all(row.passed for row in rows),
        "checks": [asdict(row) for row in rows],
        "advishe": [{"item": item, "answered": where} for item, where in ADVISHE],
    }
    return {
        "scenario.resolved.json": pretty_json(scenario.as_dict()),
        "calibration.json": pretty_json(calibration.as_dict()),
        "results.json": pretty_json(results),
        "summary.md": economics_check_text.summary(results),
    }
