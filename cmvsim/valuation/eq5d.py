"""EQ-5D value sets: an index (utility, 1 = full health, 0 = as bad as dead) from five answers.

An index is 1 minus the decrements of the five levels. The numbers are those of the papers cited in ``eq5d.toml``; the
wording of the questionnaires belongs to the EuroQol Group and is not here.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmvsim.core.errors import InputError, did_you_mean
from cmvsim.core.records import FloatArray, IntArray

Instrument = Literal["EQ-5D-5L", "EQ-5D-Y-3L"]
LEVELS: Mapping[str, int] = MappingProxyType({"EQ-5D-5L": 5, "EQ-5D-Y-3L": 3})
DIMENSIONS = ("mobility", "self_care", "usual_activities", "pain", "anxiety")
"""The five dimensions, in the order of a profile: 21232 is level 2 of mobility, level 1 of self-care, ..."""

DECIMALS = 10
"""Of an index: more than any paper gives, so that a state worth 0 is 0 and not a last bit below it."""


@dataclass(frozen=True, eq=False, slots=True)
class ValueSet:
    """A published additive value set.

    Attributes
    ----------
    name
        By which it is asked for.
    instrument
        Whose answers it values.
    country
        Whose population was asked.
    citation, doi
        Where it was published.
    decrements
        (5, levels): what each level takes off 1; 0 at level 1, and never less at a worse level.
    """

    name: str
    instrument: Instrument
    country: str
    citation: str
    doi: str
    decrements: FloatArray

    def __post_init__(self) -> None:
        if self.decrements.shape != (len(DIMENSIONS), LEVELS[self.instrument]):
            raise ValueError(f"{self.name}: {self.instrument} has five dimensions of {LEVELS[self.instrument]} levels")
        if self.decrements[:, 0].any() or (np.diff(self.decrements, axis=1) < 0).any():
            raise ValueError(f"{self.name}: decrements begin at 0 and do not fall from level to level")
        self.decrements.setflags(write=False)

    @property
    def worst(self) -> float:
        """Index of the worst profile."""
        return round(float(1 - self.decrements[:, -1].sum()), DECIMALS)

    def index(self, levels: ArrayLike, axis: int = -1) -> FloatArray:
        """Index of profiles.

        Parameters
        ----------
        levels
            Whole numbers, five along `axis`; 0 is an item without an answer.
        axis
            Of the five dimensions.

        Returns
        -------
        FloatArray
            The other axes; NaN where an item has no answer.

        Raises
        ------
        InputError
            If there are not five dimensions, or a level that the instrument does not have.
        """
        given: NDArray[Any] = np.moveaxis(np.asarray(levels), axis, -1)
        if given.shape[-1:] != (len(DIMENSIONS),) or not np.issubdtype(given.dtype, np.integer):
            raise InputError(f"{self.name}: a profile is five whole numbers")
        highest = self.decrements.shape[1]
        if given.size and (given.min() < 0 or given.max() > highest):
            wrong = int(given.min() if given.min() < 0 else given.max())
            raise InputError(f"{self.name}: {self.instrument} has no level {wrong} (allowed: 1 to {highest}, 0 if missing)")
        table = np.column_stack([np.full(len(DIMENSIONS), np.nan), self.decrements])
        index: FloatArray = np.ones(given.shape[:-1])
        for dimension, row in enumerate(table):
            index = index - row[given[..., dimension]]
        return np.round(index, DECIMALS)

    def expected(self, probabilities: FloatArray) -> FloatArray:
        """Expected index given the probabilities of the levels: (..., 5, levels) -> (...)."""
        mean: FloatArray = 1 - np.einsum("...dl,dl->...", probabilities, self.decrements)
        return mean


def levels_of(profiles: ArrayLike) -> IntArray:
    """Digits of profiles written as numbers: 21232 -> 2, 1, 2, 3, 2, along a new last axis."""
    codes = np.asarray(profiles, dtype=np.int64)
    if codes.size and (codes.min() < 0 or codes.max() > 99_999):
        raise InputError("a profile has five digits, e.g. 21232")
    digits: IntArray = codes[..., None] // 10 ** np.arange(4, -1, -1) % 10
    return digits


@cache
def value_sets() -> Mapping[str, ValueSet]:
    """All value sets, by name."""
    text = resources.files("cmvsim.valuation").joinpath("eq5d.toml").read_text(encoding="utf-8")
    return MappingProxyType({name: _read(name, table) for name, table in tomllib.loads(text).items()})


def value_set(name: str) -> ValueSet:
    """Look a value set up.

    Raises
    ------
    InputError
        If there is none of that name, with the nearest one.
    """
    known = value_sets()
    if name not in known:
        raise InputError(f"there is no value set '{name}' ({did_you_mean(name, known)})")
    return known[name]


def _read(name: str, table: Mapping[str, Any]) -> ValueSet:
    decrements = np.array([[0.0, *table["decrements"][dimension]] for dimension in DIMENSIONS])
    words = {key: table[key] for key in ("instrument", "country", "citation", "doi")}
    return ValueSet(name=name, decrements=decrements, **words)
