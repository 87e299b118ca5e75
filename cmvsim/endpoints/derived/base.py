"""What all kinds of derived variables have: who was left out, and cuts to patients and replicates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Protocol, Self

import numpy as np

from cmvsim.core.records import BoolArray, IntArray

EXCLUDED, CENSORED, EVENT, DEATH, HCT, RELAPSE = -1, 0, 1, 2, 3, 4
"""Causes of a derived time-to-event variable."""

Excluded = Mapping[str, BoolArray]
"""Patients left out, by reason: (R, N) each. Nobody is dropped silently."""


class Derived(Protocol):
    """A derived variable."""

    @property
    def excluded(self) -> Excluded:
        """Who was left out and why."""
        ...

    @property
    def entered(self) -> BoolArray:
        """(R, N) patients in the analysis."""
        ...

    @property
    def endings(self) -> Mapping[str, IntArray]:
        """(R,) counts for the participant flow of those who entered, in words: events, censored, ..."""
        ...

    def first(self, n: int) -> Self:
        """The study of the first n patients."""
        ...

    def of_replicates(self, rows: slice) -> Self:
        """Some of the replicates."""
        ...


class Arrays:
    """Cuts of a dataclass whose arrays are (R, N, ...); `excluded` is cut likewise.

    `per_patient` says how many entries of the second axis belong to one patient (start-stop rows).
    """

    __slots__ = ()

    @property
    def per_patient(self) -> int:
        """Entries of one patient."""
        return 1

    def first(self, n: int) -> Self:
        """The study of the first n patients."""
        return self._cut(lambda a, k: a[:, : n * k])

    def of_replicates(self, rows: slice) -> Self:
        """Some of the replicates."""
        return self._cut(lambda a, _: a[rows])

    def _cut(self, how: Any) -> Self:
        changed: dict[str, Any] = {}
        for entry in fields(self):  # type: ignore[arg-type]
            value = getattr(self, entry.name)
            if isinstance(value, np.ndarray):
                changed[entry.name] = how(value, self.per_patient)
            elif entry.name == "excluded":
                changed[entry.name] = {why: how(who, 1) for why, who in value.items()}
        return replace(self, **changed)  # type: ignore[type-var]
