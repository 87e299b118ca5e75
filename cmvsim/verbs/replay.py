"""``cmvsim replay``: compute a stored run again from its own files, and say whether the numbers are the same."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cmvsim.calibration import cache, calibrate
from cmvsim.core.errors import InputError
from cmvsim.core.records import NUMBERS_VERSION, Request
from cmvsim.runs.folder import changed_files, read_run, request_of
from cmvsim.scenarios import ResolvedScenario
from cmvsim.verbs import accrual as accrual_verb
from cmvsim.verbs import economics as economics_verb
from cmvsim.verbs import economics_check, economics_table, economics_voi, power_assurance, power_staged
from cmvsim.verbs import power as power_verb
from cmvsim.verbs import sensitivity as sensitivity_verb
from cmvsim.verbs import simulate as simulate_verb
from cmvsim.verbs import trace as trace_verb
from cmvsim.verbs import validate as validate_verb
from cmvsim.verbs.place import Place, read_results
from cmvsim.verbs.running import FolderWork, scratch
from cmvsim.verbs.ui import Ui, note_compiling

Verdict = Literal["identical", "equal to 1e-9", "different"]
TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay found.

    Attributes
    ----------
    differences
        The first differing places of ``results.json``.
    edited
        Files of the run that no longer have their recorded hash.
    """

    folder: Path
    verdict: Verdict
    differences: tuple[str, ...]
    edited: tuple[str, ...]


def replay(folder: Path, place: Place, ui: Ui) -> Replayed:
    """Recompute a run in a temporary folder and compare its ``results.json``; the run itself is not touched.

    Raises
    ------
    InputError
        If the folder is no finished run of a verb that can be replayed, or its numbers are of another version.
    """
    run = read_run(folder)
    request = request_of(run)
    if request.verb not in REPLAYED:
        known = ", ".join(sorted(REPLAYED))
        raise InputError(f"{folder}: runs of '{request.verb}' cannot be replayed; those that can: {known}")
    if request.numbers_version != NUMBERS_VERSION:
        raise InputError(
            f"{folder}: the run has numbers version {request.numbers_version}, this software {NUMBERS_VERSION}: "
            "the same request gives other numbers (see CHANGELOG, Changed numbers)"
        )
    before = read_results(folder)
    if request.verb != economics_table.VERB:
        note_compiling(ui)
    with cache.ignored():  # the hazards are part of what is recomputed
        again = json.loads(scratch(lambda chunks: REPLAYED[request.verb](folder, request, FolderWork(chunks, place, ui))))
    differences = list(compare(before, again))
    verdict: Verdict = "identical"
    if differences:
        verdict = "different" if any(not close for _, close in differences) else "equal to 1e-9"
    return Replayed(folder, verdict, tuple(text for text, _ in differences[:10]), changed_files(folder))


def stored_scenario(folder: Path, request: Request) -> ResolvedScenario:
    """The resolved scenario of a run."""
    if "scenario.resolved.json" not in read_run(folder)["outputs"]:
        raise InputError(f"{folder}: a run of several scenarios is not replayed; run each by itself")
    path = folder / "scenario.resolved.json"
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise InputError(f"{path} cannot be read") from None
    scenario = ResolvedScenario.of_dict(tree, source=str(path), overrides=tuple(request.content.get("set", ())))
    valued = scenario.spec.economics  # no part of the digest
    same = "economics" not in request.content or (
        valued is not None and valued.model_dump(mode="json") == request.content["economics"]
    )
    if scenario.digest != request.scenario_digest or not same:
        raise InputError(f"{path} was edited: it is not the scenario that the run was made from")
    return scenario


def _power(scenario: ResolvedScenario, request: Request, work: FolderWork) -> str:
    if power_assurance.asked(request):
        return power_assurance.again(scenario, request, work)
    if power_staged.is_staged(request):
        made, _ = power_staged.compute(scenario, calibrate(scenario), power_staged.question_of(request), request, work)
        return str(made["results.json"])
    files, _ = power_verb.compute(scenario, calibrate(scenario), power_verb.question_of(request), request, work)
    return str(files["results.json"])


def _of_scenario(
    again: Callable[[ResolvedScenario, Request, FolderWork], str],
) -> Callable[[Path, Request, FolderWork], str]:
    return lambda folder, request, work: again(stored_scenario(folder, request), request, work)


REPLAYED: dict[str, Callable[[Path, Request, FolderWork], str]] = {
    "power": _of_scenario(_power),
    "simulate": _of_scenario(simulate_verb.again),
    "trace": _of_scenario(trace_verb.again),
    "accrual": _of_scenario(accrual_verb.again),
    "validate": _of_scenario(validate_verb.again),
    "sensitivity": _of_scenario(sensitivity_verb.again),
    "economics": _of_scenario(economics_verb.again),
    economics_voi.VERB: _of_scenario(economics_voi.again),
    economics_check.VERB: _of_scenario(economics_check.again),
    economics_table.VERB: economics_table.again,
}
"""How the ``results.json`` of a verb's run is made again from its folder."""


def compare(before: Any, after: Any, at: str = "") -> Iterator[tuple[str, bool]]:
    """Places where two JSON trees differ, and whether the numbers are equal to 1e-9 there."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before.keys() | after.keys():
            if key not in before or key not in after:
                yield f"{at}.{key} is only in one of them", False
            elif key != "software_version":
                yield from compare(before[key], after[key], f"{at}.{key}")
    elif isinstance(before, list) and isinstance(after, list):
        if len(before) != len(after):
            yield f"{at} has {len(before)} and {len(after)} entries", False
        for index, (one, other) in enumerate(zip(before, after, strict=False)):
            yield from compare(one, other, f"{at}[{index}]")
    elif before != after:
        numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in (before, after))
        yield f"{at}: {before!r} and {after!r}", numbers and math.isclose(before, after, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
