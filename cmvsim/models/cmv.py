"""The CMV part of a scenario: onset (section 5), viral load (6), matrices, disease (9), and the targets (17)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from cmvsim.core.quantities import Days, NonNegative, Positive, PositiveDays, Probability, ViralLoad
from cmvsim.core.spec import Spec
from cmvsim.models.disease import DiseaseSpec
from cmvsim.models.reactivation import OnsetSpec
from cmvsim.models.viral_load import Matrix, MatrixSpec, ViralLoadSpec


class MeasuredBy(Spec):
    """How a target was measured: its own monitoring and treatment rule, which replace the study's while it is solved.

    Attributes
    ----------
    every, to
        Visits every so many days, the last one on day `to`; and one sample on the day of infusion.
    treated_from, treated_share
        Result that started treatment in that cohort (IU/mL of its matrix), and the share in which it did.
    """

    matrix: Matrix
    lloq: ViralLoad
    lod: ViralLoad
    every: Annotated[int, Field(ge=1)]
    to: Annotated[int, Field(ge=1, le=365)]
    attendance: Probability
    assay_sd_log10: NonNegative
    turnaround: Days
    treated_from: ViralLoad
    treated_share: Probability


class TargetSpec(Spec):
    """A published figure that the baseline hazard must reproduce.

    Attributes
    ----------
    measure
        "cumulative_incidence" of detection by `day` (death competing), or "median_detection": the day by which half of
        that incidence has been detected.
    definition
        "detected" or "quantifiable".
    published
        95% interval of the source, if any.
    measured_by
        The target's monitoring, or "same" for the one of the target before.
    """

    measure: Literal["cumulative_incidence", "median_detection"]
    definition: Literal["detected", "quantifiable"]
    day: PositiveDays
    value: Positive
    published: Annotated[tuple[float, float], Field(strict=False)] | None = None
    measured_by: MeasuredBy

    @model_validator(mode="after")
    def _check(self) -> TargetSpec:
        if self.published is not None and not 0 <= self.published[0] <= self.published[1] < float("inf"):
            raise ValueError(f"published = {list(self.published)} is no interval: [low, high], ascending, at least 0")
        if self.measure == "cumulative_incidence" and float(self.value) >= 1:
            raise ValueError(f"an incidence of {float(self.value):g} is not allowed; it lies between 0 and 1")
        return self


class CmvSpec(Spec):
    """CMV in the host.

    Attributes
    ----------
    calibrated_on
        Scenario whose population, law and follow-up the targets are solved on: a catalogue id, so that a change made here
        (of a mix, a death rate, a ratio) changes what happens and is not calibrated away; or "own".
    """

    calibrated_on: str
    onset: OnsetSpec
    load: ViralLoadSpec
    matrices: dict[Matrix, MatrixSpec]
    disease: DiseaseSpec
    targets: Annotated[tuple[TargetSpec, ...], Field(strict=False)]

    @model_validator(mode="before")
    @classmethod
    def _repeat_measurement(cls, raw: Any) -> Any:
        """Replace ``measured_by = "same"`` by the measurement of the target before."""
        targets = raw.get("targets") if isinstance(raw, dict) else None
        if not isinstance(targets, list):
            return raw
        filled: list[Any] = []
        for target in targets:
            if isinstance(target, dict) and target.get("measured_by") == "same" and filled and isinstance(filled[-1], dict):
                filled.append({**target, "measured_by": filled[-1].get("measured_by")})
            else:
                filled.append(target)
        return {**raw, "targets": filled}

    @model_validator(mode="after")
    def _check(self) -> CmvSpec:
        measures = [target.measure for target in self.targets]
        if sorted(measures) != ["cumulative_incidence", "median_detection"]:
            raise ValueError(
                f"targets: one cumulative_incidence and one median_detection identify the baseline hazard, found {measures}"
            )
        if len({target.measured_by.model_dump_json() for target in self.targets}) > 1:
            raise ValueError('targets: both are measured the same way in this version (measured_by = "same")')
        return self

    def target(self, measure: str) -> TargetSpec:
        """The target of a measure."""
        return next(target for target in self.targets if target.measure == measure)
