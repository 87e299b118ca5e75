"""The large fixed cohort on which targets are solved, and what the targets' own monitoring sees in it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cmvsim.core.records import FloatArray
from cmvsim.core.streams import Role
from cmvsim.core.value import Stated, Value
from cmvsim.endpoints import AnalysisSpec, Definition
from cmvsim.endpoints.base import EVENT
from cmvsim.endpoints.reactivation import Reactivation
from cmvsim.models.baseline import Baseline
from cmvsim.models.cmv import TargetSpec
from cmvsim.models.follow_up import TARGET_DAY, DeathRatios
from cmvsim.models.monitoring import MonitoringSpec, ScheduleItem
from cmvsim.scenarios.scenario import Scenario
from cmvsim.simulation.cohort import simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.recording import record

SEED = 0
"""The calibration cohort is the same for every run: solved hazards belong to a scenario, not to a seed."""

PATIENTS_PER_REPLICATE = 256  # 16,384 patients a chunk
FRESH = 1_000_000  # chunks from here on report what was achieved: other patients than those solved on


@dataclass(frozen=True, slots=True)
class Seen:
    """What the targets' monitoring sees in a cohort.

    Attributes
    ----------
    at_risk
        Patients without DNAemia at infusion.
    days
        Visit days, ascending, and 0 before them.
    incidence
        Cumulative incidence of first detection at those days (death and transplantation competing).
    death, non_relapse_death
        Shares dead by day 90, and dead without relapse, by stratum; with the stratum sizes.
    """

    at_risk: int
    days: FloatArray
    incidence: FloatArray
    death: FloatArray
    non_relapse_death: FloatArray
    strata_sizes: FloatArray

    def at(self, day: float) -> float:
        """Incidence at a day, interpolated between visits."""
        return float(np.interp(day, self.days, self.incidence))

    def median(self, day: float) -> float:
        """Day by which half of the incidence at `day` has been detected, on the interpolated curve.

        Not the sample median of visit days, which jumps by days and can have no solution.
        """
        half = self.at(day) / 2
        return float(np.interp(half, self.incidence, self.days))


class Cohort:
    """A fixed cohort, its draws kept so that evaluations share them.

    Parameters
    ----------
    scenario
        Whose targets are measured.
    chunks
        Indices of the chunks of 16,384 patients.
    """

    def __init__(self, scenario: Scenario, chunks: range) -> None:
        self.scenario = scenario
        self._draws = [ChunkDraws(SEED, Role.CALIBRATION, chunk, PATIENTS_PER_REPLICATE) for chunk in chunks]

    def see(self, target: TargetSpec, baseline: Baseline, *, factors: bool = True) -> Seen:
        """Simulate the cohort under the target's measurement.

        The target's figure is net of loss to follow-up, as a published cumulative incidence is.

        Parameters
        ----------
        factors
            Whether the ratios on death act.
        """
        model = as_measured(Model.of(self.scenario, baseline), target)
        if not factors:
            model = replace(model, follow_up=model.follow_up.model_copy(update={"death_ratios": DeathRatios.none()}))
        plan = AnalysisSpec(
            endpoints=("cmv_reactivation",), definition=Definition(name=target.definition), window=int(float(target.day))
        )
        endpoint = Reactivation("target", "", "")
        strata = len(self.scenario.population.strata)
        first = np.zeros(int(float(target.day)) + 1)
        dead, dead_without, sizes, at_risk = np.zeros(strata), np.zeros(strata), np.zeros(strata), 0
        for draws in self._draws:
            history = simulate(model, draws, never_lost=True)
            derived = endpoint.derive(record(history, complete=False), plan)
            first += np.bincount(derived.time[derived.cause == EVENT].astype(np.int64), minlength=first.size)
            at_risk += int((derived.cause >= 0).sum())
            stratum = history.view(history.population.stratum).ravel()
            died = (history.death <= TARGET_DAY).ravel()
            unrelapsed = (history.death <= history.observation.relapse).ravel()
            sizes += np.bincount(stratum, minlength=strata)
            dead += np.bincount(stratum[died], minlength=strata)
            dead_without += np.bincount(stratum[died & unrelapsed], minlength=strata)
        days = np.array([0.0, *(day for day in model.monitoring.days if 0 < day <= plan.window)])
        incidence = np.cumsum(first)[days.astype(np.int64)] / at_risk
        present = np.maximum(sizes, 1)
        return Seen(at_risk, days, incidence, dead / present, dead_without / present, sizes)


def as_measured(model: Model, target: TargetSpec) -> Model:
    """The model under a target's own monitoring and treatment rule."""
    by = target.measured_by
    schedule = (ScheduleItem(every=by.every, to=by.to), ScheduleItem(at=by.to))
    monitoring = MonitoringSpec(
        matrix=Stated(value=by.matrix),
        baseline=Stated(value=(0,)),
        schedule=Stated(value=schedule),
        jitter=Value(value=0.0),
        attendance=by.attendance,
        lod=by.lod,
        lloq=by.lloq,
        assay_sd_log10=by.assay_sd_log10,
        turnaround=by.turnaround,
    )
    treatment = model.treatment.model_copy(update={"start_at": by.treated_from, "accepted": by.treated_share})
    return replace(model, monitoring=monitoring, treatment=treatment)
