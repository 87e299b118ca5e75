"""Hazards that windows multiply, as the kernel of :mod:`cmvsim.simulation.kernels.event_times` wants them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cmvsim.core.records import FloatArray, IntArray
from cmvsim.models.windows import Windows


@dataclass(frozen=True, slots=True)
class Factor:
    """A ratio that acts while one of the windows is open.

    Attributes
    ----------
    name
        For messages.
    windows
        (P,) or (W, P); None only where the ratio is 1.
    """

    name: str
    ratio: float
    windows: Windows | None


@dataclass(frozen=True, slots=True)
class Hazard:
    """rate x hazard of the period x the ratios of the open windows.

    Attributes
    ----------
    rate
        (P,) what acts on a patient all the time.
    cuts
        Inner ends of the periods: period k is [cuts[k - 1], cuts[k]).
    hazard
        One per period.
    start, stop
        (M, P) windows of all factors.
    factor, ratio
        (M,) factor of each row; ratio of each factor.
    """

    rate: FloatArray
    cuts: FloatArray
    hazard: FloatArray
    start: FloatArray
    stop: FloatArray
    factor: IntArray
    ratio: FloatArray

    @classmethod
    def of(
        cls,
        rate: FloatArray,
        factors: Sequence[Factor],
        cuts: Sequence[float] = (),
        hazard: Sequence[float] = (1.0,),
    ) -> Hazard:
        """Put the windows of all factors into one table; a factor of 1 is left out.

        Raises
        ------
        ValueError
            If a factor acts and its windows are not given.
        """
        acting = [factor for factor in factors if factor.ratio != 1.0]
        rows: list[tuple[FloatArray, FloatArray]] = []
        index: list[int] = []
        for i, factor in enumerate(acting):
            if factor.windows is None:
                raise ValueError(f"the factor '{factor.name}' acts (ratio {factor.ratio:g}), but its windows are not given")
            start, stop = np.atleast_2d(factor.windows.start), np.atleast_2d(factor.windows.stop)
            rows += list(zip(start, stop, strict=True))
            index += [i] * len(start)
        none = np.empty((0, rate.size))
        return cls(
            np.ascontiguousarray(rate, dtype=np.float64),
            np.array(cuts, dtype=np.float64),
            np.array(hazard, dtype=np.float64),
            np.stack([start for start, _ in rows]) if rows else none,
            np.stack([stop for _, stop in rows]) if rows else none,
            np.array(index, dtype=np.int64),
            np.array([factor.ratio for factor in acting], dtype=np.float64),
        )

    def invert(self, clock: FloatArray, begin: FloatArray, until: float) -> FloatArray:
        """Time at which a standard exponential has been spent since `begin`; +inf after `until`.

        Parameters
        ----------
        clock, begin
            (P,); a begin of +inf never has an event.
        """
        from cmvsim.simulation.kernels.event_times import event_times

        event = np.empty(self.rate.size)
        event_times(
            begin,
            clock,
            self.rate,
            self.cuts,
            self.hazard,
            self.start,
            self.stop,
            self.factor,
            self.ratio,
            until,
            event,
        )
        return event
