"""Sections 6 and 9 of the model, a second time: the load of one episode bend by bend, and the hazard of disease on it."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

INF = math.inf


@dataclass
class Episode:
    """One episode: its natural course and the knots (time, value, slope) of its controlled course."""

    onset: float
    start: float
    growth: float
    peak: float
    plateau_end: float
    decay: float
    treated_decay: float
    regrows: bool
    refractory: bool = False
    accepted: bool = True
    clear: float = INF
    knots: list[tuple[float, float, float]] = field(default_factory=list)

    @property
    def top(self) -> float:
        """Time at which the plateau is reached."""
        return self.onset + (self.peak - self.start) / self.growth

    @property
    def falling(self) -> bool:
        """Whether the controlled course falls."""
        return bool(self.knots) and self.knots[-1][2] < 0

    def natural(self, t: float) -> float:
        """Load without treatment."""
        if t <= self.plateau_end:
            return min(self.start + self.growth * (t - self.onset), self.peak)
        return self.peak - self.decay * (t - self.plateau_end)

    def load(self, t: float) -> float:
        """Realised load at `t`."""
        past = [knot for knot in self.knots if knot[0] <= t]
        if not past:
            return self.natural(t)
        since, value, slope = past[-1]
        return min(self.natural(t), value + slope * (t - since))

    def end(self) -> float:
        """Clearance if nothing else happens."""
        natural = self.plateau_end + (self.peak - self.start) / self.decay
        if not self.falling:
            return natural
        since, value, _ = self.knots[-1]
        return min(natural, since + max(value - self.start, 0.0) / self.treated_decay)

    def bends(self, low: float, high: float) -> list[float]:
        """Times in [low, high], ends included, between which the realised load is linear."""
        points = {low, high, self.top, self.plateau_end, *(knot[0] for knot in self.knots)}
        for since, value, slope in self.knots:  # where a controlled line crosses a piece of the natural course
            for at, level, rise in (
                (self.onset, self.start, self.growth),
                (self.top, self.peak, 0.0),
                (self.plateau_end, self.peak, -self.decay),
            ):
                if math.isfinite(at) and slope != rise:
                    points.add(((level - rise * at) - (value - slope * since)) / (slope - rise))
        return sorted(t for t in points if low <= t <= high)


@dataclass(frozen=True)
class DiseaseHazard:
    """Hazard h 10^(slope (v - reference)) while an episode runs, with a ratio on [start, stop)."""

    hazard: float
    slope: float
    reference: float
    ratio: float = 1.0
    start: float = INF
    stop: float = INF

    def walk(self, episode: Episode, low: float, high: float, clock: float) -> tuple[float, float]:
        """Time from `low` to `high` at which the clock is spent, +inf if it is not, and what is left of it then."""
        cuts = {t for t in (self.start, self.stop) if low < t < high}
        points = sorted({*episode.bends(low, high), *cuts})
        for a, b in itertools.pairwise(points):
            middle = (a + b) / 2
            rate = self.hazard * (self.ratio if self.start <= middle < self.stop else 1.0)
            u, v = episode.load(a), episode.load(b)
            rate *= 10 ** (self.slope * (u - self.reference))
            x = self.slope * (v - u) * math.log(10)
            whole = rate * (b - a) * (math.expm1(x) / x if x else 1.0)
            if whole >= clock:
                growth = x / (b - a)
                return (a + (math.log1p(clock * growth / rate) / growth if x else clock / rate)), 0.0
            clock -= whole
        return INF, clock


def first_reaching(episodes: list[Episode], level: float, horizon: float) -> float:
    """First time at which the load is at or above a level, by looking at every bend of the realised course."""
    for episode in episodes:
        cuts = episode.bends(episode.onset, min(episode.clear, horizon))
        for a, b in itertools.pairwise(cuts):
            low, high = episode.load(a), episode.load(b)
            if low >= level:
                return a
            if high >= level:
                return a + (level - low) / (high - low) * (b - a)
    return INF


