"""Patients outside of the study, whose samples and stays take up room (model.md 20)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import NormalDist

from cmvsim.core.streams import day_index
from cmvsim.simulation.draws import ChunkDraws

MOST_SUMMED = 500.0


class Others:
    """Their numbers, by the streams of the replicate."""

    def __init__(self, draws: ChunkDraws, replicate: int) -> None:
        self.draws = draws
        self.replicate = replicate

    def times(self, name: str, day: int, mean: float) -> Iterator[float]:
        """Times on a day, spread evenly over it; how many is a Poisson variate."""
        count = poisson_quantile(float(self.draws.shared(name, day_index(day))[self.replicate]), mean)
        return (day + (k + 0.5) / count for k in range(count))

    def exponential(self, name: str, number: int) -> float:
        """The number-th standard exponential of a stream."""
        return float(self.draws.shared(name, number)[self.replicate])


def poisson_quantile(u: float, mean: float) -> int:
    """Smallest k with P(X <= k) > u, X Poisson, by summation.

    For a mean above 500 the normal quantile, rounded, stands for it: exp(-mean) would vanish.
    """
    if mean <= 0:
        return 0
    if mean > MOST_SUMMED:
        return max(0, round(NormalDist(mean, math.sqrt(mean)).inv_cdf(min(max(u, 1e-16), 1 - 1e-16))))
    k, term = 0, math.exp(-mean)
    total = term
    while total <= u and k < 10 * mean + 100:
        k += 1
        term *= mean / k
        total += term
    return k
