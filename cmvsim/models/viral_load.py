"""Section 6, viral load of an episode: one virological law for all scenarios and both matrices.

Log10 load in plasma starts at v0, grows with the patient's doubling time to a set-point, plateaus, and, in a
self-limited episode, decays; below v0 it is cleared. An antiviral adds a second course from the day it begins to act:
decay with the half-life on treatment; after a stop above v0, regrowth (with some probability) or further decay. The
realised load is the smaller of the natural and the controlled course, so a self-limited clearance is absolute.
Whole blood is plasma plus a per-patient offset.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from scipy import special

from cmvsim.core.quantities import Days, Log10Load, Number, Probability, VaryingDays, VaryingLog10, VaryingPositiveDays
from cmvsim.core.records import BoolArray, FloatArray
from cmvsim.core.spec import Spec

Matrix = Literal["plasma", "whole_blood"]


def matrix_of(entry: str | None) -> Matrix | None:
    """Matrix of an entry of the evidence catalogue, with which its id ends; None for a number that is of no one matrix."""
    matrices: tuple[Matrix, ...] = get_args(Matrix)
    return next((matrix for matrix in matrices if entry is not None and entry.endswith(f"_{matrix}")), None)


class SetPointShifts(Spec):
    """What raises the plateau of an episode (log10 IU/mL).

    Attributes
    ----------
    corticosteroids
        If steroids began before the load would have reached its plateau without them.
    score
        Per SD of the immunosuppression score.
    """

    corticosteroids: Log10Load
    score: Log10Load


class SelfLimitedSpec(Spec):
    """Episodes that end without treatment: logistic in the set-point.

    Attributes
    ----------
    share
        Probability at the mean set-point.
    slope
        Change of the log odds per log10 of set-point (negative: high episodes end less often by themselves).
    """

    share: Probability
    slope: Number


class TreatedSpec(Spec):
    """The load under an antiviral.

    Attributes
    ----------
    lag
        Days from the drug's start (or from onset, if later) until the load falls.
    half_life
        On treatment.
    regrowth
        Probability that an episode regrows when the treatment stops before it is cleared.
    refractory
        Share of episodes on which the first drug of a treatment does not act.
    """

    lag: Days
    half_life: VaryingPositiveDays
    regrowth: Probability
    refractory: Probability


class ViralLoadSpec(Spec):
    """The course of an episode, in log10 IU/mL of plasma."""

    start_log10: Log10Load
    doubling_time: VaryingPositiveDays
    set_point: VaryingLog10
    set_point_shift: SetPointShifts
    plateau: VaryingDays
    self_limited: SelfLimitedSpec
    decay_half_life: VaryingPositiveDays
    treated: TreatedSpec


class MatrixSpec(Spec):
    """A sampled matrix: log10 of its load over plasma, per patient."""

    offset: VaryingLog10


LOG10_2 = float(np.log10(2.0))


def growth_rate(spec: ViralLoadSpec, z: FloatArray) -> FloatArray:
    """Log10 per day of growth from standard normals."""
    return LOG10_2 / spec.doubling_time.of_normal(z)


def is_self_limited(spec: ViralLoadSpec, set_point: FloatArray, u: FloatArray) -> BoolArray:
    """Whether episodes with these set-points end by themselves, from uniforms `u`."""
    centre = special.logit(float(spec.self_limited.share))
    return u < special.expit(centre + float(spec.self_limited.slope) * (set_point - spec.set_point.centre))
