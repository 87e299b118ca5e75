"""Conversion of mean indices and their changes to the latent scale of section 13, and what is achieved.

The expected index of an additive value set is a sum over items of normal probabilities, exact for any mean: the mean of
a liability is all it depends on, and it falls as that mean rises. Each stated mean is inverted by bisection. The
standard deviation needs the joint law of the items: given the patient's effect they are independent, so one
Gauss-Hermite sum over that effect is left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import optimize, special

from cmvsim.core.bracketed_newton import SETTLED, bracketed_newton
from cmvsim.core.canonical import canonical_json
from cmvsim.core.errors import CalibrationError
from cmvsim.core.records import FloatArray
from cmvsim.models.quality_of_life import STATES, Instrument, LatentHealth, QualityOfLifeSpec, level_probabilities
from cmvsim.valuation import ValueSet, value_set

HALVINGS = 64
NODES = 64
TABULATED = 129
"""Latent means from which Newton's method starts."""
LEAST_SLOPE = 1e-3
"""Of the index by the latent mean, for a step of Newton's method that stays in reach."""
NARROWEST, WIDEST = 0.05, 10.0
"""Range of the spread that is searched (1: as the general population)."""


@dataclass(frozen=True, slots=True)
class AchievedMean:
    """A mean index that was stated and what the law gives.

    Attributes
    ----------
    stratum, day
        Of whom, and when.
    state
        Empty for patients to whom no change applies.
    stated, achieved
        On the value set of the scenario.
    sd
        Standard deviation of the index between such patients.
    vas
        Mean score of the visual-analogue scale, before it is cut.
    """

    stratum: str
    day: int
    state: str
    stated: float
    achieved: float
    sd: float
    vas: float


def instrument_of(values: ValueSet) -> Instrument:
    """The questionnaire that a value set values."""
    return Instrument.ADULT if values.instrument == "EQ-5D-5L" else Instrument.YOUTH


def index_moments(
    spec: QualityOfLifeSpec, values: ValueSet, mean: FloatArray, spread: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean and standard deviation of the index at latent means, and its correlation between two visits of a patient.

    Parameters
    ----------
    mean
        Latent means, any shape.
    spread
        Standard deviation of a liability.
    """
    thresholds = spec.items(instrument_of(values)).thresholds
    correlation = float(spec.correlation)
    nodes, weights = _normal_nodes()
    patient = np.asarray(mean)[..., None] + spread * np.sqrt(correlation) * nodes
    p = level_probabilities(thresholds, patient, spread * np.sqrt(1 - correlation))
    given = values.expected(p)
    each = np.einsum("...dl,dl->...d", p, values.decrements)
    within = (np.einsum("...dl,dl->...d", p, values.decrements**2) - each**2).sum(axis=-1) @ weights
    centre = given @ weights
    between = (given - centre[..., None]) ** 2 @ weights
    total = between + within
    return centre, np.sqrt(total), between / total


@lru_cache(maxsize=1)
def _normal_nodes() -> tuple[FloatArray, FloatArray]:
    """Gauss-Hermite nodes and weights of a standard normal law."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    return nodes, weights / weights.sum()


def convert(spec: QualityOfLifeSpec, *, quick: bool = False) -> LatentHealth:
    """Convert what is stated on the index to the latent scale; computed once for equal specifications.

    Parameters
    ----------
    quick
        By Newton's method, to 1e-10: for draws of parameters, each of which is converted once.

    Raises
    ------
    CalibrationError
        If a mean, a changed mean or the standard deviation is out of reach of the value set and the thresholds.
    """
    return _convert(_Key(spec), quick)


class _Key:
    """A specification hashed by its content."""

    def __init__(self, spec: QualityOfLifeSpec) -> None:
        self.spec = spec
        self.text = canonical_json(spec.model_dump(mode="json"))

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.text == self.text


@lru_cache(maxsize=256)
def _convert(key: _Key, quick: bool) -> LatentHealth:
    spec = key.spec
    values = value_set(spec.value_set.value)
    spread = _spread(spec, values, quick)
    stated = _stated(spec)
    invert = _invert_quickly if quick else _invert
    latent = invert(spec, values, stated, spread)
    for place in zip(*np.nonzero(~np.isfinite(latent)), strict=True):
        state, stratum, k = (int(i) for i in place)
        name, day = list(spec.mean_index)[stratum], spec.days.value[k]
        what = f"quality_of_life.changes.{STATES[state - 1]} ({name}" if state else f"quality_of_life.mean_index ({name}"
        raise CalibrationError(
            f"{what}, day {day}): a mean index of {stated[place]:.3g} is out of reach; {values.name} goes from "
            f"{values.worst:.3g} to 1"
        )
    slope = float(spec.vas.sd) / spread
    anchor = float(invert(spec, values, np.array([float(spec.vas.index)]), spread)[0])
    if not np.isfinite(anchor):
        raise CalibrationError(f"quality_of_life.vas.index: {float(spec.vas.index):g} is out of reach of {values.name}")
    return LatentHealth(
        days=np.array(spec.days.value, dtype=np.float64),
        mean=latent[0],
        shift=latent[1:] - latent[0],
        spread=spread,
        vas_zero=_centre_of_cut(float(spec.vas.mean), float(spec.vas.sd)) + slope * anchor,
        vas_slope=slope,
    )


def achieved(spec: QualityOfLifeSpec, latent: LatentHealth) -> tuple[AchievedMean, ...]:
    """Stated and achieved mean index by stratum, day and state, with the spread, and the mean of the VAS."""
    values = value_set(spec.value_set.value)
    stated = _stated(spec)
    means = np.concatenate([latent.mean[None], latent.mean + latent.shift])
    centre, sd, _ = index_moments(spec, values, means, latent.spread)
    return tuple(
        AchievedMean(
            stratum=stratum,
            day=day,
            state=state,
            stated=float(stated[s, i, k]),
            achieved=float(centre[s, i, k]),
            sd=float(sd[s, i, k]),
            vas=float(latent.vas_zero - latent.vas_slope * means[s, i, k]),
        )
        for i, stratum in enumerate(spec.mean_index)
        for k, day in enumerate(spec.days.value)
        for s, state in enumerate(("", *STATES))
    )


def _stated(spec: QualityOfLifeSpec) -> FloatArray:
    """Stated mean indices: (1 + states, strata, K), the first without any state."""
    means = np.array([[float(mean) for mean in row] for row in spec.mean_index.values()])
    changes = np.array([0.0, *(float(getattr(spec.changes, state)) for state in STATES)])
    stated: FloatArray = means + changes[:, None, None]
    return stated


def _invert(spec: QualityOfLifeSpec, values: ValueSet, index: FloatArray, spread: float) -> FloatArray:
    """Latent means with which the expected index is as stated; NaN where none is."""
    thresholds = spec.items(instrument_of(values)).thresholds
    edge = np.abs(thresholds).max() + 8 * spread

    def expected(mean: FloatArray) -> FloatArray:
        return values.expected(level_probabilities(thresholds, mean, spread))

    found = _bisect(lambda mean: expected(mean) - index, np.full(index.shape, -edge), np.full(index.shape, edge))
    return np.where((index < 1) & (index > values.worst) & (np.abs(expected(found) - index) < 1e-9), found, np.nan)


def _invert_quickly(spec: QualityOfLifeSpec, values: ValueSet, index: FloatArray, spread: float) -> FloatArray:
    """:func:`_invert` by Newton's method from a table, in a tenth of the time."""
    thresholds = spec.items(instrument_of(values)).thresholds.ravel()
    steps = np.diff(values.decrements, axis=1).ravel()
    edge = float(np.abs(thresholds).max() + 8 * spread)
    wanted = index.ravel()

    def excess(mean: FloatArray) -> tuple[FloatArray, FloatArray]:
        z = (mean[:, None] - thresholds) / spread
        density = np.exp(-(z**2) / 2) / (spread * np.sqrt(2 * np.pi))
        return wanted - 1 + special.ndtr(z) @ steps, density @ steps

    grid = np.linspace(-edge, edge, TABULATED)
    start = np.interp(1 - wanted, special.ndtr((grid[:, None] - thresholds) / spread) @ steps, grid)
    found = bracketed_newton(excess, np.full(wanted.shape, -edge), np.full(wanted.shape, edge), start)
    reached = (wanted < 1) & (wanted > values.worst) & (np.abs(excess(found)[0]) < 1e-9)
    return np.where(reached, found, np.nan).reshape(index.shape)


def _spread(spec: QualityOfLifeSpec, values: ValueSet, quick: bool = False) -> float:
    """Spread with which the index has the stated standard deviation where it has the stated mean."""
    mean, sd = np.array([float(spec.spread.mean)]), float(spec.spread.sd)
    if quick:
        found = _spread_quickly(spec, values, float(mean[0]), sd)
        if found is not None:
            return found

    def reached(log_spread: float) -> float:
        spread = float(np.exp(log_spread))
        latent = _invert(spec, values, mean, spread)
        if not np.isfinite(latent).all():
            raise CalibrationError(f"quality_of_life.spread.mean: {mean[0]:g} is out of reach of {values.name}")
        return float(index_moments(spec, values, latent, spread)[1][0])

    ends = np.log([NARROWEST, WIDEST])
    least, most = (reached(end) for end in ends)
    if not least < sd < most:
        raise CalibrationError(
            f"quality_of_life.spread: a standard deviation of {sd:g} at a mean of {mean[0]:g} is out of reach "
            f"(from {least:.3g} to {most:.3g})"
        )
    return float(np.exp(optimize.brentq(lambda x: reached(x) - sd, float(ends[0]), float(ends[1]), xtol=1e-13)))


def _spread_quickly(spec: QualityOfLifeSpec, values: ValueSet, mean: float, sd: float) -> float | None:
    """:func:`_spread` by a secant on logarithms, which are nearly proportional; None where it does not arrive."""
    thresholds = spec.items(instrument_of(values)).thresholds
    steps, of_squares = np.diff(values.decrements, axis=1), np.diff(values.decrements**2, axis=1)
    correlation = float(spec.correlation)
    nodes, weights = _normal_nodes()
    latent = 0.0

    def miss(log_spread: float) -> float:
        nonlocal latent
        spread = float(np.exp(log_spread))
        for _ in range(HALVINGS):
            z = (latent - thresholds) / spread
            slope = float((np.exp(-(z**2) / 2) * steps).sum()) / (spread * np.sqrt(2 * np.pi))
            step = float((special.ndtr(z) * steps).sum() + mean - 1) / max(slope, LEAST_SLOPE)
            latent -= min(max(step, -spread), spread)
            if abs(step) < SETTLED * spread:
                break
        patient = latent + spread * np.sqrt(correlation) * nodes
        above = special.ndtr((patient[:, None, None] - thresholds) / (spread * np.sqrt(1 - correlation)))
        lost = (above * steps).sum(axis=2)
        within = ((above * of_squares).sum(axis=2) - lost**2).sum(axis=1) @ weights
        given = lost.sum(axis=1)
        between = (given - given @ weights) ** 2 @ weights
        return float(np.log((between + within) / sd**2)) / 2

    first = miss(0.0)
    x, done = optimize.newton(miss, 0.0, x1=-first, tol=1e-11, full_output=True, disp=False)
    arrived = done.converged and NARROWEST < np.exp(x) < WIDEST and abs(miss(x)) < SETTLED
    return float(np.exp(x)) if arrived else None


@lru_cache(maxsize=32)
def _centre_of_cut(mean: float, sd: float) -> float:
    """Mean of a normal score that has mean `mean` once it is cut at 0 and 100."""

    def excess(centre: FloatArray) -> FloatArray:
        low, high = -centre / sd, (100 - centre) / sd
        inside = special.ndtr(high) - special.ndtr(low)
        density = (np.exp(-(low**2) / 2) - np.exp(-(high**2) / 2)) / np.sqrt(2 * np.pi)
        cut = centre * inside + sd * density + 100 * special.ndtr(-high)
        return mean - np.asarray(cut)

    return float(_bisect(excess, np.array([-10 * sd]), np.array([100 + 10 * sd]))[0])


def _bisect(function: Callable[[FloatArray], FloatArray], low: FloatArray, high: FloatArray) -> FloatArray:
    """Root of a falling function, elementwise."""
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = function(middle) > 0
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    root: FloatArray = (low + high) / 2
    return root
