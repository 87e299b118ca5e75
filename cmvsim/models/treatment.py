"""Section 8, pre-emptive therapy on observed results: start and stop of the first line."""

from __future__ import annotations

from pydantic import model_validator

from cmvsim.core.quantities import Count, Days, PositiveDays, Probability, ViralLoad
from cmvsim.core.spec import Spec


class StopRule(Spec):
    """When pre-emptive therapy stops.

    Attributes
    ----------
    negatives
        Consecutive results below the limit of quantification.
    minimum_days
        On the drug, whatever the results.
    maximum_days
        After which the drug is stopped without a further result.
    """

    negatives: Count
    minimum_days: PositiveDays
    maximum_days: PositiveDays

    @model_validator(mode="after")
    def _check(self) -> StopRule:
        if float(self.minimum_days) < 1:
            raise ValueError(f"minimum_days = {float(self.minimum_days):g}: a course lasts at least a day")
        return self


class TreatmentSpec(Spec):
    """Pre-emptive therapy.

    Attributes
    ----------
    start_at
        Result that starts treatment, IU/mL of the sampled matrix.
    accepted
        Share of episodes in which a qualifying result is acted on (one decision per patient and episode).
    delay
        Days from the result to the drug's start.
    """

    start_at: ViralLoad
    accepted: Probability
    delay: Days
    stop_after: StopRule
