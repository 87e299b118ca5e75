"""When to stop on Monte Carlo error.

The rule looks at a prefix of replicates in index order, at checkpoints declared beforehand, so the answer
depends neither on the number of workers nor on which chunk happened to finish first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cmvsim.montecarlo.run import MonteCarloResult

MINIMUM_REPLICATES = 2000
"""No stopping rule is judged below: an MCSE from fewer is too uncertain, and stopping on it biases."""


@dataclass(frozen=True, slots=True)
class Stopping:
    """Stop at the first checkpoint where the Monte Carlo standard error is small enough.

    Attributes
    ----------
    mcse_target
        Largest acceptable MCSE.
    measure
        Gives the MCSE that is judged (the largest of those that matter) from the results of a prefix; NaN
        means not yet known. Called by the parent process only, so it need not be picklable.
    checkpoints
        Replicates at which the rule is judged: ascending, none below 2,000. The run's `replicates` is the
        maximum and ends it in any case.
    """

    mcse_target: float
    measure: Callable[[MonteCarloResult], float]
    checkpoints: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.mcse_target > 0:
            raise ValueError(f"MCSE target {self.mcse_target} is not positive")
        if list(self.checkpoints) != sorted(set(self.checkpoints)):
            raise ValueError(f"checkpoints {self.checkpoints} are not ascending")
        if any(checkpoint < MINIMUM_REPLICATES for checkpoint in self.checkpoints):
            raise ValueError(f"a checkpoint lies below {MINIMUM_REPLICATES} replicates: {self.checkpoints}")

    def within(self, replicates: int) -> tuple[int, ...]:
        """Checkpoints below the maximum, then the maximum."""
        return (*(checkpoint for checkpoint in self.checkpoints if checkpoint < replicates), replicates)


@dataclass(frozen=True, slots=True)
class Judgement:
    """One look at the Monte Carlo error."""

    replicates: int
    mcse: float
    reached: bool


def doubling_checkpoints(maximum: int, first: int = MINIMUM_REPLICATES) -> tuple[int, ...]:
    """Checkpoints `first`, twice, four times, ... up to `maximum`."""
    checkpoints = []
    while first <= maximum:
        checkpoints.append(first)
        first *= 2
    return tuple(checkpoints)
