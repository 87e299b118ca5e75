"""What a sample size is looked for: a criterion that each simulated study meets or not, and the share that is to meet it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from cmvsim.core.records import BoolArray, Estimates, Measure
from cmvsim.designs import Decision, PrecisionTarget
from cmvsim.montecarlo import mcse
from cmvsim.montecarlo.experiment import FIELDS, RowKey
from cmvsim.montecarlo.run import MonteCarloResult
from cmvsim.planning.characteristics import half_widths


class Criterion(Protocol):
    """Met by a study or not."""

    @property
    def probability(self) -> float:
        """Share of studies that is to meet it."""
        ...

    def met(self, result: MonteCarloResult, size: int) -> BoolArray:
        """(replicates,) whether each met it; one that failed did not."""
        ...

    def summary(self, result: MonteCarloResult, size: int) -> mcse.Summary:
        """The share that met it."""
        ...

    def as_dict(self) -> dict[str, Any]:
        """As written with an answer."""
        ...


@dataclass(frozen=True, slots=True)
class NarrowEnough:
    """The confidence interval is no wider than wanted."""

    key: RowKey
    target: PrecisionTarget

    @property
    def probability(self) -> float:
        """Of the target."""
        return self.target.probability

    def met(self, result: MonteCarloResult, size: int) -> BoolArray:
        """Half-width at most that of the target."""
        status = result.column(size, self.key, "status")
        return (half_widths(result, size, self.key) <= self.target.half_width) & mcse.usable(status)

    def summary(self, result: MonteCarloResult, size: int) -> mcse.Summary:
        """P(half-width <= w)."""
        status = result.column(size, self.key, "status")
        return mcse.proportion(half_widths(result, size, self.key) <= self.target.half_width, status)

    def as_dict(self) -> dict[str, Any]:
        """Measure, half-width and probability."""
        return {
            "measure": Measure.P_HALF_WIDTH_LE.value,
            "half_width": self.target.half_width,
            "probability": self.target.probability,
        }


class Decides(Protocol):
    """A design, as far as it decides."""

    def decide(self, estimates: Estimates) -> Decision:
        """The decision on each estimate."""
        ...


@dataclass(frozen=True, slots=True)
class Concludes:
    """The design reaches the conclusion that it is after: its power."""

    key: RowKey
    design: Decides
    power: float

    @property
    def probability(self) -> float:
        """Power wanted."""
        return self.power

    def met(self, result: MonteCarloResult, size: int) -> BoolArray:
        """The decision of each replicate."""
        met = self.design.decide(estimates_of(result, size, self.key)).met
        assert met is not None
        return met

    def summary(self, result: MonteCarloResult, size: int) -> mcse.Summary:
        """The power; a replicate without an estimate concludes nothing."""
        return mcse.proportion(self.met(result, size), result.column(size, self.key, "status"))

    def as_dict(self) -> dict[str, Any]:
        """Measure and power wanted."""
        return {"measure": Measure.POWER.value, "probability": self.power}


def estimates_of(result: MonteCarloResult, size: int, key: RowKey) -> Estimates:
    """The stored estimates of one analysis, (replicates,)."""
    estimate, se, low, high, n, events, status = (result.column(size, key, name) for name in FIELDS)
    n, events, status = (np.nan_to_num(column) for column in (n, events, status))
    counts = (n.astype(np.int64), events.astype(np.int64), status.astype(np.int64))
    return Estimates(estimate, se, low, high, *counts, level=float("nan"), method="")
