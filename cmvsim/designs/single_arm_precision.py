"""Single-arm cohort sized for precision: nothing is tested, an incidence is estimated well enough."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from cmvsim.core.records import Estimates, FloatArray, IntArray
from cmvsim.core.spec import Spec
from cmvsim.core.streams import Draws
from cmvsim.designs.base import Decision, Look


class PrecisionTarget(Spec):
    """With `probability`, the confidence interval is no wider than +- `half_width`."""

    half_width: Annotated[float, Field(gt=0, lt=0.5)]
    probability: Annotated[float, Field(gt=0, lt=1)] = 0.80


class SingleArmPrecision(Spec):
    """All patients have the reference strategy; the analysis is final and decides nothing."""

    kind: Literal["single_arm_precision"]
    target: PrecisionTarget | None = None

    def assign(self, n: int, strata: IntArray, draws: Draws) -> IntArray:  # noqa: ARG002 -- the seam's signature
        """Everybody has the first strategy."""
        return np.zeros((strata.shape[0], n), dtype=np.int64)

    def looks(self, calendar: FloatArray) -> tuple[Look, ...]:
        """One final analysis."""
        return (Look("final", int(calendar.shape[-1])),)

    def decide(self, estimates: Estimates) -> Decision:  # noqa: ARG002 -- the seam's signature
        """Nothing is decided."""
        return Decision(met=None)
