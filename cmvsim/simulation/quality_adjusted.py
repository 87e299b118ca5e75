"""Quality-adjusted time of a chunk: the expected index of section 13 integrated over the time alive."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from cmvsim.core.records import FloatArray, IntArray
from cmvsim.core.streams import Draws
from cmvsim.models.population import Population
from cmvsim.models.quality_of_life import ADULT_FROM, STATES, WORST_OF, LatentHealth, QualityOfLifeSpec, State
from cmvsim.models.windows import Windows
from cmvsim.simulation.quality_of_life import HealthStates, patient_effect
from cmvsim.valuation import ValueSet

REACH, STEP = 16.0, 2.0**-7
"""Latent health is tabulated this far on either side of 0, in steps whose error in the index is below 1e-5."""
CERTAIN = 8.3
"""Standard deviations beyond which a normal probability is 0 or 1 in double precision, beside 1."""


@dataclass(frozen=True, slots=True)
class IndexCurves:
    """Expected index over latent health of a patient who is known, tabulated once for all patients and strategies.

    Attributes
    ----------
    table
        (2, points) of adult and of young patients, from ``-REACH`` on in steps of ``STEP``.
    """

    table: FloatArray

    @classmethod
    def of(cls, spec: QualityOfLifeSpec, latent: LatentHealth, adult: ValueSet, youth: ValueSet | None = None) -> IndexCurves:
        """Tabulate.

        Parameters
        ----------
        adult, youth
            As in :func:`cmvsim.simulation.quality_of_life.expected_index_at`: patients under 16 at infusion, also those under
            4 to whom no questionnaire is given, are valued by `youth`.
        """
        sd = latent.spread * np.sqrt(1 - float(spec.correlation))
        of_adults = _tabulated(adult, spec.adult.thresholds, sd)
        return cls(np.stack([of_adults, _tabulated(youth, spec.youth.thresholds, sd) if youth is not None else of_adults]))


def _tabulated(values: ValueSet, thresholds: FloatArray, sd: float) -> FloatArray:
    """Expected index on the grid, as `expected_curve` gives it; probabilities that round to 0 or 1 are not computed."""
    health = np.arange(-REACH, REACH + STEP, STEP)
    index = np.ones(health.size)
    for cuts, steps in zip(thresholds, np.diff(values.decrements, axis=1), strict=True):
        for cut, step in zip(cuts, steps, strict=True):
            first, last = np.searchsorted(health, (cut - CERTAIN * sd, cut + CERTAIN * sd))
            index[first:last] -= step * special.ndtr((health[first:last] - cut) / sd)
            index[last:] -= step
    return index


def quality_adjusted_days(
    spec: QualityOfLifeSpec,
    latent: LatentHealth,
    population: Population,
    states: HealthStates,
    until: FloatArray,
    draws: Draws,
    curves: IndexCurves,
) -> FloatArray:
    """Integral (P,) of the expected index from infusion to `until`, in days.

    Parameters
    ----------
    until
        (P,) the earlier of death and horizon: death is worth 0 and ends the integral.
    curves
        Of the same specification.

    Notes
    -----
    Between the times at which a state begins or ends, and the days of the path, the index is smooth; two Gauss-Legendre
    nodes on each piece leave an error far below that of the table.
    """
    from cmvsim.simulation.kernels.quality_adjusted import quality_adjusted

    start, stop, state = _rows(states)
    group = np.empty(len(STATES), dtype=np.int64)
    for number, members in enumerate(WORST_OF):
        group[[STATES.index(name) for name in members]] = number
    shared = latent.spread * np.sqrt(float(spec.correlation)) * patient_effect(spec, population, draws)
    total = np.empty(until.shape)
    quality_adjusted(
        until,
        np.ascontiguousarray(population.stratum, dtype=np.int64),
        shared,
        population.age < ADULT_FROM,
        start,
        stop,
        state,
        group,
        np.asarray(latent.days, dtype=np.float64),
        latent.mean,
        latent.shift,
        curves.table,
        -REACH,
        STEP,
        total,
    )
    return total


def _rows(states: HealthStates) -> tuple[FloatArray, FloatArray, IntArray]:
    """(M, P) windows of all states, those of one group side by side, and (M,) the state of each."""
    starts, stops, codes = [], [], []
    for name in (name for members in WORST_OF for name in members):
        for start, stop in _windows(states, name):
            if np.isfinite(start).any():
                starts.append(start)
                stops.append(stop)
                codes.append(STATES.index(name))
    shape = (0, states.relapse.size)
    return (
        np.stack(starts) if starts else np.empty(shape),
        np.stack(stops) if stops else np.empty(shape),
        np.array(codes, dtype=np.int64),
    )


def _windows(states: HealthStates, name: State) -> list[tuple[FloatArray, FloatArray]]:
    if name == "relapse":
        return [(states.relapse, np.full(states.relapse.shape, np.inf))]
    windows: Windows | None = getattr(states, name)
    if windows is None:
        return []
    return list(zip(np.atleast_2d(windows.start), np.atleast_2d(windows.stop), strict=True))
