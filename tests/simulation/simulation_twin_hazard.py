"""Section 5 of the model, a second time: the hazard of onset as a list of pieces, spent and inverted piece by piece."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property

INF = math.inf


@dataclass(frozen=True)
class Factor:
    """A window [start, stop) with a log ratio, and another one that follows it and fades over a wash-out in steps."""

    start: float
    stop: float
    within: float
    after: float
    washout: float
    step: float

    def changes(self) -> list[float]:
        """All times at which the ratio may change."""
        if math.isinf(self.start):
            return []
        if math.isinf(self.stop):
            return [self.start]
        steps = []
        k = 1
        while k * self.step < self.washout:
            steps.append(self.stop + k * self.step)
            k += 1
        return [self.start, self.stop, *steps, self.stop + self.washout]

    def log_ratio(self, t: float) -> float:
        """Log ratio at `t`."""
        if t < self.start or math.isinf(self.start):
            return 0.0
        if t < self.stop:
            return self.within
        if t >= self.stop + self.washout:
            return 0.0
        return self.after * (1 - math.floor((t - self.stop) / self.step) * self.step / self.washout)


@dataclass(frozen=True)
class Law:
    """The onset hazard of one patient: amplitude x Weibull density since `origin` x factors."""

    amplitude: float
    origin: float
    median: float
    shape: float
    horizon: float
    factors: tuple[Factor, ...]

    @property
    def scale(self) -> float:
        return self.median / math.log(2) ** (1 / self.shape)

    def cumulative_share(self, t: float) -> float:
        """F(t) of the onset-time law."""
        return -math.expm1(-((max(t - self.origin, 0.0) / self.scale) ** self.shape))

    @cached_property
    def pieces(self) -> list[tuple[float, float, float]]:
        """(from, to, hazard per unit of F) between changes, looked up at the middle of each."""
        inside = {c for factor in self.factors for c in factor.changes() if self.origin < c < self.horizon}
        cuts = sorted({self.origin, self.horizon, *inside})
        return [
            (a, b, self.amplitude * math.exp(math.fsum(f.log_ratio((a + b) / 2) for f in self.factors)))
            for a, b in itertools.pairwise(cuts)
        ]

    def between(self, low: float, high: float) -> list[tuple[float, float, float]]:
        """The pieces within (low, high)."""
        return [(max(a, low), min(b, high), rate) for a, b, rate in self.pieces if a < high and b > low]

    def spent(self, low: float, high: float, ratio: float = 1.0) -> float:
        """Cumulative hazard from `low` to `high`."""
        return math.fsum(
            ratio * rate * (self.cumulative_share(b) - self.cumulative_share(a)) for a, b, rate in self.between(low, high)
        )

    def reach(self, low: float, ratio: float, clock: float) -> float:
        """Time from `low` on at which the clock is spent, +inf if not by the horizon."""
        left = clock
        for a, b, piece in self.between(low, self.horizon):
            rate = ratio * piece
            whole = rate * (self.cumulative_share(b) - self.cumulative_share(a))
            if whole < left:
                left -= whole
                continue
            share = self.cumulative_share(a) + left / rate
            if share >= 1.0:
                return b
            return min(max(self.origin + self.scale * (-math.log1p(-share)) ** (1 / self.shape), a), b)
        return INF
