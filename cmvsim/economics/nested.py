"""Two kinds of uncertainty apart: of the inputs (between draws) and of the few patients simulated in each draw.

A draw's mean over n patients is its expectation plus noise of variance w / n, with w the variance between patients of one draw.
The variance of the draws' means is therefore b + w / n, with b that of the inputs alone (O'Hagan A, Stevenson M, Madan J,
Health Econ 2007;16:1009-1023).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from cmvsim.core.records import FloatArray


@dataclass(frozen=True, eq=False, slots=True)
class Moments:
    """Moments of increments over the draws of a probabilistic analysis.

    Attributes
    ----------
    mean, mcse
        (k,) and their Monte Carlo standard errors.
    seen
        (k, k) covariance of the draws' means.
    noise
        (k, k) what patient sampling adds to it.
    covariance
        (k, k) ``seen - noise``: that of the inputs. Variances that come out below 0 are 0, with their covariances.
    """

    mean: FloatArray
    mcse: FloatArray
    seen: FloatArray
    noise: FloatArray
    covariance: FloatArray

    @property
    def resolved(self) -> bool:
        """Whether what is left after the subtraction is a covariance: positive variances, a correlation between -1 and 1."""
        variances = np.diag(self.covariance)
        return bool((variances > 0).all() and np.linalg.eigvalsh(self.covariance)[0] > 0)

    @property
    def noise_share(self) -> FloatArray:
        """(k,) share of the variance of the draws' means that is noise, at most 1; 0 where nothing varies."""
        seen, noise = np.diag(self.seen), np.diag(self.noise)
        return np.where(seen > 0, np.minimum(noise / np.where(seen > 0, seen, 1), 1.0), 0.0)


def between_draw_moments(means: FloatArray, within: FloatArray) -> Moments:
    """Moments with the patients' noise subtracted.

    Parameters
    ----------
    means
        (draws, k) means over the patients of each draw, such as increments of cost and of effect.
    within
        (draws, k, k) covariance of these means by patient sampling: the covariance between the draw's patients, of the *paired*
        increments where strategies share patients, divided by their number.
    """
    seen, noise = np.atleast_2d(np.cov(means, rowvar=False)), within.mean(axis=0)
    covariance = seen - noise
    none = np.diag(covariance) <= 0
    covariance[none, :] = covariance[:, none] = 0.0
    return Moments(means.mean(axis=0), np.sqrt(np.diag(seen) / means.shape[0]), seen, noise, covariance)


@dataclass(frozen=True, slots=True)
class PatientsPerDraw:
    """Advice on the number of patients in each draw.

    Attributes
    ----------
    noise_share
        Of the variance of the draws' means, with the patients there are.
    for_mean
        Patients per draw with which the mean is most precise for a given time of computing.
    for_share
        Patients per draw with which the noise is no more than `share` of the variance; None where the inputs explain nothing.
    """

    patients: int
    noise_share: float
    for_mean: int
    for_share: int | None
    share: float


def patients_per_draw(
    between: float, within: float, patients: int, *, overhead: float = 0.0, share: float = 0.05
) -> PatientsPerDraw:
    """Advise from the two variances.

    Parameters
    ----------
    between
        Variance of the draws' expectations (:attr:`Moments.covariance`).
    within
        Variance between patients of one draw, of the paired increment.
    patients
        Per draw now.
    overhead
        Time that a draw takes whatever its patients, in units of the time of one patient.
    share
        Of the variance of a draw's mean that noise may make up.
    """
    total = between + within / patients
    for_mean = max(1, round(math.sqrt(overhead * within / between))) if between > 0 else patients
    for_share = math.ceil(within / between * (1 - share) / share - 1e-9) if between > 0 else None
    return PatientsPerDraw(
        patients,
        within / patients / total if total > 0 else 0.0,
        for_mean,
        None if for_share is None else max(for_share, 1),
        share,
    )


def normal_evpi(mean: float, sd: float) -> float:
    """Value of perfect information when increments of net benefit are normal: the unit normal loss (Raiffa, Schlaifer 1961)."""
    if sd == 0:
        return 0.0
    z = abs(mean) / sd
    return float(sd * norm.pdf(z) - abs(mean) * norm.sf(z))


def noise_in_evpi(mean: float, between: float, noise: float) -> float:
    """How much too high EVPI is with noise of this variance in each draw, for normal increments of two strategies."""
    return normal_evpi(mean, math.sqrt(between + noise)) - normal_evpi(mean, math.sqrt(between))
