"""One CMV episode: its natural load, the load that treatment imposes, and the smaller of the two (model.md 6)."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

from scipy import special

from cmvsim.models.viral_load import LOG10_2
from cmvsim.simulation.model import Model
from cmvsim.simulation.pathway.facts import Chance, Facts, Window


@dataclass(frozen=True, slots=True)
class Knot:
    """From `time` on the controlled course is a line from `log10` with `slope` per day."""

    time: float
    log10: float
    slope: float

    def at(self, t: float) -> float:
        """Log10 load of the line."""
        return self.log10 + self.slope * (t - self.time)


@dataclass(slots=True)
class Episode:
    """An episode from its onset on. Loads are log10 IU/mL of plasma.

    Attributes
    ----------
    number
        k = 0, 1, ...: the index of its streams.
    start_log10
        v0, where it begins and below which it is cleared.
    growth, decay, decay_treated
        Log10 per day.
    peak, plateau_end
        Of the natural course; +inf: it does not end by itself.
    refractory
        The first drug of a treatment does not act.
    regrows
        It would, were a treatment stopped.
    knots
        Of the controlled course, in order of time; the last one holds.
    acts_from
        When a drug will act or has begun to act on it and still does; +inf: none.
    cleared
        When it was cleared; +inf: it runs.
    """

    number: int
    onset: float
    start_log10: float
    growth: float
    decay: float
    decay_treated: float
    peak: float
    plateau_end: float
    refractory: bool
    regrows: bool
    knots: list[Knot] = field(default_factory=list)
    acts_from: float = math.inf
    cleared: float = math.inf

    @property
    def plateau_from(self) -> float:
        """When the natural course is at its peak."""
        return self.onset + (self.peak - self.start_log10) / self.growth

    def natural(self, t: float) -> float:
        """Load without treatment."""
        if t <= self.plateau_from:
            return min(self.start_log10 + self.growth * (t - self.onset), self.peak)
        if t <= self.plateau_end:
            return self.peak
        return self.peak - self.decay * (t - self.plateau_end)

    def natural_slope(self, t: float) -> float:
        """Its slope just after t."""
        if t < self.plateau_from:
            return self.growth
        return 0.0 if t < self.plateau_end else -self.decay

    @property
    def controlled(self) -> Knot | None:
        """The line that treatment imposes now."""
        return self.knots[-1] if self.knots else None

    @property
    def falls_under_control(self) -> bool:
        """Whether that line falls."""
        return self.controlled is not None and self.controlled.slope < 0

    def load(self, t: float) -> float:
        """Realised load: the smaller of the two."""
        line = self.controlled
        return self.natural(t) if line is None else min(self.natural(t), line.at(t))

    def bend(self, t: float, slope: float) -> None:
        """From t on the controlled course has this slope, from the load as it is."""
        self.knots.append(Knot(t, self.load(t), slope))

    def clearance(self) -> float:
        """When a falling course will be at v0."""
        by_itself = self.plateau_end + (self.peak - self.start_log10) / self.decay
        line = self.controlled
        if line is None or line.slope >= 0:
            return by_itself
        return min(by_itself, line.time + max(line.log10 - self.start_log10, 0.0) / self.decay_treated)

    def bends_after(self, t: float, until: float) -> list[float]:
        """Times in (t, until) at which the slope of the realised load may change."""
        corners = [x for x in (self.plateau_from, self.plateau_end) if t < x < until]
        line = self.controlled
        if line is None:
            return corners
        crossings = []
        edges = [t, *corners, until]
        for a, b in itertools.pairwise(edges):
            gap, closing = self.natural(a) - line.at(a), line.slope - self.natural_slope(a)
            if closing != 0 and a < a + gap / closing < b:
                crossings.append(a + gap / closing)
        return sorted({*corners, *crossings})


def new_episode(model: Model, facts: Facts, chance: Chance, number: int, onset: float, letermovir_shift: float) -> Episode:
    """The episode that begins at `onset`; what it will be is settled now."""
    law = model.cmv.load
    v0 = float(law.start_log10)
    growth = LOG10_2 / chance.of(law.doubling_time, "cmv.doubling_time")
    set_point = chance.of(law.set_point, "cmv.set_point", number)
    set_point += float(law.set_point_shift.score) * facts.score + letermovir_shift
    steroids: Window = facts.drugs["corticosteroids"]
    if steroids.start < onset + max(set_point - v0, 0.0) / growth:
        set_point += float(law.set_point_shift.corticosteroids)
    log_odds = special.logit(float(law.self_limited.share)) + float(law.self_limited.slope) * (set_point - law.set_point.centre)
    peak = max(set_point, v0)
    plateau_end = math.inf
    if chance("cmv.self_limited", number) < special.expit(log_odds):
        plateau_end = onset + (peak - v0) / growth + chance.of(law.plateau, "cmv.plateau", number)
    return Episode(
        number=number,
        onset=onset,
        start_log10=v0,
        growth=growth,
        decay=LOG10_2 / chance.of(law.decay_half_life, "cmv.decay", number),
        decay_treated=LOG10_2 / chance.of(law.treated.half_life, "treatment.half_life", number),
        peak=peak,
        plateau_end=plateau_end,
        refractory=chance("cmv.refractory", number) < float(law.treated.refractory),
        regrows=chance("treatment.regrowth", number) < float(law.treated.regrowth),
    )
