"""Plain twins and synthetic curves for the tests of planning."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

from cmvsim.core.records import BoolArray, FloatArray
from cmvsim.planning.search import crossing_of, find_crossing

Draw = Callable[[np.random.Generator, int, FloatArray], BoolArray]


def pav(values: Sequence[float]) -> list[float]:
    """Pool adjacent violators, as taught: blocks (sum, count), merged while a later mean is below an earlier one."""
    blocks: list[list[float]] = []
    for value in values:
        blocks.append([float(value), 1.0])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] >= blocks[-1][0] / blocks[-1][1]:
            total, count = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
    return [total / count for total, count in blocks for _ in range(int(count))]


def nested(mean: float, sd: float) -> Draw:
    """Perfectly nested: a replicate meets the criterion from its own size on, N_r ~ Normal(mean, sd)."""
    return lambda rng, replicates, grid: grid[np.newaxis, :] >= rng.normal(mean, sd, replicates)[:, np.newaxis]


def wavering(mean: float, sd: float, noise: float) -> Draw:
    """Nested up to a noise of its own at each size: a replicate may lose the criterion again."""

    def draw(rng: np.random.Generator, replicates: int, grid: FloatArray) -> BoolArray:
        own = rng.normal(mean, sd, replicates)[:, np.newaxis] + rng.normal(0, noise, (replicates, grid.size))
        return np.asarray(grid[np.newaxis, :] >= own)

    return draw


def true_crossing(mean: float, sd: float, grid: Sequence[int], target: float) -> float:
    """Crossing of the true curve, interpolated on the grid as the search does."""
    sizes = np.asarray(grid, dtype=np.float64)
    return crossing_of(sizes, stats.norm(mean, sd).cdf(sizes), target)


def coverage(
    draw: Draw, truth: float, grid: Sequence[int], target: float, replicates: int, repetitions: int, seed: int
) -> tuple[float, FloatArray, set[str]]:
    """How often the interval covers, where the crossings lie, and which methods answered."""
    rng = np.random.default_rng(seed)
    sizes = np.asarray(grid, dtype=np.float64)
    covered, found, methods = 0, np.empty(repetitions), set()
    for k in range(repetitions):
        met = draw(rng, replicates, sizes)
        crossing = find_crossing(grid, met, target, seed=k)
        assert crossing is not None
        assert crossing.low <= crossing.high
        covered += crossing.low <= truth <= crossing.high
        found[k] = crossing_of(sizes, np.array(pav(met.mean(axis=0))), target)
        assert crossing.n == int(np.ceil(found[k] - 1e-9))
        methods.add(crossing.method)
    return covered / repetitions, found, methods
