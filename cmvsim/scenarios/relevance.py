"""Which inputs of a scenario concern nobody and nothing in it: they are neither explained nor counted nor cited.

A section that a scenario inherits may describe what it never does: a drug that no strategy gives, patients of whom
there are none, a matrix or a site that is not sampled.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cmvsim.models.capacity import PARTS
from cmvsim.models.virome import VIRUSES
from cmvsim.scenarios.scenario import Scenario

_RECRUITED = re.compile(
    r"(accrual|capacity)\..*|population\.(seropositive_enrolled|retrospective_share)|population\.strata\.\w+\.(share|seropositive_share)"
    r"|study\.inclusion|monitoring\.(schedule|jitter)"
)


def bears_on_patients(path: str) -> bool:
    """Whether an input bears on what happens to a patient: not recruitment, shared beds, nor how they are valued."""
    return not path.startswith(("accrual.", "capacity.", "economics."))


def bears_on_recruitment(path: str) -> bool:
    """Whether an input bears on enrolment, last visits, how many are screened, or what patients share meanwhile."""
    return _RECRUITED.fullmatch(path) is not None


def gives_letermovir(scenario: Scenario) -> bool:
    """Whether any strategy gives it."""
    return any(strategy.prophylaxis == "letermovir" for strategy in scenario.strategies.values())


@dataclass(frozen=True, slots=True)
class Idle:
    """Key paths that concern nothing.

    Attributes
    ----------
    starts
        Beginnings of key paths.
    strata
        Strata that nobody is in.
    cells
        ``.disease.product`` of pairs that nobody has.
    """

    starts: tuple[str, ...]
    strata: tuple[str, ...]
    cells: tuple[str, ...]

    @classmethod
    def of(cls, scenario: Scenario) -> Idle:
        """What is idle in a scenario."""
        strata = scenario.population.strata
        used = {
            (s.disease, product)
            for s in strata.values()
            for product, share in s.products.items()
            if float(s.share) > 0 and float(share) > 0
        }
        cells = tuple(
            f".{disease}.{product}" for disease, product in scenario.population.cells if (disease, product) not in used
        )
        empty = tuple(name for name, s in strata.items() if float(s.share) == 0)
        return cls((*_letermovir(scenario), *_not_sampled(scenario), *_not_recruiting(scenario)), empty, cells)

    def __contains__(self, path: str) -> bool:
        if path.startswith(self.starts):
            return True
        if any(cell == path[-len(cell) :] or f"{cell}." in path for cell in self.cells):
            return True
        parts = path.split("[", 1)[0].split(".")
        if path.startswith("population.strata."):
            return parts[2] in self.strata and parts[3] != "share"
        return parts[-1] in self.strata


def _not_recruiting(scenario: Scenario) -> Iterator[str]:
    accrual, population = scenario.accrual, scenario.population
    if not accrual.recruits(population):
        yield from ("accrual.", "capacity.")
        return
    yield from (f"capacity.{part}." for part in PARTS if part not in scenario.capacity.limits)
    active = accrual.active(population)
    yield from (f"accrual.sites.{group}." for group in accrual.sites if group not in active)


def _letermovir(scenario: Scenario) -> Iterator[str]:
    drug = scenario.letermovir
    if not gives_letermovir(scenario):
        yield from ("letermovir.", "resistance.letermovir", "economics.")  # nothing is valued where there is no choice
        return
    if drug.effect != "solved":
        yield "letermovir.targets."
    if drug.effect != "given":
        yield "letermovir.given."
    if not drug.acts:
        yield from ("letermovir.disease_ratio", "letermovir.rebound.", "resistance.letermovir")


def _not_sampled(scenario: Scenario) -> Iterator[str]:
    measured = {target.measured_by.matrix for target in scenario.cmv.targets if target.measured_by is not None}
    matrices = {scenario.monitoring.matrix.value, *measured}
    yield from (f"cmv.matrices.{matrix}." for matrix in scenario.cmv.matrices if matrix not in matrices)
    for name in VIRUSES:
        virus = getattr(scenario.virome, name)
        for table in ("baseline", "incident.by_90"):
            sites = virus.baseline if table == "baseline" else virus.incident.by_90
            yield from (f"virome.{name}.{table}.{site}" for site in sites if site != virus.sampled.value)
