"""Section 9, CMV disease: a hazard that grows with the load while an episode runs; and the organ."""

from __future__ import annotations

from pydantic import model_validator

from cmvsim.core.quantities import Log10Load, Number, Positive, Probability
from cmvsim.core.spec import Spec

SHARES_TOLERANCE = 1e-9


class DiseaseSpec(Spec):
    """CMV disease.

    Attributes
    ----------
    hazard
        Per day of viraemia at the reference load.
    slope
        Change of log10 hazard per log10 of load.
    reference_log10
        Load in plasma at which the hazard is stated.
    organs
        Shares of the organ affected, in order.
    """

    hazard: Positive
    slope: Number
    reference_log10: Log10Load
    organs: dict[str, Probability]

    @model_validator(mode="after")
    def _check(self) -> DiseaseSpec:
        total = sum(float(share) for share in self.organs.values())
        if abs(total - 1) > SHARES_TOLERANCE:
            raise ValueError(f"the shares of organs add up to {total:g}; they must add up to 1")
        if float(self.slope) < 0:
            raise ValueError(f"slope = {float(self.slope):g}: disease cannot become rarer as the load rises")
        return self
