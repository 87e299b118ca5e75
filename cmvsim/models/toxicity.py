"""Section 3, acute toxicity: CRS and ICANS, severe neutropenia, and the windows of the drugs given against them.

CRS depends on product and expansion, ICANS on product and CRS, drugs on product and grades. A course is a window
[start, stop) followed by a wash-out over which the log hazard ratio declines to 0. The decline goes in steps: on each
step the hazard is its value at the step's beginning (model.md, time). Treatment never changes expansion.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from pydantic import model_validator
from scipy import special

from cmvsim.core.errors import Problem
from cmvsim.core.quantities import Correlation, Days, LogOddsPerGrade, PositiveDays, Probability, VaryingDays
from cmvsim.core.records import FloatArray, IntArray
from cmvsim.core.spec import Spec
from cmvsim.core.streams import Draws
from cmvsim.core.value import Between
from cmvsim.models.kinetics import Kinetics
from cmvsim.models.population import Disease, Population, PopulationSpec
from cmvsim.models.time_grid import on_grid
from cmvsim.models.toxicity_laws import GRADES, CellLaws, CellMarginals, UseLaw, latent_slope, solve_cells
from cmvsim.models.windows import Windows

Drug = Literal["corticosteroids", "tocilizumab", "anakinra"]
DRUGS: tuple[Drug, ...] = get_args(Drug)
LED_BY_CRS: frozenset[Drug] = frozenset({"tocilizumab"})
"""Drugs given for CRS alone: its grade decides on them and its onset dates them. The worst grade does for the others."""

Toxic = Literal["crs", "icans"]
SEVERE = 3
STRONGEST_CORRELATION = 0.99

ByCell = dict[Disease, dict[str, Probability]]


class GradedSpec(Spec):
    """A toxicity with grades 0 to 4.

    Attributes
    ----------
    any, severe
        Marginal probability of grade 1 or more, and of grade 3 or more, by disease and product.
    grade_2_share, grade_4_share
        Share of grade 2 among grades 1 and 2, and of grade 4 (or 5) among grades 3 and 4.
    onset, duration
        First day and days of the toxicity, where there is any.
    """

    any: ByCell
    severe: ByCell
    grade_2_share: Probability
    grade_4_share: Probability
    onset: VaryingDays
    duration: VaryingDays

    @model_validator(mode="after")
    def _check_order(self) -> GradedSpec:
        for disease, row in self.severe.items():
            for product, severe in row.items():
                whole = self.any.get(disease, {}).get(product)
                if whole is not None and float(severe) > float(whole):
                    raise ValueError(f"severe.{disease}.{product} ({float(severe):g}) is above any grade ({float(whole):g})")
        return self

    def exceedance(self, disease: Disease, product: str) -> tuple[float, ...]:
        """Marginal probabilities of grade >= 1, >= 2, >= 3 and >= 4."""
        whole, severe = float(self.any[disease][product]), float(self.severe[disease][product])
        return whole, severe + float(self.grade_2_share) * (whole - severe), severe, float(self.grade_4_share) * severe


class IcansSpec(GradedSpec):
    """ICANS.

    Attributes
    ----------
    per_crs_grade
        Log odds ratio per grade of CRS.
    """

    per_crs_grade: LogOddsPerGrade


class NeutropeniaSpec(Spec):
    """Severe neutropenia after lymphodepletion, one window for everybody.

    Attributes
    ----------
    start
        First day below 500 neutrophils per microlitre.
    duration_high, duration_low
        Days below it, by CAR-HEMATOTOX.
    """

    start: VaryingDays
    duration_high: VaryingDays
    duration_low: VaryingDays


class CourseSpec(Spec):
    """Use of one drug against toxicity.

    Attributes
    ----------
    use
        Marginal probability of at least one course, by disease and product.
    per_grade
        Log odds ratio of a course per grade of what leads to it.
    lag, duration
        Days from the onset of the leading toxicity to the first dose, and days on the drug.
    washout
        Days over which the log hazard ratio declines to 0 after the last dose.
    """

    use: ByCell
    per_grade: LogOddsPerGrade
    lag: VaryingDays
    duration: VaryingDays
    washout: Days


class ToxicitySpec(Spec):
    """Acute toxicity and its treatment.

    Attributes
    ----------
    expansion_correlation
        Latent correlation of log Cmax with the severity of CRS.
    """

    expansion_correlation: Correlation
    crs: GradedSpec
    icans: IcansSpec
    neutropenia: NeutropeniaSpec
    corticosteroids: CourseSpec
    tocilizumab: CourseSpec
    anakinra: CourseSpec
    washout_step: PositiveDays

    @model_validator(mode="after")
    def _check(self) -> ToxicitySpec:
        if float(self.washout_step) < 1:
            raise ValueError(f"washout_step = {float(self.washout_step):g}: steps are at least a day long")
        if abs(float(self.expansion_correlation)) > STRONGEST_CORRELATION:
            raise ValueError(
                f"expansion_correlation = {float(self.expansion_correlation):g}: "
                f"at most {STRONGEST_CORRELATION:g} either way, the grade is no function of the peak"
            )
        return self

    def check(self, population: PopulationSpec, where: str) -> list[Problem]:
        """Problems of products that are named here and in no stratum, or the other way round."""
        tables: list[tuple[ByCell, str, str]] = [
            (getattr(getattr(self, name), grade), f"probability of {words} {name.upper()}", f"{name}.{grade}")
            for name in get_args(Toxic)
            for grade, words in (("any", "any"), ("severe", "severe"))
        ]
        tables += [(getattr(self, drug).use, f"probability of {drug}", f"{drug}.use") for drug in DRUGS]
        return [
            problem for table, what, at in tables for problem in population.check_cells(table, what, where, f"toxicity.{at}")
        ]


class Courses(Mapping[Drug, Windows]):
    """Courses by drug, each drawn when first asked for."""

    def __init__(self, toxicity: Toxicity) -> None:
        self._toxicity = toxicity

    def __getitem__(self, drug: Drug) -> Windows:
        return self._toxicity.course(drug)

    def __iter__(self) -> Iterator[Drug]:
        return iter(DRUGS)

    def __len__(self) -> int:
        return len(DRUGS)


@dataclass(frozen=True)
class Toxicity:
    """Acute toxicity of a chunk, each part drawn when first asked for; flat arrays, patient-major.

    Windows are on the operational grid, +inf where there is none.
    """

    spec: ToxicitySpec
    population: Population
    kinetics: Kinetics
    draws: Draws
    _made: dict[Drug, Windows] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def crs_grade(self) -> IntArray:
        """Worst grade of CRS, 0 to 4."""
        return self._grade("crs", latent_slope(float(self.spec.expansion_correlation)), None)

    @cached_property
    def icans_grade(self) -> IntArray:
        """Worst grade of ICANS, 0 to 4."""
        return self._grade("icans", float(self.spec.icans.per_crs_grade), self.crs_grade)

    @cached_property
    def crs(self) -> Windows:
        """From onset to resolution of CRS of any grade."""
        return self.from_grade("crs", 1)

    @cached_property
    def icans(self) -> Windows:
        """From onset to resolution of ICANS of any grade."""
        return self.from_grade("icans", 1)

    @cached_property
    def severe_crs(self) -> Windows:
        """From onset to resolution of CRS of grade 3 or more."""
        return self.from_grade("crs", SEVERE)

    @cached_property
    def severe_icans(self) -> Windows:
        """From onset to resolution of ICANS of grade 3 or more."""
        return self.from_grade("icans", SEVERE)

    @cached_property
    def neutropenia(self) -> Windows:
        """Severe neutropenia."""
        spec, high = self.spec.neutropenia, self.population.hematotox_high
        z = self.draws("toxicity.neutropenia.duration")
        start = on_grid(spec.start.of_normal(self.draws("toxicity.neutropenia.start")))
        days = np.empty(z.shape)
        for law, mine in ((spec.duration_high, np.flatnonzero(high)), (spec.duration_low, np.flatnonzero(~high))):
            days[mine] = law.of_normal(z[mine])
        return Windows(start, start + on_grid(days))

    @property
    def courses(self) -> Mapping[Drug, Windows]:
        """Courses by drug, at most one for each patient."""
        return Courses(self)

    def from_grade(self, toxic: Toxic, grade: int) -> Windows:
        """Windows from onset to resolution of a toxicity, for patients whose worst grade is at least `grade`."""
        worst = self.crs_grade if toxic == "crs" else self.icans_grade
        rows = np.flatnonzero(worst >= grade)
        return _windows(worst.size, rows, self._days(f"{toxic}.onset", rows), self._days(f"{toxic}.duration", rows))

    def course(self, drug: Drug) -> Windows:
        """Courses of a drug."""
        if drug not in self._made:
            self._made[drug] = self._course(drug)
        return self._made[drug]

    def _course(self, drug: Drug) -> Windows:
        u, cell = self.draws(f"toxicity.{drug}.use"), self.population.cell
        by_crs = drug in LED_BY_CRS
        leading = self.crs_grade if by_crs else np.maximum(self.crs_grade, self.icans_grade)
        chance = np.stack([laws.use[DRUGS.index(drug)] for laws in self._laws])
        rows = np.flatnonzero(u < chance.ravel().take(cell * (GRADES + 1) + leading))
        by_icans = np.zeros(rows.size, dtype=bool) if by_crs else self.icans_grade[rows] > self.crs_grade[rows]
        start = np.empty(rows.size)
        start[~by_icans] = self._days("crs.onset", rows[~by_icans])
        if not by_crs:
            start[by_icans] = self._days("icans.onset", rows[by_icans])
        return _windows(u.size, rows, start + self._days(f"{drug}.lag", rows), self._days(f"{drug}.duration", rows))

    def _days(self, name: str, rows: IntArray) -> FloatArray:
        """Days of the law `name` (``crs.onset``) for patients `rows`, on the grid."""
        toxic, _, quantity = name.partition(".")
        law: Between = getattr(getattr(self.spec, toxic), quantity)
        return on_grid(law.of_normal(self.draws(f"toxicity.{name}")[rows]))

    def _grade(self, toxic: Toxic, slope: float, of: IntArray | None) -> IntArray:
        """Number of grades g with U < expit(cut_g + slope x), x being the expansion or the CRS grade."""
        level = special.logit(self.draws(f"toxicity.{toxic}.grade"))
        if slope != 0:
            level = level - slope * (self.kinetics.z_expansion if of is None else of)
        cuts = np.stack([laws.crs_cuts if toxic == "crs" else laws.icans_cuts for laws in self._laws])
        grade = np.zeros(level.shape, dtype=np.int64)
        for column in cuts.T:
            grade += level < column.take(self.population.cell)
        return grade

    @cached_property
    def _laws(self) -> tuple[CellLaws, ...]:
        """The solved laws by cell of the population."""
        spec = self.spec
        slope = latent_slope(float(spec.expansion_correlation))
        cells = tuple(
            CellMarginals(
                spec.crs.exceedance(*cell), spec.icans.exceedance(*cell), tuple(self._use(drug, *cell) for drug in DRUGS)
            )
            for cell in self.population.spec.cells
        )
        return solve_cells(cells, slope, float(spec.icans.per_crs_grade))

    def _use(self, drug: Drug, disease: Disease, product: str) -> UseLaw:
        course: CourseSpec = getattr(self.spec, drug)
        return UseLaw(float(course.use[disease][product]), float(course.per_grade), drug in LED_BY_CRS)


def _windows(size: int, rows: IntArray, first: FloatArray, days: FloatArray) -> Windows:
    """Windows of the patients `rows`, none for the others."""
    start, stop = np.full(size, np.inf), np.full(size, np.inf)
    start[rows] = first
    stop[rows] = first + days
    return Windows(start, stop)
