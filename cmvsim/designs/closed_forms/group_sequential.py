"""Group-sequential boundaries by error spending, and their crossing probabilities by recursive integration.

A statistic Z_k at information t_k (a fraction of the planned) is normal with mean drift sqrt(t_k) and variance 1, and the
statistics of two looks i < j correlate sqrt(t_i / t_j): independent increments (Jennison and Turnbull, Group Sequential
Methods with Applications to Clinical Trials, 2000, chapters 3, 7 and 19). Positive values favour the experimental arm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
from scipy import optimize, special

from cmvsim.core.records import FloatArray
from cmvsim.designs.closed_forms.basics import critical_value, require, require_positive, require_power, require_probability

SpendingName = Literal["obrien_fleming", "pocock", "hwang_shih_decani"]
SPENDING: tuple[SpendingName, ...] = get_args(SpendingName)
DEFAULT_GAMMA = -4.0

_POINTS = 160
_REACH = 8.5
_NEVER = 1e-14


@dataclass(frozen=True, slots=True)
class Spending:
    """An error-spending function.

    Attributes
    ----------
    name
        "obrien_fleming": 2 - 2 Phi(z_(total / 2) / sqrt(t)); "pocock": total ln(1 + (e - 1) t) (both Lan and DeMets, Biometrika
        70 (1983) 659-663); "hwang_shih_decani": total (1 - e^(-gamma t)) / (1 - e^-gamma) (Statistics in Medicine 9 (1990)
        1439-1445).
    total
        Error to be spent in all, of one side.
    gamma
        Of Hwang, Shih and DeCani; negative spends late.
    """

    name: SpendingName
    total: float
    gamma: float = DEFAULT_GAMMA

    def spent(self, fraction: float) -> float:
        """Error spent by a fraction of the information; all of it from 1 on."""
        t = min(max(fraction, 0.0), 1.0)
        if t in (0.0, 1.0):
            return self.total * t
        if self.name == "obrien_fleming":
            return 2.0 * float(special.ndtr(special.ndtri(self.total / 2.0) / math.sqrt(t)))
        if self.name == "pocock":
            return self.total * math.log1p((math.e - 1.0) * t)
        if self.gamma == 0.0:
            return self.total * t
        return self.total * math.expm1(-self.gamma * t) / math.expm1(-self.gamma)


@dataclass(frozen=True, slots=True)
class Boundaries:
    """Boundaries of each look, on the scale of Z.

    Attributes
    ----------
    information
        Fractions of the planned information.
    efficacy
        Claim at or above; infinite where nothing may be spent.
    futility
        Give up below; minus infinity where there is none. At the last look it is the efficacy boundary.
    drift
        Mean of Z at information 1 for which beta is spent; NaN without futility.
    alpha_spent, beta_spent
        Cumulative errors spent; beta zeros without futility.
    """

    information: tuple[float, ...]
    efficacy: tuple[float, ...]
    futility: tuple[float, ...]
    drift: float
    alpha_spent: tuple[float, ...]
    beta_spent: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Crossing:
    """Probabilities of first crossing the boundaries at each look.

    Attributes
    ----------
    upper, lower
        By look; those of the last look are a claim and no claim.
    """

    upper: tuple[float, ...]
    lower: tuple[float, ...]

    @property
    def power(self) -> float:
        """Probability of a claim."""
        return sum(self.upper)

    def expected(self, at_look: Sequence[float]) -> float:
        """Mean of a quantity that is `at_look[k]` when the study ends at look k."""
        ends = [a + b for a, b in zip(self.upper, self.lower, strict=True)]
        rest = 1.0 - sum(ends)  # of a design that gives nothing up at its last look
        return sum(p * value for p, value in zip(ends, at_look, strict=True)) + rest * at_look[-1]


class _Walk:
    """Sub-density of Z among the studies that go on, on Gauss-Legendre points."""

    def __init__(self, drift: float) -> None:
        self.drift = drift
        self.time = 0.0
        self.z: FloatArray = np.zeros(1)
        self.mass: FloatArray = np.ones(1)

    def _scaled(self, t: float) -> tuple[FloatArray, float]:
        """Mean of Z at t given each point, and its standard deviation."""
        step = t - self.time
        return (self.z * math.sqrt(self.time) + self.drift * step) / math.sqrt(t), math.sqrt(step / t)

    def above(self, t: float, c: float) -> float:
        """Probability of going on until t and being above c there."""
        mean, sd = self._scaled(t)
        return float(self.mass @ special.ndtr((mean - c) / sd))

    def below(self, t: float, c: float) -> float:
        """Probability of going on until t and being below c there."""
        mean, sd = self._scaled(t)
        return float(self.mass @ special.ndtr((c - mean) / sd))

    def bound(self, t: float, tail: float, *, upper: bool) -> float:
        """Boundary that `tail` lies beyond; infinite where that is next to nothing, or more than all that goes on."""
        if tail <= _NEVER:
            return math.inf if upper else -math.inf
        if tail >= float(self.mass.sum()):
            return -math.inf if upper else math.inf
        reach = _REACH + abs(self.drift)
        if upper:
            return float(optimize.brentq(lambda c: self.above(t, c) - tail, -reach, reach, xtol=1e-12))
        return float(optimize.brentq(lambda c: self.below(t, c) - tail, -reach, reach, xtol=1e-12))

    def go_on(self, t: float, lower: float, upper: float) -> None:
        """Those between the boundaries go on."""
        middle = self.drift * math.sqrt(t)
        low, high = max(lower, middle - _REACH), min(upper, middle + _REACH)
        if high <= low:
            self.time, self.z, self.mass = t, np.zeros(1), np.zeros(1)
            return
        point, weight = _legendre(_POINTS)
        z = low + (high - low) * point
        mean, sd = self._scaled(t)
        kernel = np.exp(-0.5 * ((z[:, None] - mean) / sd) ** 2) / (sd * math.sqrt(2.0 * math.pi))
        self.mass = (kernel @ self.mass) * weight * (high - low)
        self.time, self.z = t, z


@cache
def _legendre(n: int) -> tuple[FloatArray, FloatArray]:
    """Points and weights of Gauss-Legendre quadrature on (0, 1)."""
    x, w = np.polynomial.legendre.leggauss(n)
    return (x + 1.0) / 2.0, w / 2.0


def boundaries(
    information: Sequence[float],
    efficacy: Spending,
    futility: Spending | None = None,
    *,
    binding: bool = False,
    drift: float | None = None,
) -> Boundaries:
    """Boundaries that spend the errors by the information of each look; the last look spends what is left.

    Parameters
    ----------
    information
        Fraction of the planned information at each look, increasing; the last may fall short of 1, or exceed it.
    efficacy
        Type I error, of one side.
    futility
        Type II error; None for no futility boundary.
    binding
        The type I error counts on stops for futility: a boundary that is overruled then costs level.
    drift
        Mean of Z at information 1 under the alternative; by default that with which the futility boundary meets the efficacy
        boundary at the last look, so that the power is 1 - beta.

    Notes
    -----
    Without `binding` the efficacy boundary ignores the futility boundary, so the level holds whatever is done about it. With
    two-sided symmetric tests each side is spent by itself, the other ignored: the level is held, by less than 1e-5.
    """
    times = tuple(float(t) for t in information)
    require(len(times) >= 1 and times[0] > 0, "the information of the looks must be positive")
    require(all(b > a for a, b in pairwise(times)), "the information must increase from look to look")
    require_probability(alpha=efficacy.total)
    if futility is None:
        return _boundaries(times, efficacy, None, binding, 0.0)
    require_probability(beta=futility.total)
    require_power(1.0 - futility.total, efficacy.total, 1)
    if drift is None:
        fixed = critical_value(efficacy.total, 1) + critical_value(futility.total, 1)
        drift = float(
            optimize.brentq(lambda d: _missed(times, efficacy, futility, binding, d), 0.5 * fixed, 3.0 * fixed, xtol=1e-10)
        )
    return _boundaries(times, efficacy, futility, binding, drift)


def _missed(times: tuple[float, ...], efficacy: Spending, futility: Spending, binding: bool, drift: float) -> float:
    """Type II error of the whole design above what may be spent."""
    found = _boundaries(times, efficacy, futility, binding, drift)
    return 1.0 - crossing(found, drift).power - futility.total


def _boundaries(
    times: tuple[float, ...], efficacy: Spending, futility: Spending | None, binding: bool, drift: float
) -> Boundaries:
    null, alternative = _Walk(0.0), _Walk(drift)
    upper, lower, alphas, betas = [], [], [], []
    before = lost = 0.0
    for k, t in enumerate(times):
        last = k == len(times) - 1
        alpha = efficacy.total if last else efficacy.spent(t)
        # what rounding or an infinite boundary left unspent is not lost: spending is cumulative
        u = null.bound(t, alpha - before, upper=True)
        before += null.above(t, u) if math.isfinite(u) else 0.0
        v = -math.inf
        if futility is not None and not last:
            v = min(alternative.bound(t, futility.spent(t) - lost, upper=False), u)
            lost += alternative.below(t, v) if math.isfinite(v) else 0.0
        if futility is not None and last:
            v = u
            lost += alternative.below(t, v)
        upper.append(u)
        lower.append(v)
        alphas.append(before)
        betas.append(lost)
        if not last:
            null.go_on(t, v if binding else -math.inf, u)
            if futility is not None:
                alternative.go_on(t, v, u)
    known = drift if futility is not None else math.nan
    return Boundaries(times, tuple(upper), tuple(lower), known, tuple(alphas), tuple(betas))


def crossing(bounds: Boundaries, drift: float, *, use_futility: bool = True) -> Crossing:
    """Crossing probabilities when the mean of Z at information 1 is `drift`.

    Parameters
    ----------
    bounds
        From :func:`boundaries`.
    drift
        0 gives the type I error.
    use_futility
        False: the study goes on after a stop for futility is advised.
    """
    walk = _Walk(drift)
    upper, lower = [], []
    for k, t in enumerate(bounds.information):
        last = k == len(bounds.information) - 1
        u = bounds.efficacy[k]
        v = u if last else (bounds.futility[k] if use_futility else -math.inf)
        upper.append(walk.above(t, u) if math.isfinite(u) else 0.0)
        lower.append(walk.below(t, v) if math.isfinite(v) else 0.0)
        if not last:
            walk.go_on(t, v, u)
    return Crossing(tuple(upper), tuple(lower))


def drift_for_power(bounds: Boundaries, power: float) -> float:
    """Mean of Z at information 1 with which the design has the power.

    Notes
    -----
    Its square over (z_alpha + z_beta)^2 is the inflation of the maximal information against a study of one look.
    """
    require_probability(power=power)
    require(power > crossing(bounds, 0.0).power, f"power = {power:g} must be above the level of the test")
    return float(optimize.brentq(lambda d: crossing(bounds, d).power - power, 0.0, 20.0, xtol=1e-10))


def inflation(bounds: Boundaries, alpha: float, power: float) -> float:
    """Maximal information of the design over that of a study of one look at one-sided level `alpha`."""
    require_positive(alpha=alpha)
    fixed = critical_value(alpha, 1) + critical_value(1.0 - power, 1)
    return (drift_for_power(bounds, power) / fixed) ** 2
