"""The stories that are recorded together, and rows of different lengths as one array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cmvsim.core.records import FloatArray, IntArray
from cmvsim.models.windows import Windows
from cmvsim.simulation.background import Background
from cmvsim.simulation.pathway.facts import Window
from cmvsim.simulation.pathway.recorded.ending import Ending
from cmvsim.simulation.pathway.records import PatientHistory


@dataclass(frozen=True, slots=True)
class Case:
    """Stories of one replicate on their way into the tables.

    Attributes
    ----------
    background
        What the stories were laid on.
    rows
        Flat index of each in the chunk.
    stories, endings
        In the order of the study's patients.
    """

    background: Background
    rows: IntArray
    stories: Sequence[PatientHistory]
    endings: Sequence[Ending]

    @property
    def retrospective(self) -> list[bool]:
        """Whether each patient belongs to the retrospective part."""
        return [bool(late) for late in self.background.population.retrospective[self.rows]]

    def windows(self, windows: Windows) -> list[Window]:
        """Shared windows, one of each patient."""
        return [Window(float(windows.start[row]), float(windows.stop[row])) for row in self.rows]


def padded(lists: Sequence[Sequence[float]]) -> FloatArray:
    """Rows of different lengths as (1, N, K), NaN behind."""
    values = np.full((1, len(lists), max(map(len, lists), default=0)), np.nan)
    for i, row in enumerate(lists):
        values[0, i, : len(row)] = row
    return values
