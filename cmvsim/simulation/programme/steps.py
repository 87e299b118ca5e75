"""Numbers that change in steps over calendar time: beds taken, samples waiting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmvsim.core.records import FloatArray


@dataclass(frozen=True)
class Steps:
    """A right-continuous step function: `values[k]` from `times[k]` on, 0 before the first.

    Attributes
    ----------
    times
        (K,) ascending, distinct.
    values
        (K,)
    """

    times: FloatArray
    values: FloatArray

    def at(self, times: FloatArray) -> FloatArray:
        """Values at some times (any shape)."""
        place = np.searchsorted(self.times, times, side="right") - 1
        return np.where(place < 0, 0.0, self.values[place] if self.values.size else 0.0)

    def means(self, edges: FloatArray) -> FloatArray:
        """Time-weighted means between consecutive edges: (len(edges) - 1,)."""
        return np.diff(self._integral(edges)) / np.diff(edges)

    def quantiles(self, start: float, stop: float, levels: FloatArray) -> FloatArray:
        """Levels not exceeded for shares of the time from `start` to `stop`: (len(levels),)."""
        inside = (self.times > start) & (self.times < stop)
        cuts = np.concatenate([[start], self.times[inside], [stop]])
        values, weights = self.at(cuts[:-1]), np.diff(cuts)
        order = np.argsort(values, kind="stable")
        share = np.cumsum(weights[order]) / weights.sum()
        place = np.minimum(np.searchsorted(share, levels - 1e-12), values.size - 1)
        return values[order][place]

    def _integral(self, times: FloatArray) -> FloatArray:
        """Area from the first step to some times."""
        if not self.times.size:
            return np.zeros_like(times)
        whole = np.concatenate([[0.0], np.cumsum(self.values[:-1] * np.diff(self.times))])
        place = np.searchsorted(self.times, times, side="right") - 1
        first = np.maximum(place, 0)
        area = whole[first] + self.values[first] * (times - self.times[first])
        return np.where(place < 0, 0.0, area)


class StepRecorder:
    """Notes a number whenever it changes."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._values: list[float] = []

    def note(self, time: float, value: float) -> None:
        """The number is `value` from now on."""
        if self._times and self._times[-1] == time:
            self._values[-1] = value
        else:
            self._times.append(time)
            self._values.append(value)

    @property
    def steps(self) -> Steps:
        """What was noted."""
        return Steps(np.array(self._times, dtype=np.float64), np.array(self._values, dtype=np.float64))
