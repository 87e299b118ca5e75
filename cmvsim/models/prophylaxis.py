"""Section 15: courses of prophylaxis, as planned and as taken."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from cmvsim.core.records import BoolArray, FloatArray


@dataclass(frozen=True, slots=True)
class Prophylaxis:
    """Courses of prophylaxis of a chunk; flat (P,) arrays, patients without a course have +inf times and no effect.

    Attributes
    ----------
    start, stop
        The course [start, stop) as planned, on the grid of operational times; +inf where there is none.
    dose
        mg per day, 0 without a course.
    adherence
        Share of the doses taken, 0 without a course.
    log_ratio
        Log hazard ratio of onset in [start, stop).
    shift
        log10 IU/mL on the set-point of episodes with onset in [start, stop).
    log_rebound
        Log hazard ratio of onset at `stop`, from where it declines.
    log_disease
        Log hazard ratio of CMV disease in [start, stop).
    """

    start: FloatArray
    stop: FloatArray
    dose: FloatArray
    adherence: FloatArray
    log_ratio: FloatArray
    shift: FloatArray
    log_rebound: FloatArray
    log_disease: FloatArray

    @property
    def taken(self) -> BoolArray:
        """Who has a course."""
        return np.isfinite(self.start)

    @property
    def acts(self) -> BoolArray:
        """Whose onset, set-point or disease the course can change; for the others it must not even cut a hazard's pieces."""
        effects = (self.log_ratio, self.shift, self.log_rebound, self.log_disease)
        return np.asarray(np.any([effect != 0 for effect in effects], axis=0))

    def stopped_at(self, times: FloatArray) -> Prophylaxis:
        """The courses when something ends them at `times` (+inf: nothing does); those that had not begun never do."""
        return without(replace(self, stop=np.minimum(self.stop, times)), times <= self.start)


def without(courses: Prophylaxis, rows: BoolArray) -> Prophylaxis:
    """The courses with those of `rows` struck out."""
    struck = {
        f.name: np.where(rows, np.inf if f.name in {"start", "stop"} else 0.0, getattr(courses, f.name))
        for f in fields(courses)
    }
    return Prophylaxis(**struck)
