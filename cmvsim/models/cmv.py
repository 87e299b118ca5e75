"""The CMV part of a scenario: onset (section 5), viral load (6), matrices, disease (9), and the targets (17)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from cmvsim.core.definition import Definition, HumanDefinition
from cmvsim.core.quantities import Days, NonNegative, Positive, PositiveDays, Probability, ViralLoad
from cmvsim.core.spec import Spec
from cmvsim.core.value import Value
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


Interval95 = Annotated[tuple[float, float], Field(strict=False)]
INCIDENCES = ("cumulative_incidence", "share_reaching")
OF_STEROIDS = ("odds_ratio_steroids", "incidence_with_steroids", "incidence_without_steroids")
BY_DEFINITION = (*INCIDENCES, "median_detection", *OF_STEROIDS)
"""Measures of when or whether a sample of the definition was found."""
PEAKS = ("peak_median", "peak_quantile")
SHARES = (*INCIDENCES, *OF_STEROIDS[1:], "treated_share", "disease_share", "non_relapse_mortality", "death")


def _check_interval(published: tuple[float, float]) -> None:
    if not 0 <= published[0] <= published[1] < float("inf"):
        raise ValueError(f"published = {list(published)} is no interval: [low, high], ascending, at least 0")


class TargetSpec(Spec):
    """A published figure that the baseline hazard must reproduce.

    Attributes
    ----------
    measure
        "cumulative_incidence" of a first qualifying sample by `day` (death and transplantation competing),
        "share_reaching": the crude share of the patients, or "median_detection": the day by which half of that incidence
        has been detected.
    definition
        "detected", "quantifiable" or a level.
    published
        95% interval of the source, if any.
    measured_by
        The target's monitoring; "same" for the one of the target before; "study" (held as None) for the scenario's own
        monitoring, treatment and follow-up.
    """

    measure: Literal["cumulative_incidence", "share_reaching", "median_detection"]
    definition: HumanDefinition
    day: PositiveDays
    value: Positive
    published: Interval95 | None = None
    measured_by: MeasuredBy | None

    @model_validator(mode="after")
    def _check(self) -> TargetSpec:
        if self.published is not None:
            _check_interval(self.published)
        if self.measure in INCIDENCES and float(self.value) >= 1:
            raise ValueError(f"an incidence of {float(self.value):g} is not allowed; it lies between 0 and 1")
        if self.measure == "share_reaching" and self.measured_by is not None:
            raise ValueError('a crude share depends on who leaves the study: it is measured_by = "study"')
        if self.definition.name == "clinically_significant":
            raise ValueError("treatment is no sign of onset: a target is of detection, quantification or a level")
        return self


class CheckSpec(Spec):
    """A published figure that the scenario's own study is held against; nothing is solved on it.

    Attributes
    ----------
    measure
        By `day`, among patients without DNAemia at or before infusion:
        "cumulative_incidence" (death and transplantation competing) or "share_reaching" (crude) of a first sample of
        the definition; "incidence_with_steroids", "incidence_without_steroids", "odds_ratio_steroids": that crude share
        by corticosteroids ever or never, and its odds ratio; "median_detection"; "peak_median", "peak_quantile":
        of the highest quantified load of patients with a sample of the definition.
        Among all patients: "treated_share", "disease_share"; "non_relapse_mortality" (relapse competing) and "death".
    definition
        "detected", "quantifiable", "clinically_significant" or a level; what decides on an event where the measure needs one.
    quantile
        Of "peak_quantile".
    value
        As published: share, ratio, IU/mL or day.
    published
        95% interval of the source, or of what is not known of the evidence entry.
    """

    measure: Literal[
        "cumulative_incidence",
        "share_reaching",
        "incidence_with_steroids",
        "incidence_without_steroids",
        "odds_ratio_steroids",
        "median_detection",
        "peak_median",
        "peak_quantile",
        "treated_share",
        "disease_share",
        "non_relapse_mortality",
        "death",
    ]
    definition: HumanDefinition = Definition(name="detected")
    quantile: Probability = Value(value=0.5)
    day: PositiveDays
    value: NonNegative
    published: Interval95

    @model_validator(mode="after")
    def _check(self) -> CheckSpec:
        _check_interval(self.published)
        if not self.published[0] <= float(self.value) <= self.published[1]:
            raise ValueError(f"{float(self.value):g} lies outside its published interval, {list(self.published)}")
        if self.published[0] == self.published[1]:
            raise ValueError("a published interval without a width leaves no room for chance")
        if self.measure in SHARES and self.published[1] >= 1:
            raise ValueError("a share and its interval lie below 1")
        if self.measure not in SHARES and self.published[0] <= 0:
            raise ValueError(f"the interval of {self.measure} begins above 0")
        if float(self.day) != int(float(self.day)):
            raise ValueError(f"day = {float(self.day):g}: a study counts whole days")
        if self.measure == "peak_quantile" and not 0 < float(self.quantile) < 1:
            raise ValueError(f"quantile = {float(self.quantile):g} lies between 0 and 1")
        return self

    @property
    def label(self) -> str:
        """What is measured, in words."""
        words = self.measure.replace("_", " ")
        if self.measure == "peak_quantile":
            return f"peak, quantile {float(self.quantile):g}"
        return f"{words}, {self.definition}" if self.measure in BY_DEFINITION else words


class CmvSpec(Spec):
    """CMV in the host.

    Attributes
    ----------
    calibrated_on
        Scenario whose population, law and follow-up the targets are solved on: a catalogue id, so that a change made here
        (of a mix, a death rate, a ratio) changes what happens and is not calibrated away; or "own".
    targets
        What the baseline hazard is solved on: one incidence and one timing.
    checks
        What else was published, and is only compared.
    """

    calibrated_on: str
    onset: OnsetSpec
    load: ViralLoadSpec
    matrices: dict[Matrix, MatrixSpec]
    disease: DiseaseSpec
    targets: Annotated[tuple[TargetSpec, ...], Field(strict=False)]
    checks: Annotated[tuple[CheckSpec, ...], Field(strict=False)] = ()

    @model_validator(mode="before")
    @classmethod
    def _repeat_measurement(cls, raw: Any) -> Any:
        """Replace ``measured_by = "same"`` by the measurement of the target before, and "study" by None."""
        targets = raw.get("targets") if isinstance(raw, dict) else None
        if not isinstance(targets, list):
            return raw
        filled: list[Any] = []
        for target in targets:
            if isinstance(target, dict) and target.get("measured_by") == "same" and filled and isinstance(filled[-1], dict):
                filled.append({**target, "measured_by": filled[-1].get("measured_by")})
            elif isinstance(target, dict) and target.get("measured_by") == "study":
                filled.append({**target, "measured_by": None})
            else:
                filled.append(target)
        return {**raw, "targets": filled}

    @model_validator(mode="after")
    def _check(self) -> CmvSpec:
        measures = [target.measure for target in self.targets]
        if len(measures) != 2 or measures.count("median_detection") != 1:
            raise ValueError(
                "targets: one incidence (cumulative_incidence or share_reaching) and one median_detection identify the "
                f"baseline hazard, found {measures}"
            )
        if self.incidence.measured_by != self.timing.measured_by:
            raise ValueError('targets: both are measured the same way in this version (measured_by = "same")')
        if self.incidence.definition != self.timing.definition:
            raise ValueError(
                f"targets: the timing is that of the incidence, yet one is of '{self.timing.definition}' and the other of "
                f"'{self.incidence.definition}'"
            )
        return self

    @property
    def incidence(self) -> TargetSpec:
        """The incidence that the amplitude is solved on."""
        return next(target for target in self.targets if target.measure in INCIDENCES)

    @property
    def timing(self) -> TargetSpec:
        """The timing that the median of onset is solved on."""
        return next(target for target in self.targets if target.measure == "median_detection")

    def target(self, measure: str) -> TargetSpec:
        """The target of a measure."""
        return next(target for target in self.targets if target.measure == measure)
