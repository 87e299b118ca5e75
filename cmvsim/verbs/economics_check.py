"""``cmvsim economics check``: what must hold of an evaluation whatever its numbers, as one command."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from cmvsim.core.errors import InputError, Problem
from cmvsim.core.streams import check_seed
from cmvsim.economics.black_box import ADVISHE, Checker, CheckRow
from cmvsim.economics.settings import at_least_two, chosen
from cmvsim.scenarios import resolve
from cmvsim.verbs.power import reachable
from cmvsim.verbs.ui import Ui

LEAST, MOST = 128, 100_000


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What the user typed."""

    scenario: str
    overrides: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    patients: int = 4_096
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Checked:
    """All checks of a scenario."""

    scenario: str
    patients: int
    rows: tuple[CheckRow, ...]

    @property
    def passed(self) -> bool:
        """Whether none failed."""
        return all(row.passed for row in self.rows)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "verb": "economics-check",
            "scenario": self.scenario,
            "patients": self.patients,
            "passed": self.passed,
            "checks": [asdict(row) for row in self.rows],
            "advishe": [{"item": item, "answered": where} for item, where in ADVISHE],
        }


def check(options: CheckOptions, ui: Ui) -> Checked:
    """Run all checks; nothing is written.

    Raises
    ------
    InputError
        If scenario or options hold a mistake.
    """
    scenario = resolve(options.scenario, options.overrides)
    check_seed(options.seed)
    if not LEAST <= options.patients <= MOST:
        raise InputError(Problem(f"{options.patients} patients", "-n", allowed=f"{LEAST} to {MOST:,}"))
    names = chosen(scenario.spec, options.strategies or None)
    at_least_two(names, scenario.id)
    calibration = reachable(scenario)
    with ui.progress("checks") as tick:
        rows = Checker(scenario, calibration, names, options.patients, options.seed).rows()
        tick(len(rows), len(rows))
    return Checked(scenario.id, options.patients, rows)


def table(checked: Checked) -> list[list[str]]:
    """Checks for people."""
    head = ["check", "asked by", "expected", "difference", "verdict"]
    return [
        head,
        *([row.check, row.kind, row.expected, row.found, "holds" if row.passed else "FAILS"] for row in checked.rows),
    ]
