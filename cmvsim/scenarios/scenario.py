"""The scenario: the families' specifications composed, and its resolved form with a digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field

from cmvsim.core.canonical import digest
from cmvsim.core.errors import InputError, Problem, did_you_mean
from cmvsim.core.quantities import PositiveDays, StudyDay
from cmvsim.core.spec import Spec
from cmvsim.core.value import Value
from cmvsim.designs import AnyDesign, Surroundings
from cmvsim.endpoints import ENDPOINTS, AnalysisSpec
from cmvsim.endpoints.arms import FACTORS
from cmvsim.endpoints.comparison import compared_by, rates
from cmvsim.models.accrual import AccrualSpec
from cmvsim.models.capacity import CapacitySpec
from cmvsim.models.cmv import CheckSpec, CmvSpec, TargetSpec
from cmvsim.models.follow_up import FollowUpSpec
from cmvsim.models.infections import InfectionsSpec
from cmvsim.models.kinetics import KineticsSpec
from cmvsim.models.monitoring import MonitoringSpec
from cmvsim.models.population import PopulationSpec
from cmvsim.models.quality_of_life import QualityOfLifeSpec
from cmvsim.models.resistance import ResistanceSpec
from cmvsim.models.resources import ResourcesSpec
from cmvsim.models.strategies import LetermovirSpec, StrategySpec, check_strategies
from cmvsim.models.toxicity import ToxicitySpec
from cmvsim.models.treatment import TreatmentSpec
from cmvsim.models.viral_load import Matrix, matrix_of
from cmvsim.models.virome import ViromeSpec
from cmvsim.valuation import price_lists, value_sets
from cmvsim.valuation.economics import EconomicsSpec

FORMAT = 1


class StudySpec(Spec):
    """The study as registered.

    Attributes
    ----------
    patients
        Patients enrolled, all arms together.
    inclusion
        Study day of inclusion (lymphodepletion), at or before infusion.
    horizon
        Last simulated day.
    """

    registry: str = ""
    patients: Annotated[int, Field(ge=1, le=1_000_000)]
    inclusion: StudyDay
    horizon: PositiveDays


class Scenario(Spec):
    """A validated scenario: every reference followed, every default explicit."""

    format: Literal[1]
    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
    title: str
    study: StudySpec
    population: PopulationSpec
    accrual: AccrualSpec
    kinetics: KineticsSpec
    toxicity: ToxicitySpec
    virome: ViromeSpec
    cmv: CmvSpec
    monitoring: MonitoringSpec
    preemptive_therapy: TreatmentSpec
    infections: InfectionsSpec
    resistance: ResistanceSpec
    follow_up: FollowUpSpec
    letermovir: LetermovirSpec
    resources: ResourcesSpec
    quality_of_life: QualityOfLifeSpec
    capacity: CapacitySpec = CapacitySpec()
    strategies: dict[str, StrategySpec]
    analysis: AnalysisSpec
    designs: dict[str, AnyDesign]
    economics: EconomicsSpec | None = None

    def check(self, where: str) -> None:
        """Check what no family can see alone.

        Raises
        ------
        InputError
            With every problem.
        """
        strata = tuple(self.population.strata)
        problems = self.follow_up.check(strata, where) + self.accrual.check(self.population, where)
        problems += self.resources.initial_stay.check(self.population, where)
        problems += self.quality_of_life.check(strata, float(self.study.horizon), value_sets(), where)
        problems += self.kinetics.check(self.population, where) + self.toxicity.check(self.population, where)
        problems += self.virome.check(min(float(self.study.inclusion), 0.0), where)
        problems += [
            Problem(f"there is no endpoint '{name}'", where, "analysis.endpoints", did_you_mean(name, ENDPOINTS))
            for name in self.analysis.endpoints
            if name not in ENDPOINTS
        ]
        problems += self._check_days(where)
        problems += self.infections.check(float(self.study.horizon), where)
        stop = self.preemptive_therapy.stop_after
        if float(stop.maximum_days) < float(stop.minimum_days):
            problems.append(
                Problem(
                    f"maximum_days ({float(stop.maximum_days):g}) is below minimum_days ({float(stop.minimum_days):g})",
                    where,
                    "preemptive_therapy.stop_after",
                )
            )
        problems += self._check_matrices(where) + self._check_testing(where)
        level = self.analysis.definition.level
        if level is not None and level < float(self.monitoring.lloq):
            problems.append(
                Problem(
                    f"at_least = {level:g} is below the limit of quantification of the assay "
                    f"({float(self.monitoring.lloq):g} IU/mL)",
                    where,
                    "analysis.definition",
                )
            )
        first, last = float(self.study.inclusion), float(self.study.horizon)
        problems += check_strategies(self.strategies, first, last, self._ttv_visits, where)
        if self.economics is not None:
            doses = [float(plan.dose) for plan in self.strategies.values() if plan.dose is not None]
            diseases = [stratum.disease for stratum in self.population.strata.values()]
            problems += self.economics.check(diseases, doses, price_lists(), value_sets(), where)
        if not self.designs:
            problems.append(Problem("at least one is needed", where, "designs"))
        for name, design in self.designs.items():
            problems += design.check(self.surroundings, where, f"designs.{name}")
        if problems:
            raise InputError(problems)

    @property
    def surroundings(self) -> Surroundings:
        """What designs may name."""
        return Surroundings(
            strategies=tuple(self.strategies),
            factors=FACTORS,
            endpoints={name: compared_by(entry) for name, entry in ENDPOINTS.items()},
            rates=rates(),
            designs=tuple(self.designs),
            level=self.analysis.level,
            primary=self.analysis.primary,
        )

    @property
    def _ttv_visits(self) -> tuple[int, ...] | None:
        """Planned days on which TTV is measured; None where the scenario has no section that says so."""
        visits = getattr(getattr(self, "virome", None), "visits", None)
        return tuple(getattr(visits, "value", visits)) if visits is not None else None

    def _check_days(self, where: str) -> list[Problem]:
        problems = []
        days, window, horizon = self.monitoring.days, self.analysis.window, float(self.study.horizon)
        last = days[-1] + float(self.monitoring.jitter)
        if last > horizon:
            problems.append(
                Problem(
                    f"the last visit may fall on day {last:g}, after the horizon ({horizon:g})",
                    where,
                    "study.horizon",
                    "a later horizon",
                )
            )
        if window > horizon:
            problems.append(
                Problem(
                    f"the window ends on day {window}, after the horizon ({horizon:g})",
                    where,
                    "study.horizon",
                    "a later horizon",
                )
            )
        elif days[-1] < window:  # the closing window is for visits made late: it looks at nobody after the last one
            problems.append(
                Problem(
                    f"the last visit is on day {days[-1]}, but events are counted to day {window}",
                    where,
                    "monitoring.schedule",
                    f"a visit at day {window}, e.g. {{ at = {window} }}; or analysis.window = {days[-1]}",
                )
            )
        problems += self._check_figures(where)
        if float(self.study.inclusion) > 0:
            problems.append(Problem("inclusion is at or before infusion", where, "study.inclusion", "allowed: 0 or negative"))
        elif any(day < float(self.study.inclusion) for day in self.monitoring.baseline.value):
            problems.append(Problem("a baseline sample is planned before inclusion", where, "monitoring.baseline"))
        return problems

    def _check_matrices(self, where: str) -> list[Problem]:
        """Matrices that are not described, and numbers of the catalogue that are of another matrix than the one sampled."""
        plan, therapy = self.monitoring, self.preemptive_therapy
        used: list[tuple[Matrix, dict[str, Value]]] = [
            (
                plan.matrix.value,
                {
                    "monitoring.lod": plan.lod,
                    "monitoring.lloq": plan.lloq,
                    "preemptive_therapy.start_at": therapy.start_at,
                    "preemptive_therapy.accepted": therapy.accepted,
                },
            )
        ]
        by = self.cmv.targets[0].measured_by  # both targets are measured the same way
        if by is not None:
            names = ("lod", "lloq", "treated_from", "treated_share")
            used.append((by.matrix, {f"cmv.targets[0].measured_by.{name}": getattr(by, name) for name in names}))
        problems = [
            Problem(f"the matrix '{matrix}' is sampled but not described", where, "cmv.matrices")
            for matrix in {matrix for matrix, _ in used}
            if matrix not in self.cmv.matrices
        ]
        for matrix, numbers in used:
            for at, number in numbers.items():
                other = matrix_of(number.evidence)
                if other is not None and other != matrix:
                    entry = f"{str(number.evidence).removesuffix(other)}{matrix}"
                    problems.append(
                        Problem(
                            f"{float(number):g} is @{number.evidence}, but the matrix sampled is '{matrix}'",
                            where,
                            at,
                            f'"@{entry}", or a number of your own for {matrix}',
                        )
                    )
        return problems

    def _check_testing(self, where: str) -> list[Problem]:
        """Tests that clinicians ask for, and admission, against inclusion."""
        problems = []
        first, clinical = float(self.study.inclusion), self.monitoring.clinical
        if clinical is None and float(self.population.retrospective_share) > 0:
            problems.append(
                Problem(
                    "the retrospective part has no protocol visits, and nothing says when clinicians test",
                    where,
                    "population.retrospective_share",
                    "a section [monitoring.clinical], or 0",
                )
            )
        if clinical is not None and clinical.phases[0].start > first:
            problems.append(
                Problem(
                    f"the first phase begins on day {clinical.phases[0].start}, after inclusion (day {first:g})",
                    where,
                    "monitoring.clinical.phases",
                    f"a first phase with start = {first:g} or earlier",
                )
            )
        admission = float(self.resources.initial_stay.admission)
        if admission < first <= 0:
            problems.append(
                Problem(
                    f"admission on day {admission:g} is before inclusion (day {first:g}), with which the simulation begins",
                    where,
                    "resources.initial_stay.admission",
                    f"a day from {first:g} to 0",
                )
            )
        return problems

    def _check_figures(self, where: str) -> list[Problem]:
        """Targets and checks that the simulated time or the assay does not reach."""
        problems = []
        horizon = float(self.study.horizon)
        kinds: dict[str, tuple[TargetSpec | CheckSpec, ...]] = {"target": self.cmv.targets, "check": self.cmv.checks}
        for kind, figures in kinds.items():
            for index, figure in enumerate(figures):
                by = figure.measured_by if isinstance(figure, TargetSpec) else None
                at, last = f"cmv.{kind}s[{index}]", max(by.to if by is not None else 0, float(figure.day))
                if last > horizon:
                    late = f"the {kind} is measured to day {last:g}, after the horizon ({horizon:g})"
                    problems.append(Problem(late, where, at, "a later horizon"))
                lloq, level = float((by or self.monitoring).lloq), figure.definition.level
                if level is not None and level < lloq:
                    low = f"at_least = {level:g} is below the limit of quantification of its assay ({lloq:g} IU/mL)"
                    problems.append(Problem(low, where, at))
        return problems


@dataclass(frozen=True)
class ResolvedScenario:
    """A scenario ready to run.

    Attributes
    ----------
    spec
        The validated specification.
    source
        Catalogue id or file that it came from.
    overrides
        ``--set`` as given, in order.
    basis
        The scenario that its targets are solved on (``cmv.calibrated_on``), None for itself.
    """

    spec: Scenario
    source: str
    overrides: tuple[str, ...] = ()
    basis: Scenario | None = None

    @property
    def id(self) -> str:
        """Id of the scenario."""
        return self.spec.id

    def as_dict(self) -> dict[str, Any]:
        """The resolved form: JSON-ready, nothing left to default, the basis of calibration beside it."""
        basis = self.basis.model_dump(mode="json", exclude=_NO_PART_OF_THE_BASIS) if self.basis is not None else None
        return {**self.spec.model_dump(mode="json"), BASIS: basis}

    @classmethod
    def of_dict(cls, tree: Mapping[str, Any], *, source: str, overrides: tuple[str, ...] = ()) -> ResolvedScenario:
        """Inverse of :meth:`as_dict`.

        Raises
        ------
        InputError
            If the tree is no resolved form.
        """
        own = {key: value for key, value in tree.items() if key != BASIS}
        spec = Scenario.parse(own, where=source)
        basis = tree.get(BASIS)
        rest = {key: own[key] for key in _NO_PART_OF_THE_BASIS if key in own}
        filled = {**rest, **basis} if isinstance(basis, Mapping) else None
        return cls(spec, source, overrides, Scenario.parse(filled, where=source) if filled is not None else None)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what is simulated and analysed; titles, reasons in words and what values strategies are no part of it."""
        return digest(_without_words({key: tree for key, tree in self.as_dict().items() if key != "economics"}))


BASIS = "calibration_basis"
_NO_PART_OF_THE_BASIS = {"analysis", "designs", "strategies", "letermovir", "accrual", "capacity", "economics"}
_WORDS = frozenset({"title", "label", "label_fr", "assumed", "evidence", "registry", "id"})


def _without_words(tree: Any) -> Any:
    if isinstance(tree, Mapping):
        return {key: _without_words(value) for key, value in tree.items() if key not in _WORDS or isinstance(value, Mapping)}
    if isinstance(tree, list):
        return [_without_words(item) for item in tree]
    return tree
