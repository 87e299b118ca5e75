"""Section 4, the TTV load: piecewise linear on the log10 scale, with a dip, a rise to a peak, and a decline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import model_validator

from cmvsim.core.quantities import (
    Correlation,
    Log10Copies,
    NonNegative,
    PositiveDays,
    StudyDay,
    VaryingDays,
    VaryingLog10Copies,
)
from cmvsim.core.records import FloatArray
from cmvsim.core.spec import Spec
from cmvsim.models.viral_load import LOG10_2


class AnellovirusLoadSpec(Spec):
    """TTV log10 load: dip after lymphodepletion, rise to a peak, decline.

    Attributes
    ----------
    baseline
        Load before lymphodepletion.
    dip
        How far below the baseline load the nadir is.
    nadir_day
        Day of the nadir.
    rise
        How far above the baseline load the peak is.
    peak_day
        Day of the peak.
    decline_half_life
        Of the load after the peak.
    baseline_loading, rise_loading
        Correlation of the baseline load and of the rise with the immunosuppression score.
    start
        Load at acquisition, in those who acquire it.
    doubling_time
        Of the load after acquisition, until it meets the path of a carrier.
    lod, assay_sd_log10
        Limit of detection and standard deviation of the measurement.
    high
        Load from which TTV counts as high.
    """

    baseline: VaryingLog10Copies
    dip: VaryingLog10Copies
    nadir_day: StudyDay
    rise: VaryingLog10Copies
    peak_day: VaryingDays
    decline_half_life: PositiveDays
    baseline_loading: Correlation
    rise_loading: Correlation
    start: Log10Copies
    doubling_time: PositiveDays
    lod: Log10Copies
    assay_sd_log10: NonNegative
    high: Log10Copies

    @model_validator(mode="after")
    def _check(self) -> AnellovirusLoadSpec:
        law = self.peak_day
        earliest = law.centre if law.spread == 0 else law.low if law.low is not None else 0.0
        if earliest <= float(self.nadir_day):
            raise ValueError(
                f"the peak may fall on day {earliest:g}, not after the nadir (day {float(self.nadir_day):g}): "
                f"give peak_day a 'low' above it"
            )
        return self


@dataclass(frozen=True, slots=True)
class CarrierPath:
    """Log10 load of patients who carry TTV throughout (P patients, flat).

    Attributes
    ----------
    knots
        (time, log10 load), each (P,), at inclusion, nadir and peak. Constant before, linear between.
    decline
        Log10 per day after the peak.
    """

    knots: tuple[tuple[FloatArray, FloatArray], ...]
    decline: float

    @classmethod
    def of(
        cls,
        law: AnellovirusLoadSpec,
        inclusion: float,
        *,
        start: FloatArray,
        dip: FloatArray,
        rise: FloatArray,
        peak_day: FloatArray,
    ) -> CarrierPath:
        """The path from standard normals of each patient; lymphodepletion, at inclusion, begins the dip."""
        before = law.baseline.of_normal(start)
        knots = (
            (np.full(before.shape, inclusion), before),
            (np.full(before.shape, float(law.nadir_day)), before - law.dip.of_normal(dip)),
            (law.peak_day.of_normal(peak_day), before + law.rise.of_normal(rise)),
        )
        return cls(knots, LOG10_2 / float(law.decline_half_life))

    def at(self, t: float | FloatArray) -> FloatArray:
        """(P,) load at `t`, finite (scalar or (P,)); NaN where `t` is."""
        (t0, y0), (t1, y1), (t2, y2) = self.knots
        falling = y0 + (y1 - y0) * ((np.maximum(t, t0) - t0) / (t1 - t0))
        rising = y1 + (y2 - y1) * ((t - t1) / (t2 - t1))
        after = y2 - self.decline * (t - t2)
        return np.where(t < t1, falling, np.where(t < t2, rising, after))

    def first_high(self, level: float | FloatArray, since: FloatArray, horizon: float) -> FloatArray:
        """(P,) first time from `since` (+inf: never) to `horizon` at or above `level`, +inf: none.

        The load at `since`, or else the one crossing of a rising piece: a + (b - a) (level - y_a) / (y_b - y_a).
        """
        ever = since <= horizon
        at = np.where(ever, since, horizon)
        first = np.where(ever & (self.at(at) >= level), since, np.inf)
        for (a, ya), (b, yb) in zip(self.knots, self.knots[1:], strict=False):
            crosses = ever & (ya < level) & (yb >= level) & (since <= b)
            share = np.divide(level - ya, yb - ya, out=np.ones_like(ya), where=crosses)
            crossing = np.maximum(a + (b - a) * share, since)
            first = np.where(crosses, np.minimum(first, crossing), first)
        return np.where(first <= horizon, first, np.inf)
