"""What a patient's state is now, as far as it raises the hazards of infection and of death (model.md 11, 12)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from enum import StrEnum


class Condition(StrEnum):
    """A state with a hazard ratio."""

    CMV = "cmv"
    NEUTROPENIA = "neutropenia"
    CORTICOSTEROIDS = "corticosteroids"
    SEVERE_TOXICITY = "severe_toxicity"
    SEVERE_INFECTION = "severe_infection"
    CLINICALLY_SIGNIFICANT = "clinically_significant"
    DISEASE = "disease"


class Conditions:
    """States that are on; several windows of one state count once. Who listens is told of every change."""

    def __init__(self) -> None:
        self._open: Counter[Condition] = Counter()
        self._listeners: list[Callable[[], None]] = []

    def __contains__(self, condition: Condition) -> bool:
        return self._open[condition] > 0

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever a state goes on or off."""
        self._listeners.append(listener)

    def begin(self, condition: Condition) -> None:
        """One more window of a state is open."""
        self._open[condition] += 1
        if self._open[condition] == 1:
            self._tell()

    def end(self, condition: Condition) -> None:
        """One window of it is closed."""
        self._open[condition] -= 1
        if self._open[condition] == 0:
            self._tell()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()
