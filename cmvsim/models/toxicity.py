"""Section 3, windows: courses of corticosteroids and tocilizumab, during which the risk of reactivation is higher.

A course is a window [start, stop) followed by a wash-out over which the log hazard ratio declines to 0. The decline
goes in steps: on each step the hazard is its value at the step's beginning (model.md, time). Both courses are linked
by one latent severity: who needs one is more likely to need the other.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from pydantic import model_validator
from scipy import special

from cmvsim.core.errors import Problem, did_you_mean
from cmvsim.core.quantities import Correlation, Days, PositiveDays, Probability, VaryingDays
from cmvsim.core.spec import Spec
from cmvsim.core.streams import Draws
from cmvsim.core.value import Value
from cmvsim.models.population import Disease, Population, PopulationSpec
from cmvsim.models.time_grid import on_grid
from cmvsim.models.windows import Windows

Drug = Literal["corticosteroids", "tocilizumab"]
DRUGS: tuple[Drug, ...] = get_args(Drug)


class CourseSpec(Spec):
    """Use of one drug against toxicity.

    Attributes
    ----------
    use
        Probability of at least one course, by disease and product.
    start, duration
        Day of the first dose and days on the drug.
    washout
        Days over which the log hazard ratio declines to 0 after the last dose.
    """

    use: dict[Disease, dict[str, Probability]]
    start: VaryingDays
    duration: VaryingDays
    washout: Days


class ToxicitySpec(Spec):
    """Toxicity treatments, linked by a latent severity."""

    corticosteroids: CourseSpec
    tocilizumab: CourseSpec
    severity_loading: Correlation
    washout_step: PositiveDays

    @model_validator(mode="after")
    def _check(self) -> ToxicitySpec:
        if float(self.washout_step) < 1:
            raise ValueError(f"washout_step = {float(self.washout_step):g}: steps are at least a day long")
        return self

    def check(self, population: PopulationSpec, where: str) -> list[Problem]:
        """Problems of products that are named here and in no stratum, or the other way round."""
        problems = []
        for drug in DRUGS:
            table: dict[str, dict[str, Value]] = getattr(self, drug).use
            needed = {(stratum.disease, name) for stratum in population.strata.values() for name in stratum.products}
            given = {(disease, name) for disease, row in table.items() for name in row}
            at = f"toxicity.{drug}.use"
            problems += [
                Problem(f"{disease} has no probability of {drug} with '{name}'", where, f"{at}.{disease}")
                for disease, name in sorted(needed - given)
            ]
            problems += [
                Problem(
                    f"no stratum gives '{name}' for {disease}",
                    where,
                    f"{at}.{disease}.{name}",
                    did_you_mean(name, (other for d, other in needed if d == disease)),
                )
                for disease, name in sorted(given - needed)
            ]
        return problems


def courses(spec: ToxicitySpec, drug: Drug, population: Population, draws: Draws) -> Windows:
    """Courses of `drug` for all patients of a chunk, on the operational grid."""
    course: CourseSpec = getattr(spec, drug)
    loading = float(spec.severity_loading)
    latent = loading * draws("toxicity.severity") + np.sqrt(1 - loading**2) * draws(f"toxicity.{drug}.use")
    rows = [course.use.get(stratum.disease, {}) for stratum in population.spec.strata.values()]
    use = np.array([[float(row[name]) if name in row else 0.0 for name in population.spec.products] for row in rows])
    cell = population.stratum * use.shape[1] + population.product
    treated = np.flatnonzero(latent > special.ndtri(1 - use).ravel().take(cell))
    first = on_grid(course.start.of_normal(draws(f"toxicity.{drug}.start")[treated]))
    start, stop = np.full(latent.shape, np.inf), np.full(latent.shape, np.inf)
    start[treated] = first
    stop[treated] = first + on_grid(course.duration.of_normal(draws(f"toxicity.{drug}.duration")[treated]))
    return Windows(start, stop)
