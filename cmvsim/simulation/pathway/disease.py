"""CMV disease: a hazard that grows with the load while an episode runs, and the organ (model.md 9)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cmvsim.simulation.model import Model
from cmvsim.simulation.pathway.clock import Appointment, Clock, Rank
from cmvsim.simulation.pathway.episode import Episode
from cmvsim.simulation.pathway.facts import Chance
from cmvsim.simulation.pathway.prophylaxis import LetermovirCourse


class CmvDisease:
    """The first CMV disease of one patient; one exponential is spent over all episodes.

    Attributes
    ----------
    time
        +inf if there was none.
    organ
        Index of its organ; -1 if none.
    """

    def __init__(
        self, model: Model, chance: Chance, clock: Clock, letermovir: LetermovirCourse, told: Callable[[], None]
    ) -> None:
        self.spec = model.cmv.disease
        self.chance = chance
        self.clock = clock
        self.letermovir = letermovir
        self.told = told
        self.time = math.inf
        self.organ = -1
        self._left = chance("cmv.disease")
        self._since = -math.inf
        self._event: Appointment | None = None

    def expect(self, episode: Episode) -> None:
        """Book the disease that the episode will bring if nothing changes."""
        self._since = self.clock.now
        self._book(episode)

    def pause(self, episode: Episode) -> None:
        """The episode is over: take off what it spent."""
        if self.time < math.inf:
            return
        if self._event is not None:
            self._event.cancel()
            self._event = None
        now = self.clock.now
        spent = sum(_spent(h, z, b - a) for a, b, h, z in self._pieces(episode, self._since, now))
        self._left, self._since = max(self._left - spent, 0.0), now

    @contextmanager
    def rate_changes(self, episode: Episode | None) -> Iterator[None]:
        """Something changes the load, or letermovir ends."""
        if episode is not None:
            self.pause(episode)
        yield
        if episode is not None:
            self._book(episode)

    def _book(self, episode: Episode) -> None:
        if self.time < math.inf:
            return
        left = self._left
        for a, b, h, z in self._pieces(episode, self._since, min(episode.clearance(), self.clock.horizon)):
            increment = _spent(h, z, b - a)
            if increment < left:
                left -= increment
                continue
            time = a + (math.log1p(left * z / h) / z if z != 0 else left / h)
            self._event = self.clock.book(min(max(time, a), b), Rank.DISEASE, self._falls_ill)
            return

    def _pieces(self, episode: Episode, start: float, stop: float) -> Iterator[tuple[float, float, float, float]]:
        """Pieces [a, b) on which the load is linear: a, b, the hazard at a, and its growth rate per day."""
        course = self.letermovir.course
        cuts = set(episode.bends_after(start, stop))
        if self.letermovir.log_disease != 0:
            cuts |= {t for t in (course.start, course.stop) if start < t < stop}
        kappa = float(self.spec.slope)
        a = start
        for b in [*sorted(cuts), stop]:
            if a >= b:
                return
            u = episode.load(a)
            hazard = float(self.spec.hazard) * 10 ** (kappa * (u - float(self.spec.reference_log10)))
            if course.contains(a):
                hazard *= math.exp(self.letermovir.log_disease)
            yield a, b, hazard, kappa * _slope(episode, a, b) * math.log(10)
            a = b

    def _falls_ill(self) -> None:
        self.time = self.clock.now
        u, cumulative = self.chance("cmv.disease_organ"), 0.0
        shares = [float(share) for share in self.spec.organs.values()]
        for index, share in enumerate(shares):
            cumulative += share
            self.organ = index
            if cumulative > u:
                break
        self.told()


def _spent(hazard: float, growth: float, days: float) -> float:
    """Integral of hazard exp(growth t) over so many days."""
    return hazard * (math.expm1(growth * days) / growth if growth != 0 else days)


def _slope(episode: Episode, a: float, b: float) -> float:
    """Slope of the realised load on a piece without a corner."""
    middle = (a + b) / 2
    line = episode.controlled
    natural = line is None or episode.natural(middle) <= line.at(middle)
    if natural:
        return episode.natural_slope(middle)
    assert line is not None
    return line.slope
