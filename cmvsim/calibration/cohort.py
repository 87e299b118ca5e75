"""The large fixed cohort on which targets are solved, and what the targets' own monitoring sees in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cmvsim.calibration.infections import InfectionChunk
from cmvsim.calibration.other_amplitudes import Detections, detections
from cmvsim.core.records import FloatArray
from cmvsim.core.streams import Role
from cmvsim.core.value import Stated, Value
from cmvsim.endpoints import AnalysisSpec
from cmvsim.endpoints.derived import EVENT, RELAPSE
from cmvsim.endpoints.reactivation import Reactivation
from cmvsim.models.baseline import Baseline
from cmvsim.models.cmv import TargetSpec
from cmvsim.models.follow_up import TARGET_DAY, DeathRatios
from cmvsim.models.monitoring import MonitoringSpec, ScheduleItem
from cmvsim.scenarios.scenario import Scenario
from cmvsim.simulation.aftermath import infection_windows, leukaemic
from cmvsim.simulation.background import Background
from cmvsim.simulation.cmv import simulate_cmv
from cmvsim.simulation.cohort import simulate
from cmvsim.simulation.death import death_times
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.processes import cmv_acts_on_infections
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
        Visit days (of a study's own monitoring: days with a first detection), ascending, and 0 before them.
    incidence
        Incidence of first detection at those days, as the target measures it.
    detected
        Crude share detected by then, which the median is of.
    death, non_relapse_death
        Shares dead by day 90, and dead without relapse, by stratum; with the stratum sizes.
    """

    at_risk: int
    days: FloatArray
    incidence: FloatArray
    detected: FloatArray
    death: FloatArray
    non_relapse_death: FloatArray
    strata_sizes: FloatArray

    def at(self, day: float) -> float:
        """Incidence at a day, interpolated between visits."""
        return float(np.interp(day, self.days, self.incidence))

    def median(self, day: float) -> float:
        """Day by which half of the incidence at `day` has been detected."""
        return median_detection(self.days, self.detected, day)


class Cohort:
    """A fixed cohort, its draws kept so that evaluations share them.

    Parameters
    ----------
    scenario
        Whose targets are measured.
    chunks
        Indices of the chunks of 16,384 patients.
    draws
        Their chance, if it was made before: it depends on no scenario, so that cohorts may share it.
    """

    def __init__(self, scenario: Scenario, chunks: range, draws: Sequence[ChunkDraws] | None = None) -> None:
        self.scenario = scenario
        self.draws = chunk_draws(chunks) if draws is None else draws

    def see_infections(self, target: TargetSpec, baseline: Baseline) -> list[InfectionChunk]:
        """What infections depend on in the cohort, deaths being those without factors."""
        model = as_measured(Model.of(self.scenario, baseline), target)
        return [infection_chunk(without_death_ratios(model), draws) for draws in self.draws]

    def backgrounds(self, target: TargetSpec, baseline: Baseline) -> list[Background]:
        """What unfolds before CMV under the target's measurement, for :meth:`see` at several onset hazards."""
        model = as_measured(Model.of(self.scenario, baseline), target)
        return [Background(model, draws, target.measured_by is not None) for draws in self.draws]

    def detections(self, target: TargetSpec, baseline: Baseline) -> Detections:
        """Who is detected under the target's own monitoring in the first chunk, no ratio on death acting."""
        return detections(without_death_ratios(as_measured(Model.of(self.scenario, baseline), target)), self.draws[0], target)

    def see(
        self,
        target: TargetSpec,
        baseline: Baseline,
        *,
        factors: bool = True,
        backgrounds: Sequence[Background] | None = None,
    ) -> Seen:
        """Simulate the cohort under the target's measurement.

        Under a monitoring of its own the target's figure is net of loss to follow-up, as a published cumulative incidence
        is; under the study's, patients leave as they do there, and the figure is the Aalen-Johansen estimate or the crude
        share.

        Parameters
        ----------
        factors
            Whether the ratios on death act.
        backgrounds
            Of :meth:`backgrounds`, if they were made before.
        """
        model, own = as_measured(Model.of(self.scenario, baseline), target), target.measured_by is None
        if not factors:
            model = without_death_ratios(model)
        window = int(float(target.day))
        plan = AnalysisSpec(endpoints=("cmv_reactivation",), definition=target.definition, window=window)
        if own:
            plan = self.scenario.analysis.model_copy(update={"definition": target.definition, "window": window})
        endpoint = Reactivation("target", "", "")
        strata = len(self.scenario.population.strata)
        exits = np.zeros((RELAPSE + 1, window + 1))
        dead, dead_without, sizes, at_risk = np.zeros(strata), np.zeros(strata), np.zeros(strata), 0
        for chunk, draws in enumerate(self.draws):
            background = backgrounds[chunk] if backgrounds is not None else None
            history = simulate(model, draws, never_lost=not own, background=background)
            derived = endpoint.derive(record(history, frozenset()), plan)
            for cause in range(RELAPSE + 1):
                left = derived.time[derived.cause == cause].astype(np.int64)
                exits[cause] += np.bincount(left, minlength=window + 1)
            at_risk += int((derived.cause >= 0).sum())
            stratum = history.view(history.population.stratum).ravel()
            died = (history.death <= TARGET_DAY).ravel()
            unrelapsed = (history.death <= history.observation.relapse).ravel()
            sizes += np.bincount(stratum, minlength=strata)
            dead += np.bincount(stratum[died], minlength=strata)
            dead_without += np.bincount(stratum[died & unrelapsed], minlength=strata)
        days = np.array([0.0, *(day for day in model.monitoring.days if 0 < day <= window)])
        detections = exits[EVENT]
        if own:  # visits come early or late, and unplanned tests on any day
            detections = as_planned(detections, model.monitoring)
            days = nodes(detections)
        at = days.astype(np.int64)
        detected = np.cumsum(detections)[at] / at_risk
        leaving = own and target.measure != "share_reaching"
        incidence = cumulative_incidence(exits)[at] if leaving else detected
        present = np.maximum(sizes, 1)
        return Seen(at_risk, days, incidence, detected, dead / present, dead_without / present, sizes)


def infection_chunk(model: Model, draws: ChunkDraws) -> InfectionChunk:
    """What infections depend on in one chunk of a model in which nothing but relapse and time acts on death."""
    background = Background(model, draws, never_lost=True)
    course = None
    if cmv_acts_on_infections(model):
        course = simulate_cmv(model, draws, background, episodes=True, path=False, full_attendance=True)
    died = death_times(
        model.follow_up,
        model.baseline,
        background.population.stratum,
        None,
        background.follow_up.relapse,
        None,
        None,
        None,
        None,
        draws,
    )
    return InfectionChunk(
        background.population.score,
        leukaemic(model, background),
        *infection_windows(model, background, course),
        np.minimum(died, background.follow_up.hct),
        draws,
    )


def chunk_draws(chunks: range) -> list[ChunkDraws]:
    """The chance of chunks of 16,384 patients."""
    return [ChunkDraws(SEED, Role.CALIBRATION, chunk, PATIENTS_PER_REPLICATE) for chunk in chunks]


def as_planned(detections: FloatArray, plan: MonitoringSpec) -> FloatArray:
    """Detections by day, those of a visit made early or late on its planned day: jitter would make steps of the curve."""
    moved = detections.copy()
    last, jitter = detections.size - 1, int(float(plan.jitter))
    for planned in (day for day in plan.days if 0 < day <= last):
        near = slice(max(planned - jitter, 0), min(planned + jitter, last) + 1)
        moved[near] = 0
        moved[planned] = detections[near].sum()
    return moved


def nodes(events: FloatArray) -> FloatArray:
    """Days between which an incidence curve is read off linearly: 0, those with an event, and the last."""
    return np.unique(np.concatenate([[0], np.flatnonzero(events), [events.size - 1]])).astype(np.float64)


def median_detection(days: FloatArray, detected: FloatArray, day: float) -> float:
    """Day by which half of those detected by `day` have been, on the interpolated curve.

    Not the sample median of visit days, which jumps by days and can have no solution.
    """
    half = float(np.interp(day, days, detected)) / 2
    return float(np.interp(half, detected, days))


def median_error(days: FloatArray, detected: FloatArray, median: float, day: float, patients: int) -> float:
    """Standard error of :func:`median_detection`.

    A patient detected by `day` lies on either side of the median: among those, the variance of the share before it is
    1 / (4 n p). Delta method over the density there, taken over a week.
    """
    by, ahead, behind = (float(np.interp(x, days, detected)) for x in (day, median + 3.5, median - 3.5))
    return float(0.5 * np.sqrt(by / patients) / max((ahead - behind) / 7, 1e-9))


def cumulative_incidence(exits: FloatArray) -> FloatArray:
    """Aalen-Johansen estimate at each whole day, from counts of exits.

    Parameters
    ----------
    exits
        (causes, days + 1) patients who leave by day 0, 1, ... with each cause: 0 censored, 1 the event, the rest compete.
    """
    left = exits.sum(axis=0)
    at_risk = np.maximum(left[::-1].cumsum()[::-1], 1)
    surviving = np.concatenate([[1.0], np.cumprod(1 - exits[1:].sum(axis=0) / at_risk)[:-1]])
    curve: FloatArray = np.cumsum(surviving * exits[EVENT] / at_risk)
    return curve


def without_death_ratios(model: Model) -> Model:
    """The model in which nothing but relapse and time acts on death."""
    return replace(model, follow_up=model.follow_up.model_copy(update={"death_ratios": DeathRatios.none()}))


def as_measured(model: Model, target: TargetSpec) -> Model:
    """The model under a target's own monitoring and treatment rule; as it is where that is the study's."""
    by = target.measured_by
    if by is None:
        return model
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
        assay_sd_between_sites=Value(value=0.0),
        turnaround=by.turnaround,
    )
    treatment = model.treatment.model_copy(update={"start_at": by.treated_from, "accepted": by.treated_share})
    population = model.population.model_copy(update={"retrospective_share": Value(value=0.0)})  # all follow the schedule
    return replace(model, monitoring=monitoring, treatment=treatment, population=population)
