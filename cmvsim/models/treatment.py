"""Section 8, pre-emptive therapy on observed results: start, choice of drug, toxicity, switch, and stop."""

from __future__ import annotations

import math
from typing import Literal, get_args

from pydantic import model_validator

from cmvsim.core.quantities import Count, Days, PositiveDays, Probability, VaryingPositiveDays, ViralLoad
from cmvsim.core.spec import Spec

Antiviral = Literal["valganciclovir", "ganciclovir", "foscarnet", "maribavir"]
ANTIVIRALS: tuple[Antiviral, ...] = get_args(Antiviral)
"""In the order of their codes 1, 2, ...; 0 is none."""
FIRST_LINE = ANTIVIRALS[:3]
SHARES_TOLERANCE = 1e-9


class StopRule(Spec):
    """When pre-emptive therapy stops.

    Attributes
    ----------
    negatives
        Consecutive results below the limit of quantification.
    minimum_days
        On treatment, whatever the results.
    maximum_days
        After which treatment is stopped without a further result.
    """

    negatives: Count
    minimum_days: PositiveDays
    maximum_days: PositiveDays

    @model_validator(mode="after")
    def _check(self) -> StopRule:
        if float(self.minimum_days) < 1:
            raise ValueError(f"minimum_days = {float(self.minimum_days):g}: a course lasts at least a day")
        return self


class DrugToxicity(Spec):
    """A toxicity of a drug that ends its use.

    Attributes
    ----------
    probability
        By `days` on the drug, were it not stopped before.
    days
        The time the probability speaks of.
    """

    probability: Probability
    days: PositiveDays

    @model_validator(mode="after")
    def _check(self) -> DrugToxicity:
        if float(self.probability) >= 1:
            raise ValueError("a probability of 1 has no finite hazard")
        return self

    @property
    def hazard(self) -> float:
        """Per day on the drug."""
        return -math.log1p(-float(self.probability)) / float(self.days)


class Neutropenia(DrugToxicity):
    """Neutropenia on (val)ganciclovir, and how long it lasts."""

    duration: VaryingPositiveDays


class TreatmentToxicity(Spec):
    """What ends the use of a drug for a patient."""

    neutropenia: Neutropenia
    kidney_injury: DrugToxicity


class TreatmentSpec(Spec):
    """Pre-emptive therapy.

    Attributes
    ----------
    start_at
        Result that starts treatment, IU/mL of the sampled matrix.
    confirmations
        Further consecutive results at or above it that are needed.
    accepted
        Share of episodes in which a qualifying result is acted on (one decision per patient and episode).
    delay
        Days from the result to the drug's start.
    first_line
        Shares of the drugs where nothing stands against one.
    refractory_after
        Days on a drug after which a load that is not below the one that started it means a switch.
    """

    start_at: ViralLoad
    confirmations: Count
    accepted: Probability
    delay: Days
    first_line: dict[Antiviral, Probability]
    toxicity: TreatmentToxicity
    refractory_after: PositiveDays
    stop_after: StopRule

    @model_validator(mode="after")
    def _check(self) -> TreatmentSpec:
        if float(self.refractory_after) < 1:
            raise ValueError(f"refractory_after = {float(self.refractory_after):g}: no drug is judged before a day")
        if sorted(self.first_line) != sorted(FIRST_LINE):
            raise ValueError(f"first_line: shares of {', '.join(FIRST_LINE)} are needed, found {', '.join(self.first_line)}")
        total = sum(float(share) for share in self.first_line.values())
        if abs(total - 1) > SHARES_TOLERANCE:
            raise ValueError(f"the shares of first_line add up to {total:g}; they must add up to 1")
        return self
