"""Section 10, antiviral resistance: which changes arise under which drug, and what sequencing sees of them."""

from __future__ import annotations

import math
from typing import Literal, get_args

from pydantic import model_validator

from cmvsim.core.quantities import Count, Log10Load, LogitPerLog10, PositiveDays, Probability, ViralLoad
from cmvsim.core.spec import Spec

Gene = Literal["UL54", "UL97", "UL56"]
GENES: tuple[Gene, ...] = get_args(Gene)
"""Polymerase, kinase, terminase; their order is that of leading axes and of stream indices."""

ChangeClass = Literal["known_resistance", "known_polymorphism", "unknown"]
CLASSES: tuple[ChangeClass, ...] = get_args(ChangeClass)


class AciclovirSpec(Spec):
    """Known resistance of an episode in a patient on (val)aciclovir prophylaxis.

    Attributes
    ----------
    change
        Probability of a change in UL97 or UL54, per episode.
    ul54
        The part of it that is in UL54.
    """

    change: Probability
    ul54: Probability

    @model_validator(mode="after")
    def _check(self) -> AciclovirSpec:
        if float(self.ul54) > float(self.change):
            raise ValueError(f"ul54 ({float(self.ul54):g}) is a part of change ({float(self.change):g})")
        return self


class GanciclovirSpec(Spec):
    """Known resistance that arises while an episode is treated with (val)ganciclovir.

    Attributes
    ----------
    change
        Probability of a change after the days of `exposure`.
    exposure
        Days of (val)ganciclovir during the episode.
    """

    change: Probability
    exposure: PositiveDays

    @model_validator(mode="after")
    def _check(self) -> GanciclovirSpec:
        if float(self.change) >= 1:
            raise ValueError("change: a probability of 1 has no finite hazard")
        return self

    @property
    def hazard(self) -> float:
        """Per day of exposure: -ln(1 - change) / exposure."""
        return -math.log1p(-float(self.change)) / float(self.exposure)


class SequencingSpec(Spec):
    """Which samples are sequenced.

    Attributes
    ----------
    send_at
        A quantified sample at or above this load qualifies.
    per_episode
        So many samples of an episode are sent: the first that qualify.
    half_load, slope
        The log odds of success are slope x (log10 load - half_load).
    """

    send_at: ViralLoad
    per_episode: Count
    half_load: Log10Load
    slope: LogitPerLog10

    @model_validator(mode="after")
    def _check(self) -> SequencingSpec:
        if float(self.per_episode) < 1:
            raise ValueError("per_episode must be at least 1: no sample would be sent")
        return self


class ResistanceSpec(Spec):
    """Changes of CMV genes, by class.

    Attributes
    ----------
    letermovir
        Probability of known resistance in UL56, per episode that begins while letermovir is taken.
    polymorphism, unknown
        Share of patients whose strain has a known polymorphism, or a change of unknown meaning, by gene.
    """

    aciclovir: AciclovirSpec
    ganciclovir: GanciclovirSpec
    letermovir: Probability
    polymorphism: dict[Gene, Probability]
    unknown: dict[Gene, Probability]
    sequencing: SequencingSpec
