"""The numbers of the shared virology that no paper states and that the published cohorts decide between them.

A *law* maps evidence ids to what stands for them, in the form of scenario files:
``{"set_point_shift_steroids": 1.0, "cmv_set_point_plasma": {"mean": 1.1, "varies": {"sd": 0.7}}}``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cmvsim.evidence import parameter

Law = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Lever:
    """One number of the law.

    Attributes
    ----------
    name
        For people.
    entry
        Its evidence entry.
    part
        "value", or "mean" or "sd" of a quantity that differs between patients.
    log
        Whether it is moved on the log scale.
    step
        A move that matters: about what is not known of it (log10 IU/mL, or a change of the log).
    """

    name: str
    entry: str
    part: str
    log: bool
    step: float

    def read(self, law: Law) -> float:
        """Its value under a law."""
        table = law.get(self.entry, parameter(self.entry).human())
        if not isinstance(table, Mapping):
            return float(table)
        return float(table["varies"]["sd"] if self.part == "sd" else table[self.part])

    def write(self, law: Law, value: float) -> Law:
        """The law with another value of it."""
        table = law.get(self.entry, parameter(self.entry).human())
        table = {"value": table} if not isinstance(table, Mapping) else table
        kept = {key: item for key, item in table.items() if key in ("value", "mean", "varies")}
        new = {**kept, "varies": {**kept["varies"], "sd": value}} if self.part == "sd" else {**kept, self.part: value}
        return {**law, self.entry: new}


LEVERS = (
    Lever("set-point mean", "cmv_set_point_plasma", "mean", False, 0.2),
    Lever("set-point SD", "cmv_set_point_plasma", "sd", True, 0.2),
    Lever("steroid shift of the set-point", "set_point_shift_steroids", "value", False, 0.25),
    Lever("onset ratio of steroids", "onset_ratio_steroids", "value", True, 0.3),
    Lever("whole-blood offset", "whole_blood_offset", "mean", False, 0.2),
    Lever("whole-blood LOD", "lod_whole_blood", "value", True, 0.4),
)


def moved(law: Law, lever: Lever, steps: float) -> Law:
    """The law with one lever moved by so many of its steps."""
    now = lever.read(law)
    return lever.write(law, now * math.exp(steps * lever.step) if lever.log else now + steps * lever.step)
