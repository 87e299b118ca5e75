"""A two-arm trial of causes with piecewise constant hazards: what the closed forms of event times assume, simulated.

Patients enter uniformly over the accrual, are followed until a common closing date, and may drop out. Each cause has its
latent time; the first one is seen. The analyses are those of the package, so a formula's power can be set beside the power
of the very test that it stands for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from scipy import special

from cmvsim.core.canonical import digest
from cmvsim.core.errors import InputError
from cmvsim.core.records import BoolArray, Estimates, FloatArray, IntArray, Request, Status
from cmvsim.core.streams import CHUNK_REPLICATES, Role
from cmvsim.estimators import (
    aalen_johansen,
    cox,
    difference_of_risks,
    fine_gray,
    gray,
    logrank,
    normal_quantile,
)
from cmvsim.estimators.group_tests import GroupTest
from cmvsim.montecarlo.experiment import FIELDS, Replicates, RowKey
from cmvsim.simulation.draws import ChunkDraws

Analysis = Literal["logrank", "gray", "cox", "fine_gray", "risk_difference"]
ANALYSES: tuple[Analysis, ...] = get_args(Analysis)
LABELS: dict[str, str] = {
    "logrank": "cause-specific log-rank test",
    "gray": "Gray's test",
    "cox": "Cox regression of the cause-specific hazard (Wald test)",
    "fine_gray": "Fine-Gray regression (Wald test)",
    "risk_difference": "difference of Aalen-Johansen incidences",
}
ENDPOINT = "event"
Hazards = tuple[tuple[float, ...], ...]
"""By cause, the event of interest first, and by piece of time."""


@dataclass(frozen=True, slots=True)
class ExponentialTrial:
    """What is true of the patients, and how long they are followed; time in the unit of the hazards.

    Attributes
    ----------
    control, experimental
        Hazards of the causes in the arms, one per piece.
    accrual
        Entries are uniform on (0, accrual); 0: all enter together.
    followup
        From the end of the accrual to the closing date.
    dropout
        Hazard of leaving unseen, the same in both arms.
    ratio
        Patients of the experimental arm per patient of the control arm.
    times
        Start of each piece, the first 0.
    """

    control: Hazards
    experimental: Hazards
    accrual: float
    followup: float
    dropout: float = 0.0
    ratio: float = 1.0
    times: tuple[float, ...] = (0.0,)

    def __post_init__(self) -> None:
        if not self.control or len(self.control) != len(self.experimental):
            raise InputError("both arms need the same causes, at least one")
        if any(len(cause) != len(self.times) or min(cause) < 0 for cause in (*self.control, *self.experimental)):
            raise InputError("one hazard for each cause and piece, none of them negative")
        if self.times[0] != 0 or any(b <= a for a, b in zip(self.times, self.times[1:], strict=False)):
            raise InputError("the pieces must start one after the other, the first at 0")
        if self.accrual < 0 or self.followup < 0 or not 0 < self.accrual + self.followup < math.inf:
            raise InputError("accrual and followup must not be negative, nor both 0")
        if self.dropout < 0 or not 0 < self.ratio < math.inf:
            raise InputError("dropout must not be negative, and the ratio must be positive")

    @property
    def closing(self) -> float:
        """Date on which follow-up ends."""
        return self.accrual + self.followup

    @property
    def null(self) -> ExponentialTrial:
        """The same trial of a drug that does nothing."""
        return replace(self, experimental=self.control)

    def arms(self, n: int) -> IntArray:
        """(n,) arm of each patient, 0 control; every prefix is within one patient of the ratio.

        Patients are alike before they are treated, so that an alternating list is as good as a random one.
        """
        share = self.ratio / (1.0 + self.ratio)
        arm: IntArray = np.diff(np.floor(np.arange(n + 1) * share + 0.5)).astype(np.int64)
        return arm


@dataclass(frozen=True, slots=True)
class TrialData:
    """Patients of a batch of trials, (R, N) but `arm`; everybody in the analysis has a cause of 0 or more."""

    entry: FloatArray
    time: FloatArray
    cause: IntArray
    arm: IntArray

    def cut(self, when: FloatArray) -> TrialData:
        """What was known on a date of each replicate, (R,): later events are not seen, later patients not there."""
        followed = np.asarray(when)[:, None] - self.entry
        seen = self.time <= followed
        cause = np.where(followed > 0, np.where(seen, self.cause, 0), -1)
        return TrialData(self.entry, np.where(seen, self.time, followed), cause, self.arm)


def simulate_trial(trial: ExponentialTrial, draws: ChunkDraws) -> TrialData:
    """One chunk of trials, followed to the closing date.

    Notes
    -----
    Streams `exponential.entry`, `exponential.event` (index: cause) and `exponential.dropout`: one variate per patient each, so
    that the same patients meet the same chance in both arms, at any hazard and at any size.
    """
    shape = (draws.patients, draws.replicates)

    def drawn(name: str, index: int = 0) -> FloatArray:
        return draws(name, index).reshape(shape).T

    arm = trial.arms(draws.patients)
    entry = trial.accrual * drawn("exponential.entry")
    latent = np.stack(
        [
            np.where(arm == 1, _spend(unit, e, trial.times), _spend(unit, c, trial.times))
            for k, (c, e) in enumerate(zip(trial.control, trial.experimental, strict=True))
            for unit in [drawn("exponential.event", k)]
        ]
    )
    cause = latent.argmin(axis=0) + 1
    time = latent.min(axis=0)
    left = trial.closing - entry
    if trial.dropout > 0:
        left = np.minimum(left, drawn("exponential.dropout") / trial.dropout)
    return TrialData(entry, np.minimum(time, left), np.where(time <= left, cause, 0), arm)


def _spend(unit: FloatArray, hazards: Sequence[float], times: Sequence[float]) -> FloatArray:
    """Times at which the cumulative hazard reaches a standard exponential; infinite where it never does."""
    knots = np.concatenate([[0.0], np.cumsum(np.array(hazards[:-1]) * np.diff(times))])
    piece = np.searchsorted(knots, unit, side="left") - 1  # of a hazard of 0 no time is spent
    piece = np.maximum(piece, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        time: FloatArray = np.array(times)[piece] + (unit - knots[piece]) / np.array(hazards)[piece]
    return time


@dataclass(frozen=True, slots=True)
class Analysed:
    """One analysis of a batch, (R,): what is estimated, and Z, positive where the experimental arm has fewer events."""

    estimates: Estimates
    z: FloatArray


def analyse(data: TrialData, analysis: Analysis, *, horizon: float, level: float = 0.95) -> Analysed:
    """Analyse a batch.

    Parameters
    ----------
    analysis
        "logrank" and "gray": the estimate is Z itself, without a standard error. "cox" and "fine_gray": hazard ratios.
        "risk_difference": control minus experimental at the horizon.
    horizon
        Of the risk difference.
    level
        Confidence level.
    """
    if analysis in ("logrank", "gray"):
        test = (logrank if analysis == "logrank" else gray)(data.time, data.cause, data.arm, n_groups=2)
        return _tested(test, level)
    if analysis == "risk_difference":
        first, second = (
            aalen_johansen(data.time, np.where(data.arm == arm, data.cause, -1), horizon, level=level) for arm in (0, 1)
        )
        found = difference_of_risks(first, second, level=level)
        return Analysed(found, _z_of_limits(found, level))
    covariate = np.asarray(data.arm, dtype=np.float64)[:, None]
    fit = (cox if analysis == "cox" else fine_gray)(data.time, data.cause, covariate, level=level)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = -fit.coef[:, 0] / fit.se[:, 0]
    return Analysed(fit.term(0, exponentiate=True), z)


def _tested(test: GroupTest, level: float) -> Analysed:
    z = np.sqrt(test.statistic) * -np.sign(test.score[:, 1])
    nothing = np.full(z.shape, np.nan)
    # a test has no interval: without an event it has nothing to say either
    status = np.where(test.status == Status.NO_EVENTS, int(Status.NOT_ESTIMABLE), test.status).astype(np.int64)
    return Analysed(Estimates(z, nothing, nothing, nothing, test.n, test.events, status, level, test.method), z)


def _z_of_limits(found: Estimates, level: float) -> FloatArray:
    """Z by the limit that is nearer to 0, which also serves where an arm without an event has a standard error of 0."""
    near = np.where(found.estimate >= 0, found.estimate - found.ci_low, found.ci_high - found.estimate)
    with np.errstate(divide="ignore", invalid="ignore"):
        z: FloatArray = normal_quantile(level) * found.estimate / near
    return np.where(near > 0, z, np.nan)


@dataclass(frozen=True)
class ExponentialExperiment:
    """Power of a two-arm trial of exponential causes, at nested sample sizes.

    Attributes
    ----------
    trial
        What is true.
    sizes
        Patients of both arms, ascending; the trial of size n is the first n patients of the largest.
    analyses
        See :data:`ANALYSES`.
    horizon
        Of the risk difference; 0 means the follow-up that everybody has (or the accrual where there is none).
    level
        Of the intervals.
    role
        Which streams.
    """

    trial: ExponentialTrial
    sizes: tuple[int, ...]
    analyses: tuple[Analysis, ...] = ("logrank", "gray")
    horizon: float = 0.0
    level: float = 0.95
    seed: int = 1
    role: Role = Role.STUDY

    @cached_property
    def rows(self) -> tuple[RowKey, ...]:
        """One per analysis."""
        return tuple(RowKey(ENDPOINT, estimator=name) for name in self.analyses)

    @property
    def extras(self) -> tuple[str, ...]:
        """Z of each analysis, and the events of interest."""
        return (*(f"z.{name}" for name in self.analyses), "events")

    @cached_property
    def request(self) -> Request:
        """What may change a number of these chunks."""
        truth = asdict(self.trial)
        content = {
            "trial": truth,
            "sizes": list(self.sizes),
            "analyses": list(self.analyses),
            "horizon": self.horizon,
            "level": self.level,
            "role": self.role.name,
        }
        return Request("chunks", "exponential trial", digest(truth), content, self.seed)

    @property
    def at(self) -> float:
        """Horizon of the risk difference."""
        return self.horizon or self.trial.followup or self.trial.accrual

    def data(self, index: int) -> TrialData:
        """The trials of a chunk, at the largest size."""
        return simulate_trial(self.trial, ChunkDraws(self.seed, self.role, index, self.sizes[-1]))

    def chunk(self, index: int) -> Replicates:
        """Compute 64 replicates."""
        data = self.data(index)
        result = Replicates.empty(len(self.sizes), len(self.rows), len(self.extras))
        for s, n in enumerate(self.sizes):
            first = TrialData(data.entry[:, :n], data.time[:, :n], data.cause[:, :n], data.arm[:n])
            for row, name in enumerate(self.analyses):
                found = analyse(first, name, horizon=self.at, level=self.level)
                for column, field in enumerate(FIELDS):
                    result.values[:, s, row, column] = getattr(found.estimates, field)
                result.extras[:, s, row] = found.z
            result.extras[:, s, -1] = (first.cause == 1).sum(axis=1)
        assert result.values.shape[0] == CHUNK_REPLICATES
        return result


def rejects(z: FloatArray, alpha: float, sides: int) -> BoolArray:
    """Which replicates reject: |Z| at or beyond the critical value, or Z on the side of the benefit; NaN never does."""
    critical = -float(special.ndtri(alpha / sides))
    beyond = np.abs(z) if sides == 2 else z
    with np.errstate(invalid="ignore"):
        return np.asarray(beyond >= critical)
