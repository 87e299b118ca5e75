"""Single-arm cohort sized for precision: nothing is tested, an incidence is estimated well enough."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from cmvsim.core.errors import Problem
from cmvsim.core.records import Estimates, FloatArray, IntArray
from cmvsim.core.spec import Spec
from cmvsim.designs.base import Decision, ListDraws, Look, Surroundings, one_final_look


class PrecisionTarget(Spec):
    """With `probability`, the confidence interval is no wider than +- `half_width`."""

    half_width: Annotated[float, Field(gt=0, lt=0.5)]
    probability: Annotated[float, Field(gt=0, lt=1)] = 0.80


class SingleArmPrecision(Spec):
    """All patients have the reference strategy; the analysis is final and decides nothing."""

    kind: Literal["single_arm_precision"] = "single_arm_precision"
    target: PrecisionTarget | None = None

    @property
    def strategies(self) -> tuple[str, ...]:
        """The reference strategy."""
        return ()

    def assign(self, strata: IntArray, draws: ListDraws) -> IntArray:  # noqa: ARG002 -- the seam's signature
        """Everybody has the first strategy."""
        return np.zeros(strata.shape, dtype=np.int64)

    def looks(self, calendar: FloatArray) -> tuple[Look, ...]:
        """One final analysis."""
        return one_final_look(calendar)

    def decide(self, estimates: Estimates) -> Decision:  # noqa: ARG002 -- the seam's signature
        """Nothing is decided."""
        return Decision(met=None)

    def check(self, around: Surroundings, where: str, at: str) -> list[Problem]:  # noqa: ARG002 -- the seam's signature
        """It names nothing of the scenario."""
        return []

    def sentence(self, around: Surroundings) -> str:  # noqa: ARG002 -- the seam's signature
        """The target."""
        if self.target is None:
            return "no target"
        return f"half-width at most {100 * self.target.half_width:g} points with {100 * self.target.probability:g}% probability"
