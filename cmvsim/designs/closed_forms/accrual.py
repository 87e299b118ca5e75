"""Recruitment with all sites open from the first day: the time to enrol, and the number enrolled by a time.

Rates and times share one unit (patients per month, months). Nothing here knows that sites open late or that recruitment ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from cmvsim.core.errors import InputError
from cmvsim.designs.closed_forms.basics import require, require_positive, require_probability


@dataclass(frozen=True, slots=True)
class PoissonAccrual:
    """Patients enrolled at a constant rate.

    Attributes
    ----------
    rate
        Patients per unit of time, all sites together.

    Notes
    -----
    The count by t is Poisson with mean rate x t; the time to the n-th patient is Gamma with shape n and that rate.
    """

    rate: float

    def __post_init__(self) -> None:
        require_positive(rate=self.rate)

    def mean_time(self, patients: int) -> float:
        """Mean time to enrol so many."""
        return _patients(patients) / self.rate

    def sd_time(self, patients: int) -> float:
        """Its standard deviation."""
        return math.sqrt(_patients(patients)) / self.rate

    def time_quantile(self, patients: int, level: float) -> float:
        """Time by which so many are enrolled with probability `level`."""
        require_probability(level=level)
        return float(special.gammaincinv(_patients(patients), level)) / self.rate

    def probability(self, patients: int, time: float) -> float:
        """Probability that so many are enrolled by a time."""
        return float(special.gammainc(_patients(patients), self.rate * _time(time)))

    def mean_count(self, time: float) -> float:
        """Mean number enrolled by a time."""
        return self.rate * _time(time)

    def count_quantile(self, time: float, level: float) -> int:
        """Smallest number that is not exceeded by a time with probability `level`."""
        require_probability(level=level)
        return int(stats.poisson.ppf(level, self.mean_count(time)))


@dataclass(frozen=True, slots=True)
class PoissonGammaAccrual:
    """Patients enrolled at a rate that is constant in time but not known beforehand: Gamma, as the sum over sites that differ.

    Attributes
    ----------
    rate
        Mean number of patients per unit of time, all sites together.
    shape
        Shape of the Gamma law of that sum: its squared mean over its variance.

    Notes
    -----
    Anisimov and Fedorov, Statistics in Medicine 26 (2007) 4958-4975: the count by t is negative binomial, and with
    n patients the time T has P(T <= t) = I(b t / (1 + b t); n, shape), b = rate / shape, I the regularised incomplete beta
    function. For sites with one common Gamma law (mean m, coefficient of variation cv) the shape is exactly sites / cv^2;
    for groups with different laws :meth:`of_sites` matches mean and variance of the sum, as they propose.
    """

    rate: float
    shape: float

    def __post_init__(self) -> None:
        require_positive(rate=self.rate, shape=self.shape)

    @classmethod
    def of_sites(cls, sites: tuple[int, ...], rates: tuple[float, ...], cvs: tuple[float, ...]) -> PoissonGammaAccrual:
        """From groups of sites.

        Parameters
        ----------
        sites, rates, cvs
            By group: number of sites, mean rate of one, and coefficient of variation between them.

        Raises
        ------
        InputError
            If the groups are not described alike, or no site differs from another: that is :class:`PoissonAccrual`.
        """
        require(len(sites) == len(rates) == len(cvs) and len(sites) > 0, "sites, rates and cvs must be given for each group")
        for count, rate, cv in zip(sites, rates, cvs, strict=True):
            require(count >= 1, f"sites = {count} must be at least 1")
            require_positive(rate=rate)
            require(0 <= cv < math.inf, f"cv = {cv:g} must not be negative")
        mean = sum(n * m for n, m in zip(sites, rates, strict=True))
        variance = sum(n * (m * cv) ** 2 for n, m, cv in zip(sites, rates, cvs, strict=True))
        if variance == 0:
            raise InputError("with cv = 0 everywhere all sites have the same rate: the constant-rate formula applies")
        return cls(mean, mean**2 / variance)

    def mean_time(self, patients: int) -> float:
        """Mean time to enrol so many; infinite with a shape of at most 1."""
        return _patients(patients) * self.shape / (self.rate * (self.shape - 1)) if self.shape > 1 else math.inf

    def sd_time(self, patients: int) -> float:
        """Its standard deviation; infinite with a shape of at most 2."""
        n, a = _patients(patients), self.shape
        return math.sqrt(n * (n + a - 1) / (a - 2)) / (a - 1) * a / self.rate if a > 2 else math.inf

    def time_quantile(self, patients: int, level: float) -> float:
        """Time by which so many are enrolled with probability `level`."""
        require_probability(level=level)
        x = float(special.betaincinv(_patients(patients), self.shape, level))
        return self.shape / self.rate * x / (1 - x) if x < 1 else math.inf

    def probability(self, patients: int, time: float) -> float:
        """Probability that so many are enrolled by a time."""
        scaled = self.rate * _time(time) / self.shape
        return float(special.betainc(_patients(patients), self.shape, scaled / (1 + scaled)))

    def mean_count(self, time: float) -> float:
        """Mean number enrolled by a time."""
        return self.rate * _time(time)

    def sd_count(self, time: float) -> float:
        """Its standard deviation."""
        mean = self.mean_count(time)
        return math.sqrt(mean * (1 + mean / self.shape))

    def count_quantile(self, time: float, level: float) -> int:
        """Smallest number that is not exceeded by a time with probability `level`."""
        require_probability(level=level)
        mean = self.mean_count(time)
        return int(np.asarray(stats.nbinom.ppf(level, self.shape, self.shape / (self.shape + mean))))


Accrual = PoissonAccrual | PoissonGammaAccrual


def _patients(patients: int) -> int:
    require(patients >= 1, f"patients = {patients} must be at least 1")
    return patients


def _time(time: float) -> float:
    require(time >= 0, f"time = {time:g} must not be negative")
    return time
