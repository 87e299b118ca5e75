"""What unfolds without CMV and before it (model.md 1 to 4, 12a, 14 planned stay, 15 start): the CMV course is laid on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmvsim.core.records import FloatArray
from cmvsim.models.follow_up import FollowUp
from cmvsim.models.kinetics import Kinetics
from cmvsim.models.population import Population
from cmvsim.models.toxicity import Toxicity
from cmvsim.models.virome import Virome
from cmvsim.models.windows import Windows
from cmvsim.simulation.prophylaxis import Prophylaxis


@dataclass(frozen=True)
class Background:
    """A chunk's patients apart from CMV: lazily drawn, so that what nobody asks for costs nothing.

    Attributes
    ----------
    follow_up
        Section 12a as it acts: with what never happens under the plan of the protocol estimand left out.
    stay
        The planned, CMV-free initial stay, (P,).
    prophylaxis
        Letermovir as planned, or None.
    """

    population: Population
    kinetics: Kinetics
    toxicity: Toxicity
    virome: Virome
    follow_up: FollowUp
    stay: Windows | None
    prophylaxis: Prophylaxis | None

    @property
    def monitored_until(self) -> FloatArray:
        """(P,) first of new therapy, transplantation, withdrawal and loss."""
        f = self.follow_up
        return np.minimum(np.minimum(f.new_therapy, f.hct), np.minimum(f.withdrawn, f.lost))
