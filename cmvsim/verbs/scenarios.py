"""The verbs of ``cmvsim scenarios``: each takes names, returns text or records, and prints nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cmvsim.core.canonical import pretty_json
from cmvsim.core.errors import InputError, Problem
from cmvsim.scenarios import catalogue_ids, resolve
from cmvsim.scenarios import cite as _cite
from cmvsim.scenarios import diff as _diff
from cmvsim.scenarios import explain as _explain
from cmvsim.scenarios import json_schema as _json_schema
from cmvsim.scenarios import template as _template
from cmvsim.scenarios.load import load_tree, source_text
from cmvsim.verbs.ui import Silent, Ui, note_compiling

if TYPE_CHECKING:
    from cmvsim.calibration import Calibration
    from cmvsim.calibration.joint import Misfit


SILENT = Silent()


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in one file.

    Attributes
    ----------
    file
        As given.
    problems
        Empty for a good file.
    digest
        Of a good file.
    """

    file: str
    problems: tuple[Problem, ...]
    digest: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def list_scenarios() -> list[tuple[str, str]]:
    """Ids and titles of the catalogue."""
    return [(name, str(load_tree(name)["title"])) for name in catalogue_ids()]


def show(name: str, *, resolved: bool = False, overrides: Sequence[str] = ()) -> str:
    """Text of a scenario as written, or its resolved form as JSON.

    Parameters
    ----------
    name
        Catalogue id or file.
    resolved
        Everything explicit, references followed, overrides applied.
    overrides
        ``KEY=VALUE``; they need `resolved`.

    Raises
    ------
    InputError
        If there is no such scenario, or it holds a mistake.
    """
    if resolved:
        scenario = resolve(name, overrides)
        return pretty_json({"digest": scenario.digest, **scenario.as_dict()})
    if overrides:
        raise InputError(Problem("--set shows in the resolved form only", allowed="add --resolved"))
    return source_text(name)


def check(files: Sequence[str]) -> list[Checked]:
    """Every problem of every file.

    Parameters
    ----------
    files
        Files or catalogue ids.
    """
    found = []
    for file in files:
        try:
            found.append(Checked(file, (), resolve(file).digest))
        except InputError as error:
            found.append(Checked(file, error.problems))
    return found


def explain(name: str, overrides: Sequence[str] = (), *, show_all: bool = False) -> str:
    """Read a scenario back in plain English, with what its schedule should find.

    Raises
    ------
    InputError
        If there is no such scenario, or it holds a mistake.
    CalibrationError
        If its targets are out of reach.
    """
    from cmvsim.calibration import calibrate
    from cmvsim.planning.preview import observed_incidence

    scenario = resolve(name, overrides)
    observed, mcse = observed_incidence(scenario, calibrate(scenario).baseline)
    return _explain.explain(scenario, observed=observed, mcse=mcse, show_all=show_all)


def cite(name: str, overrides: Sequence[str] = ()) -> _cite.Citations:
    """Papers with reasons, then assumptions; ``as_text()`` and ``as_dict()`` render them."""
    return _cite.cite(resolve(name, overrides))


def calibrate(name: str, overrides: Sequence[str] = (), ui: Ui = SILENT) -> Calibration:
    """Solve a scenario's targets, and hold it against what else was published.

    Raises
    ------
    InputError
        If there is no such scenario, or it holds a mistake.
    CalibrationError
        If its targets are out of reach.
    """
    from cmvsim.calibration import calibrate as solve
    from cmvsim.calibration.checks import checked

    scenario = resolve(name, overrides)
    note_compiling(ui)
    with ui.progress("solving the hazards"):
        found = solve(scenario)
    return replace(found, checks=checked(scenario, found.baseline))


def calibrate_all(ui: Ui) -> Misfit:
    """Hold the one virology against all published cohorts.

    Parameters
    ----------
    ui
        Shown the progress.
    """
    from cmvsim.calibration.joint import joint

    note_compiling(ui)
    with ui.progress("published cohorts") as tick:
        return joint(tick=tick)


def new(from_id: str, file: Path, *, force: bool = False) -> Path:
    """Write a file to start from.

    Parameters
    ----------
    from_id
        Scenario to extend.
    file
        Where to write; its name becomes the id.
    force
        Overwrite an existing file.

    Raises
    ------
    InputError
        If the file exists and may not be overwritten, or cannot be written.
    """
    where = str(file)
    if file.suffix != ".toml":
        raise InputError(Problem("a scenario file ends in .toml", where))
    if file.is_dir():
        raise InputError(Problem("is a folder", where))
    if file.exists() and not force:
        raise InputError(Problem("exists and is not overwritten", where, allowed="another name, or --force"))
    if not file.parent.is_dir():
        raise InputError(Problem(f"the folder '{file.parent}' does not exist", where))
    base = from_id if from_id in catalogue_ids() else Path(os.path.relpath(from_id, file.parent)).as_posix()
    new_id = re.sub(r"[^A-Za-z0-9_-]+", "-", file.stem).strip("-_") or "my-study"
    text = _template.new(from_id, new_id, base=base)
    try:
        file.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise InputError(Problem(f"cannot be written: {(error.strerror or 'unknown reason').lower()}", where)) from None
    return file


def schema() -> dict[str, Any]:
    """JSON Schema of scenario files."""
    return _json_schema.json_schema()


def diff(left: str, right: str, *, left_set: Sequence[str] = (), right_set: Sequence[str] = ()) -> tuple[_diff.Difference, ...]:
    """Key paths at which two scenarios differ."""
    return _diff.diff(resolve(left, left_set), resolve(right, right_set))


def diff_text(left: str, right: str) -> str:
    """The same as a table for people."""
    return _diff.as_text(diff(left, right), left, right)
