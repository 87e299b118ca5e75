"""The two engines side by side: every event of every patient, every byte of the study tables, every branch of the model."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from cmvsim.scenarios.load import catalogue_ids
from cmvsim.simulation.model import Model
from cmvsim.simulation.pathway.compare import TOLERANCE, Comparison, Kind, compare
from tests.simulation.pathway_build import both, branches, catalogue_model
from tests.simulation.pathway_stress import stress_set
from tests.verification.common import CheckRow, Size, near, within

REACHED = 30
"""Patients that must have gone through each branch."""
FIRST_SET = 1000
"""Of the random parameter sets: others than those of the ordinary tests."""
LOADS = ("load", "log10", "peak", "offset")
"""Entries that are loads; other numbers are times, rates and scores."""


@dataclass(frozen=True, slots=True)
class Amount:
    """Patients of each of two replicates of a case; random parameter sets, and patients of each."""

    catalogue: int
    sets: int
    patients: int


AMOUNTS = {True: Amount(130, 200, 30), False: Amount(2, 3, 8)}


@dataclass(slots=True)
class Laid:
    """What came of laying the engines side by side."""

    comparison: Comparison = field(default_factory=Comparison)
    seen: Counter[str] = field(default_factory=Counter)
    tables: int = 0
    tables_differing: list[str] = field(default_factory=list)

    def take(self, model: Model, seed: int, patients: int, **how: Any) -> None:
        """Run both engines, and compare events, tables and branches."""
        made = both(model, seed, patients, **how)
        self.comparison.add(compare(made.history, made.all_stories))
        compared, differing = made.differing_tables()
        self.tables += compared
        self.tables_differing += differing
        self.seen += branches(made.all_stories, model)

    def add(self, other: Laid) -> None:
        """Take in another."""
        self.comparison.add(other.comparison)
        self.tables += other.tables
        self.tables_differing += other.tables_differing
        self.seen += other.seen


def catalogue_cases() -> list[tuple[str, str | None, bool, bool]]:
    """Scenario, strategy, never lost, CMV."""
    cases: list[tuple[str, str | None, bool, bool]] = []
    for name in sorted(catalogue_ids()):
        strategies = [s for s, spec in catalogue_model(name).strategies.items() if spec.prophylaxis != "none"]
        cases += [(name, strategy, False, True) for strategy in (None, *strategies)]
        cases += [(name, None, True, True), (name, None, False, False)]
    return cases


def of_the_catalogue(patients: int, *, health: bool = False) -> Laid:
    """All catalogue scenarios under all strategies, without losses, and without CMV."""
    laid = Laid()
    for name, strategy, never_lost, cmv in catalogue_cases():
        laid.take(catalogue_model(name, health=health), 3, patients, strategy=strategy, never_lost=never_lost, cmv=cmv)
    return laid


def of_random_sets(sets: range, patients: int) -> Laid:
    """Random parameter sets."""
    laid = Laid()
    for number in sets:
        random = stress_set(number)
        laid.take(random.model, number, patients, strategy=random.strategy, never_lost=number % 9 == 8)
    return laid


@lru_cache(maxsize=4)
def compared(size: Size) -> Laid:
    """All of it, at the size of a tier."""
    amount = AMOUNTS[size.long]
    laid = of_the_catalogue(amount.catalogue, health=size.long)
    laid.add(of_random_sets(range(FIRST_SET, FIRST_SET + amount.sets), amount.patients))
    return laid


def two_engines(size: Size) -> Iterator[CheckRow]:
    """(r) The pathway engine, written from the model's page alone, gives what the cohort engine gives."""
    laid, source = compared(size), "the other engine"
    c = laid.comparison
    exact = sum(kind.exact for kind in c.kinds.values())
    yield near(f"patients of {c.patients:,} who differ", 0, len(c.mismatches), 0, source)
    mismatches = sum(kind.exact_different for kind in c.kinds.values())
    yield near(f"entries of {exact:,} that must be the same and are not", 0, mismatches, 0, source)
    for what, loads in (("load, log10 or relative", True), ("time or other number, days or relative", False)):
        largest, number = _largest(c, loads=loads)
        yield near(f"largest difference of a {what} ({number:,} compared)", 0, largest, 0, source, more=TOLERANCE)
    yield near(f"study tables of {laid.tables:,} that differ by a byte", 0, len(laid.tables_differing), 0, source)
    if size.long:
        name, fewest = min(laid.seen.items(), key=lambda item: (item[1], item[0]))
        label = f"patients through the rarest of {len(laid.seen)} branches ({name})"
        yield within(label, REACHED, math.inf, fewest, 0, "so that no rule goes untested")


def _largest(comparison: Comparison, *, loads: bool) -> tuple[float, int]:
    """Largest difference of the numbers that are loads, or are not, and how many there were."""
    mine = [kind for name, kind in comparison.kinds.items() if (name.rsplit(" ", 1)[-1] in LOADS) == loads]
    return max((kind.largest for kind in mine), default=0.0), sum(kind.compared - kind.exact for kind in mine)


def page(size: Size) -> str:
    """``engines.md``: what was compared, kind by kind, and the branches."""
    laid, amount = compared(size), AMOUNTS[size.long]
    c = laid.comparison
    differing = len(laid.tables_differing)
    lines = [
        "# Two engines",
        "",
        f"The {size.name} tier of the comparison ([model.md](../model.md), section 18).",
        "",
        f"{c.patients:,} patients: {len(catalogue_cases())} cases of the catalogue's scenarios (strategies, no loss, CMV off)",
        f"with {2 * amount.catalogue:,} patients each, and {amount.sets:,} random parameter sets with {2 * amount.patients:,}.",
        f"{c.events:,} entries compared; {len(c.mismatches):,} patients differ.",
        f"{laid.tables:,} study tables written from each engine; {differing:,} differ by a byte.",
        "",
        "Numbers may differ by 1e-9 (days, log10; above 1,000 relative to a thousandth); all else must be the same.",
        "",
        "| entry | compared | of these exactly | differ | largest difference |",
        "|---|---|---|---|---|",
        *(_kind_row(name, kind) for name, kind in sorted(c.kinds.items())),
        "",
        "## Branches",
        "",
        "| branch | patients |",
        "|---|---|",
        *(f"| {name} | {number:,} |" for name, number in sorted(laid.seen.items(), key=lambda item: (item[1], item[0]))),
    ]
    return "\n".join(lines) + "\n"


def _kind_row(name: str, kind: Kind) -> str:
    largest = "" if kind.exact == kind.compared else f"{kind.largest:.2g}"
    return f"| {name} | {kind.compared:,} | {kind.exact:,} | {kind.different:,} | {largest} |"
