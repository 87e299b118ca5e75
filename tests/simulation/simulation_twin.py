"""A slow second account of one patient's CMV course, event by event, written from the statement of the model (5 to 9, 16).

It shares with the engine the specifications, the random variates, the inverse-CDF maps of `Between` and what comes before
CMV (sections 1 to 4, 12, 15); everything that unfolds in time is written here again, with an agenda of absolute times and
ranks instead of one state vector. The doctors' part is in `simulation_twin_care`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from simulation_twin_load import INF, Episode
from simulation_twin_traits import Traits, letermovir_factor

from cmvsim.simulation.model import Model

RESULT, STOP, TOXICITY, START, ACT, CLEAR, DISEASE, ONSET, SAMPLE = range(9)  # ranks of simultaneous events


@dataclass
class Told:
    """What the twin says happened."""

    episodes: list[Episode] = field(default_factory=list)
    treatments: list[list[float]] = field(default_factory=list)
    spells: list[tuple[int, list[float]]] = field(default_factory=list)
    neutropenia: tuple[float, float] = (INF, INF)
    kidney_injury: float = INF
    disease: float = INF
    organ: int = -1
    letermovir: tuple[float, float] = (INF, INF)
    samples: dict[tuple[str, int], tuple[float, int, float, bool]] = field(default_factory=dict)
    margins: list[float] = field(default_factory=list)
    branches: set[str] = field(default_factory=set)


class Virus:
    """The virus in one patient: onset, load, clearance, disease; and the agenda of events."""

    def __init__(self, model: Model, x: Traits) -> None:
        self.m, self.x, self.told = model, x, Told()
        self.agenda: dict[int, float] = {}
        self.open: Episode | None = None
        self.law, self.hazard = x.law, x.disease
        self.letermovir = (x.letermovir.start, x.letermovir.stop)
        self.waiting_since, self.clock = 0.0, INF
        self.disease_clock, self.disease_since = x.disease_clock, 0.0
        self.on_treatment, self.first_spell, self.acting = False, True, False
        if x.first_onset <= model.horizon:
            self.agenda[ONSET] = x.first_onset

    @property
    def running(self) -> Episode:
        """The running episode."""
        assert self.open is not None
        return self.open

    # -- onset and clearance (5, 6) ----------------------------------------------------------------------------
    def set_point(self, k: int, t: float) -> float:
        """Set-point of episode k with onset at t, all shifts included."""
        load, x = self.m.cmv.load, self.x
        level = x.set_points[k]
        if self.letermovir[0] <= t < self.letermovir[1]:
            level += x.letermovir.adherence_shift
            self.told.branches.add("onset on letermovir")
        if x.steroids_from < t + max(level - float(load.start_log10), 0.0) / x.growth:
            level += float(load.set_point_shift.corticosteroids)
            self.told.branches.add("set-point raised by steroids")
        return level

    def onset(self, t: float) -> None:
        k, load, x = len(self.told.episodes), self.m.cmv.load, self.x
        v0, level = float(load.start_log10), self.set_point(k, t)
        share, slope = float(load.self_limited.share), float(load.self_limited.slope)
        against = (1 - share) * math.exp(-slope * (level - load.set_point.centre))
        probability = share / (share + against)
        self.told.margins.append(abs(x.self_limited[k] - probability))
        peak = max(level, v0)
        plateau_end = t + (peak - v0) / x.growth + x.plateaus[k] if x.self_limited[k] < probability else INF
        self.open = Episode(
            t, v0, x.growth, peak, plateau_end, x.decays[k], x.treated_decays[k], x.regrows[k], x.refractory[k], x.accepted[k]
        )
        self.told.episodes.append(self.open)
        self._note_onset(k, t)
        self.clock, self.acting = INF, False
        if self.on_treatment:
            self.told.branches.add("onset on treatment")
            if not (self.open.refractory and self.first_spell):
                self.agenda[ACT] = t + float(load.treated.lag)
                self.told.branches.add("onset on treatment that acts")
        self.agenda[CLEAR] = self.open.end()
        self.disease_since = t
        self.await_disease(t)

    def _note_onset(self, k: int, t: float) -> None:
        stop, width = self.letermovir[1], float(self.m.letermovir.rebound.days)
        if stop <= t < stop + width:
            self.told.branches.add("onset in the rebound" if k == 0 else "further onset in the rebound")
        if t < self.m.inclusion_day:
            self.told.branches.add("prevalent")

    def clear(self, t: float) -> None:
        self.spend_disease(t)
        if t < self.m.inclusion_day:
            self.told.branches.add("cleared before inclusion")
        if self.agenda.pop(ACT, None) is not None:
            self.told.branches.add("cleared before the drug acted")
        self.told.branches.add("cleared on treatment" if self.on_treatment else "cleared off treatment")
        self.running.clear, self.open, self.acting = t, None, False
        self.agenda.pop(DISEASE, None)
        k = len(self.told.episodes)
        if k < len(self.x.clocks):
            self.waiting_since, self.clock = t, self.x.clocks[k]
            self.await_onset()

    # -- the wait for a further episode ------------------------------------------------------------------------
    def ratio(self) -> float:
        onset = self.m.cmv.onset
        return float(onset.re_episode) * (float(onset.ratios.antiviral) if self.on_treatment else 1.0)

    def spend_wait(self, t: float) -> bool:
        """Take off what was spent of the clock by t at the rate that ends then; whether there is a wait at all."""
        if self.open is not None or self.clock == INF:
            return False
        self.clock -= self.law.spent(self.waiting_since, t, self.ratio())
        self.waiting_since = t
        return True

    def await_onset(self) -> None:
        self.agenda.pop(ONSET, None)
        t = self.law.reach(self.waiting_since, self.ratio(), self.clock)
        if t <= self.m.horizon:
            self.agenda[ONSET] = t

    def treat(self, t: float, on: bool) -> None:
        """Treatment starts or stops, and with a start letermovir may end: the rates of both clocks change."""
        waits = self.spend_wait(t)
        self.spend_disease(t)
        self.on_treatment = on
        if on and "preemptive_therapy" in self.m.letermovir.stopped_by.value:
            self.end_letermovir(t, waits)
        if waits:
            self.told.branches.add("waits through a start" if on else "waits through a stop")
            before = self.agenda.get(ONSET, INF)
            self.await_onset()
            if before == INF and ONSET in self.agenda:
                self.told.branches.add("onset that was beyond the horizon")
        self.await_disease(t)

    def end_letermovir(self, t: float, waits: bool) -> None:
        start, stop = self.letermovir
        if stop <= t or start == INF:
            return
        self.told.branches.add("letermovir never begun" if start >= t else "letermovir ended by therapy")
        if waits and start < t:
            self.told.branches.add("waits through the end of letermovir")
        self.letermovir = (INF, INF) if start >= t else (start, t)
        course = replace(self.x.letermovir, start=self.letermovir[0], stop=self.letermovir[1])
        self.law = replace(self.law, factors=(*self.law.factors[:-1], letermovir_factor(self.m, course)))
        self.hazard = replace(self.hazard, start=self.letermovir[0], stop=self.letermovir[1])

    # -- disease (9) -------------------------------------------------------------------------------------------
    def spend_disease(self, t: float) -> None:
        """Take off what was spent of the clock of disease by t, before the course of the load changes."""
        if self.open is None or self.told.disease < INF or t <= self.disease_since:
            return
        _, self.disease_clock = self.hazard.walk(self.open, self.disease_since, t, self.disease_clock)
        self.disease_since = t

    def await_disease(self, t: float) -> None:
        self.agenda.pop(DISEASE, None)
        if self.open is None or self.told.disease < INF:
            return
        end = min(self.open.end(), self.m.horizon)
        if end > t:
            self.agenda[DISEASE], _ = self.hazard.walk(self.open, t, end, self.disease_clock)

    # -- what treatment does to the load -----------------------------------------------------------------------
    def knot(self, t: float, slope: float) -> None:
        """The controlled course is a new line from the realised load at t."""
        self.spend_disease(t)
        self.running.knots.append((t, self.running.load(t), slope))
        self.agenda[CLEAR] = self.running.end()
        self.await_disease(t)

    def act(self, t: float) -> None:
        self.told.branches.add("acts on a refractory episode" if self.running.refractory else "acts")
        self.acting = True
        self.knot(t, -self.running.treated_decay)

    @staticmethod
    def days(value: object) -> float:
        """A stated length of time on the grid."""
        return round(float(value) * 2**20) / 2**20  # type: ignore[arg-type]


