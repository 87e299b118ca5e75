"""The two engines side by side: every event of every patient, with the largest difference of each kind."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cmvsim.core.ledger import Item
from cmvsim.models.history import History
from cmvsim.simulation.pathway.records import PatientHistory
from cmvsim.simulation.pathway.told import Told, told_by_cohort, told_by_pathway

TOLERANCE = 1e-9
"""Days for times; relative for larger numbers."""


@dataclass(slots=True)
class Kind:
    """What was compared of one kind of entry: how many, how many differ, and the largest difference of numbers.

    Attributes
    ----------
    exact, exact_different
        Of these, entries that must be the same: what is no number, or is in one engine only.
    """

    compared: int = 0
    different: int = 0
    largest: float = 0.0
    exact: int = 0
    exact_different: int = 0


@dataclass(slots=True)
class Comparison:
    """The result of a comparison.

    Attributes
    ----------
    patients
        Compared.
    kinds
        By kind of entry, its numbers left out ("sample result").
    mismatches
        Patients that differ, with both stories in words.
    """

    patients: int = 0
    kinds: dict[str, Kind] = field(default_factory=dict)
    mismatches: list[str] = field(default_factory=list)

    @property
    def events(self) -> int:
        """Entries compared."""
        return sum(kind.compared for kind in self.kinds.values())

    def table(self) -> str:
        """What was compared, in lines."""
        rows = [
            f"{name:<44} {kind.compared:>9,} {kind.different:>9,} {kind.largest:>11.2g}"
            for name, kind in sorted(self.kinds.items())
        ]
        head = f"{'entry':<44} {'compared':>9} {'different':>9} {'largest':>11}"
        return "\n".join([f"{self.patients:,} patients, {len(self.mismatches):,} differ", head, *rows])

    def add(self, other: Comparison) -> None:
        """Take in another comparison."""
        self.patients += other.patients
        self.mismatches += other.mismatches
        for name, kind in other.kinds.items():
            mine = self.kinds.setdefault(name, Kind())
            mine.compared += kind.compared
            mine.different += kind.different
            mine.largest = max(mine.largest, kind.largest)
            mine.exact += kind.exact
            mine.exact_different += kind.exact_different


def compare(history: History, stories: Iterable[PatientHistory], tolerance: float = TOLERANCE) -> Comparison:
    """Compare stories of the pathway engine with a history of the cohort engine.

    Parameters
    ----------
    history
        Of the same model, draws, strategy and switches; what it does not hold is not compared.
    stories
        From :func:`cmvsim.simulation.pathway.engine.simulate_pathway`.
    tolerance
        Days; for numbers above 1,000, relative to a thousandth of them.
    """
    result = Comparison()
    absent = absent_from(history)
    for story in stories:
        cohort = told_by_cohort(history, story.patient, story.replicate)
        pathway = {name: value for name, value in told_by_pathway(story).items() if not absent(name)}
        different = [name for name in sorted({*cohort, *pathway}) if _count(result, name, cohort, pathway, tolerance)]
        result.patients += 1
        if different:
            result.mismatches.append(side_by_side(story, cohort, pathway, different))
    return result


def absent_from(history: History) -> Callable[[str], bool]:
    """Whether an entry is of what the history does not hold."""
    parts = (
        (history.episodes, ("episode ", "knot ")),
        (history.infections, ("bacterial ", "fungal ")),
        (history.sequencing, ("resistance ", "strain ", "sequencing ")),
        (history.stays, ("stay ", "icu stay ", "planned stay ")),
        (history.questionnaires, ("questionnaire ",)),
        (history.ledger, tuple(f"{item.value} (" for item in Item)),
    )
    prefixes = tuple(prefix for part, names in parts if part is None for prefix in names)
    return lambda name: name.startswith(prefixes) if prefixes else False


def kind_of(name: str) -> str:
    """The entry's name without its numbers."""
    return re.sub(r" -?\d+[^ ]* ", " ", name)


def _count(result: Comparison, name: str, cohort: Told, pathway: Told, tolerance: float) -> bool:
    """Count an entry; True if the engines differ."""
    kind = result.kinds.setdefault(kind_of(name), Kind())
    kind.compared += 1
    a, b = cohort.get(name), pathway.get(name)
    if isinstance(a, float) and isinstance(b, float):
        difference = abs(a - b) / max(1.0, abs(a) / 1000)
        kind.largest = max(kind.largest, difference)
        same = difference <= tolerance
    else:
        same = type(a) is type(b) and a == b
        kind.exact += 1
        kind.exact_different += not same
    kind.different += not same
    return not same


def side_by_side(story: PatientHistory, cohort: Told, pathway: Told, different: list[str]) -> str:
    """Both stories in words, in order of time; what differs is marked."""
    both = {**cohort, **pathway}

    def begins(name: str) -> float:
        """When what an entry is of began."""
        subject = name.rsplit(" ", 1)[0]
        found = (both.get(f"{subject} {first}") for first in ("onset", "start", "time"))
        return next((value for value in found if isinstance(value, float)), -math.inf)

    lines = [
        f"patient {story.patient} of replicate {story.replicate}: {len(different)} entries differ",
        f"  {'':<44} {'cohort engine':>24} {'pathway engine':>24}",
    ]
    for name in sorted(both, key=lambda name: (begins(name), name)):
        mark = "!" if name in different else " "
        lines.append(f"{mark} {name:<44} {_shown(cohort.get(name)):>24} {_shown(pathway.get(name)):>24}")
    return "\n".join(lines)


def _shown(value: float | int | str | None) -> str:
    return "-" if value is None else f"{value:.12g}" if isinstance(value, float) else str(value)
