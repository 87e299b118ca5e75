"""Looks at a trial of exponential causes, by events or by calendar time."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cmvsim.core.canonical import digest
from cmvsim.core.records import FloatArray
from cmvsim.planning.exponential_trial import ENDPOINT, Analysis, ExponentialTrial, TrialData, analyse, simulate_trial
from cmvsim.planning.sequential import Looked
from cmvsim.simulation.draws import ChunkDraws


@dataclass(frozen=True, slots=True)
class ExponentialLooks:
    """An exponential trial with its looks.

    Attributes
    ----------
    trial, patients, analyses
        As in :class:`cmvsim.planning.exponential_trial.ExponentialExperiment`.
    events
        Events at which one looks, the last one final (but no later than the closing date); empty with `calendar`.
    calendar
        Dates at which one looks, the last one final.
    delay
        Time from the data cut to the decision, in which enrolment goes on.
    """

    trial: ExponentialTrial
    patients: int
    events: tuple[int, ...] = ()
    calendar: tuple[float, ...] = ()
    analyses: tuple[Analysis, ...] = ("logrank",)
    delay: float = 0.0
    horizon: float = 0.0

    @property
    def endpoint(self) -> str:
        """Id in the rows."""
        return ENDPOINT

    @property
    def n(self) -> int:
        """Patients of both arms."""
        return self.patients

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the looks."""
        return tuple(f"look {k + 1}" for k in range(len(self.events or self.calendar)))

    @property
    def content(self) -> dict[str, Any]:
        """What may change a number."""
        return asdict(self)

    @property
    def about(self) -> tuple[str, str]:
        """A name and the digest of the truth."""
        return "exponential trial", digest(asdict(self.trial))

    @property
    def drift(self) -> float:
        """Mean of the log-rank statistic at information 1 by Schoenfeld's approximation, if the hazards are proportional."""
        ratio = self.trial.ratio
        hr = self.trial.experimental[0][0] / self.trial.control[0][0]
        return -math.log(hr) * math.sqrt(self.events[-1] * ratio) / (1 + ratio)

    def data(self, draws: ChunkDraws) -> TrialData:
        """A batch of trials, followed to the closing date."""
        return simulate_trial(self.trial, draws)

    def looked(self, data: TrialData, part: slice) -> tuple[Looked, ...]:
        """Some replicates of a batch at each look."""
        some = TrialData(data.entry[part], data.time[part], data.cause[part], data.arm)
        return tuple(self._looked(some, when) for when in self._dates(some))

    def _dates(self, data: TrialData) -> list[FloatArray]:
        """(R,) date of each look."""
        closing = np.full(data.entry.shape[0], self.trial.closing)
        if self.calendar:
            return [np.minimum(date, closing) for date in self.calendar]
        happened = np.sort(np.where(data.cause == 1, data.entry + data.time, np.inf), axis=1)
        return [np.minimum(happened[:, d - 1], closing) if 0 < d <= self.patients else closing for d in self.events]

    def _looked(self, data: TrialData, when: FloatArray) -> Looked:
        # the event that brings the look about is seen at it, whatever rounding makes of the sum of entry and time
        cut = data.cut(when + 1e-9 * self.trial.closing)
        horizon = self.horizon or self.trial.followup or self.trial.accrual
        found = {name: analyse(cut, name, horizon=horizon) for name in self.analyses}
        enrolled = (data.entry <= (when + self.delay)[:, None]).sum(axis=1)
        return Looked(
            {name: item.z for name, item in found.items()},
            {name: item.estimates for name, item in found.items()},
            (cut.cause == 1).sum(axis=1).astype(np.float64),
            when,
            enrolled.astype(np.float64),
            (cut.cause >= 0).sum(axis=1).astype(np.float64),
        )
