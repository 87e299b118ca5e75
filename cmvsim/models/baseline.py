"""Solved baseline hazards: what calibration finds from a scenario's targets and what the engines run on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cmvsim.models.strategies import LetermovirEffect


@dataclass(frozen=True, slots=True)
class Baseline:
    """Baseline hazards, solved once and then held fixed.

    Attributes
    ----------
    onset_amplitude
        A: total cumulative onset hazard of a patient without factors.
    onset_median
        m: median of the onset-time law, days since inclusion.
    non_relapse_hazard, after_relapse_hazard
        Hazards of death per day, by stratum in the scenario's order.
    bacterial_hazard, fungal_hazard
        Hazards of infection per day in the early and the late period; empty where they were not solved.
    letermovir
        What the drug does to one patient; None where it was not solved.
    """

    onset_amplitude: float
    onset_median: float
    non_relapse_hazard: tuple[float, ...]
    after_relapse_hazard: tuple[float, ...]
    bacterial_hazard: tuple[float, ...] = ()
    fungal_hazard: tuple[float, ...] = ()
    letermovir: LetermovirEffect | None = None

    @classmethod
    def of_dict(cls, tree: Mapping[str, Any]) -> Baseline:
        """Inverse of :meth:`as_dict`, through JSON too."""
        drug = tree["letermovir"]
        whole: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list | tuple) else value for name, value in tree.items()
        }
        return cls(**{**whole, "letermovir": LetermovirEffect(**drug) if drug is not None else None})

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)
