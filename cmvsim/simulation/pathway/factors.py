"""What raises the hazard of onset while it lasts and for a while after (model.md 5), and the hazard itself."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from cmvsim.models.toxicity import DRUGS
from cmvsim.simulation.model import Model
from cmvsim.simulation.pathway.clock import on_the_grid
from cmvsim.simulation.pathway.facts import Facts, Letermovir, Window

ADULT = 18
"""Years."""


@dataclass(frozen=True, slots=True)
class Factor:
    """A log hazard ratio within a window, and one that declines after it, in steps.

    Attributes
    ----------
    window
        [S, T).
    within, after
        Log ratio on it, and at T.
    washout, step
        Days over which `after` declines to 0, and days of a step.
    """

    window: Window
    within: float
    after: float = 0.0
    washout: float = 0.0
    step: float = 1.0

    def log_ratio(self, t: float) -> float:
        """Log ratio at t."""
        if t < self.window.start:
            return 0.0
        if t < self.window.stop:
            return self.within
        if t < self.window.stop + self.washout:
            steps = math.floor((t - self.window.stop) / self.step)
            return self.after * (1 - steps * self.step / self.washout)
        return 0.0

    @property
    def changes(self) -> list[float]:
        """The times at which it changes."""
        if not self.window.exists or (self.within == 0 and (self.after == 0 or self.washout == 0)):
            return []
        start, stop = self.window.start, self.window.stop
        times = [start, stop]
        if self.after != 0 and math.isfinite(stop):
            steps = math.ceil(self.washout / self.step)
            times += [stop + j * self.step for j in range(1, steps)] + [stop + self.washout]
        return [t for t in times if math.isfinite(t)]


class OnsetHazard:
    """A patient's hazard of onset: a Weibull density in time since inclusion, times ratios."""

    def __init__(self, model: Model, facts: Facts) -> None:
        spec = model.cmv.onset
        self.inclusion = model.inclusion_day
        self.horizon = model.horizon
        self.shape = float(spec.shape)
        self.scale = model.baseline.onset_median / math.log(2.0) ** (1 / self.shape)
        self.amplitude = model.baseline.onset_amplitude * baseline_ratio(model, facts)
        self.factors = standing_factors(model, facts)

    def mass(self, t: float) -> float:
        """F(t) of the Weibull law, written so that the upper tail keeps its digits: minus the log of 1 - F."""
        return math.pow(max(t - self.inclusion, 0.0) / self.scale, self.shape)

    def spent(self, start: float, stop: float, also: Iterable[Factor], ratio: float) -> float:
        """Cumulative hazard from `start` to `stop`."""
        return sum(h * _between(x, y) for _, _, h, x, y in self._pieces(start, stop, also, ratio))

    def when_spent(self, left: float, start: float, also: Iterable[Factor], ratio: float) -> float:
        """When `left` will have been spent from `start` on; +inf if not by the horizon."""
        for a, b, h, x, y in self._pieces(start, self.horizon, also, ratio):
            increment = h * _between(x, y)
            if increment < left:
                left -= increment
                continue
            # 1 - F(t) = 1 - F(a) - left / h
            survival = math.exp(-x) - left / h
            t = self.inclusion + self.scale * (-math.log(survival)) ** (1 / self.shape) if survival > 0 else b
            return min(max(t, a), b)
        return math.inf

    def _pieces(
        self, start: float, stop: float, also: Iterable[Factor], ratio: float
    ) -> Iterable[tuple[float, float, float, float, float]]:
        """Pieces [a, b) without a change: a, b, the rate on them, and the mass at both ends."""
        factors = [*self.factors, *also]
        start = max(start, self.inclusion)
        cuts = sorted({t for factor in factors for t in factor.changes if start < t < stop})
        a = start
        for b in [*cuts, stop]:
            if a >= b:
                return
            rate = self.amplitude * ratio * math.exp(sum(factor.log_ratio(a) for factor in factors))
            yield a, b, rate, self.mass(a), self.mass(b)
            a = b


def _between(x: float, y: float) -> float:
    """F(b) - F(a) = exp(-x) - exp(-y)."""
    return math.exp(-x) * -math.expm1(x - y)


def baseline_ratio(model: Model, facts: Facts) -> float:
    """Product of the ratios of what the patient is from the beginning."""
    spec = model.cmv.onset
    r = spec.ratios
    applies = (
        (r.prior_allogeneic_hct, facts.prior_allogeneic_hct),
        (r.leukaemia, facts.leukaemia),
        (r.child, facts.age < ADULT),
        (r.lymphopenia, facts.lymphocytes < float(spec.lymphopenia_below)),
    )
    return math.prod(float(ratio) for ratio, so in applies if so) * math.pow(float(r.score), facts.score)


def standing_factors(model: Model, facts: Facts) -> tuple[Factor, ...]:
    """The factors that do not depend on the course of CMV."""
    spec, step = model.cmv.onset, on_the_grid(float(model.toxicity.washout_step))
    r = spec.ratios

    def fading(window: Window, ratio: float, washout: float) -> Factor:
        return Factor(window, math.log(ratio), math.log(ratio), on_the_grid(washout), step)

    def lasting(since: float, log_ratio: float) -> Factor:
        return Factor(Window(since, math.inf), log_ratio)

    severe = float(spec.severe_toxicity_washout)
    drugs = [fading(facts.drugs[drug], float(getattr(r, drug)), float(getattr(model.toxicity, drug).washout)) for drug in DRUGS]
    return (
        *drugs,
        fading(facts.severe_crs, float(r.severe_crs), severe),
        fading(facts.severe_icans, float(r.severe_icans), severe),
        lasting(facts.first_high_ttv, math.log(float(r.high_anellovirus))),
        lasting(facts.first_new_virus, math.log(float(r.incident_virus))),
        lasting(facts.tmax, math.log(float(r.expansion)) * facts.log2_expansion),
    )


def letermovir_factor(model: Model, letermovir: Letermovir, course: Window) -> Factor:
    """Letermovir as taken: a lower hazard on it, and the rebound after it."""
    rebound = model.letermovir.rebound
    return Factor(
        course,
        letermovir.log_ratio,
        letermovir.log_rebound,
        on_the_grid(float(rebound.days)),
        on_the_grid(float(rebound.step)),
    )
