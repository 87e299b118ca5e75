"""Section 11: bacterial infections (recurrent) and fungal infections (the first).

The hazards are constant on an early and a late period, and are multiplied by the immunosuppression score, by leukaemia,
and while CMV replicates, while the patient is neutropenic and while on corticosteroids: the shared causes of CMV and
infections. The baseline hazards are solved from the published shares of infected patients. Infections act on death and
on what comes after them, never on CMV.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import model_validator

from cmvsim.core.errors import Problem
from cmvsim.core.quantities import Count, PositiveDays, Probability, Ratio, VaryingPositiveDays
from cmvsim.core.records import BoolArray
from cmvsim.core.spec import Spec
from cmvsim.core.value import Value
from cmvsim.models.windows import Windows


class InfectionRatios(Spec):
    """Ratios on the hazard of infection.

    Attributes
    ----------
    score
        Per standard deviation of the immunosuppression score, all the time.
    leukaemia
        Leukaemia against lymphoma, all the time.
    cmv
        While a CMV episode is open, from onset to clearance; seen or not.
    neutropenia
        While neutropenic.
    corticosteroids
        From the first dose to the last, without a wash-out.
    """

    score: Ratio
    leukaemia: Ratio
    cmv: Ratio
    neutropenia: Ratio
    corticosteroids: Ratio


class BacterialSpec(Spec):
    """Bacterial infections: recurrent, one at a time.

    Attributes
    ----------
    early, late
        Share of patients with at least one infection that starts in (0, early_until], and in (early_until, late_until],
        of those alive and not transplanted when the period begins (targets).
    episodes
        Most infections of one patient.
    duration
        Days that one lasts.
    severe
        Share of infections that are severe (grade 3 or more).
    """

    early: Probability
    late: Probability
    episodes: Count
    duration: VaryingPositiveDays
    severe: Probability
    ratios: InfectionRatios

    @model_validator(mode="after")
    def _check(self) -> BacterialSpec:
        for name in ("early", "late"):
            _below_one(name, getattr(self, name))
        if float(self.episodes) < 1:
            raise ValueError("episodes must be at least 1")
        return self


class FungalSpec(Spec):
    """The first invasive fungal infection.

    Attributes
    ----------
    whole
        Share of patients with one that starts in (0, late_until], before death and transplantation (a target).
    late_ratio
        Baseline hazard of the late period over that of the early one.
    duration
        Days that it lasts.
    severe
        Share that is severe (grade 3 or more).
    """

    whole: Probability
    late_ratio: Ratio
    duration: VaryingPositiveDays
    severe: Probability
    ratios: InfectionRatios

    @model_validator(mode="after")
    def _check(self) -> FungalSpec:
        _below_one("whole", self.whole)
        return self


class InfectionsSpec(Spec):
    """Bacterial and fungal infections.

    Attributes
    ----------
    early_until
        Last day of the early period; the late hazard holds from then to the horizon.
    late_until
        Last day that the targets speak of.
    """

    early_until: PositiveDays
    late_until: PositiveDays
    bacterial: BacterialSpec
    fungal: FungalSpec

    @model_validator(mode="after")
    def _check(self) -> InfectionsSpec:
        if float(self.late_until) <= float(self.early_until):
            raise ValueError(f"late_until ({float(self.late_until):g}) must be after early_until ({float(self.early_until):g})")
        return self

    def check(self, horizon: float, where: str) -> list[Problem]:
        """Problem of targets that reach beyond what is simulated."""
        last = float(self.late_until)
        if last <= horizon:
            return []
        told = f"the targets reach to day {last:g}, after the horizon ({horizon:g})"
        return [Problem(told, where, "infections.late_until", "a later horizon")]


def _below_one(name: str, share: Value) -> None:
    if float(share) >= 1:
        raise ValueError(f"{name}: a share of 1 has no finite hazard")


@dataclass(frozen=True, slots=True)
class Infections:
    """Infections of a chunk, as they would unfold without death: what lies beyond it is cut when it is recorded.

    Attributes
    ----------
    bacterial
        (K, P) start and stop, +inf where there is none; ascending and not overlapping.
    bacterial_severe
        (K, P), False where there is none.
    fungal
        (P,) start and stop.
    fungal_severe
        (P,)
    """

    bacterial: Windows
    bacterial_severe: BoolArray
    fungal: Windows
    fungal_severe: BoolArray

    @property
    def severe(self) -> Windows:
        """(K + 1, P) windows of the severe infections, the fungal one last; they may overlap."""
        severe = np.vstack([self.bacterial_severe, self.fungal_severe])
        start = np.vstack([self.bacterial.start, self.fungal.start])
        stop = np.vstack([self.bacterial.stop, self.fungal.stop])
        return Windows(np.where(severe, start, np.inf), np.where(severe, stop, np.inf))

    @property
    def any_severe(self) -> BoolArray:
        """(K + 1, P) which of :attr:`any` are severe."""
        return np.vstack([self.bacterial_severe, self.fungal_severe])

    @property
    def any(self) -> Windows:
        """(K + 1, P) windows of all infections, the fungal one last; they may overlap."""
        start = np.vstack([self.bacterial.start, self.fungal.start])
        return Windows(start, np.vstack([self.bacterial.stop, self.fungal.stop]))
