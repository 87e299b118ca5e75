"""What inputs that tell nothing would show: the bias of values of information by regression, by permutation.

A maximum over fitted values is biased up, most where strategies are about equally good and where many columns are fitted to few
draws. Giving each draw the inputs of another breaks every tie to its outcome and keeps their number and laws: what the same
regression then finds is bias alone.
"""

from __future__ import annotations

import numpy as np

from cmvsim.core.records import FloatArray, IntArray
from cmvsim.core.streams import Role, generator, stable_hash
from cmvsim.economics.evppi import evppi

PERMUTATIONS = 9
"""Inputs without any value are above the largest of nine floors once in ten times."""

SEED = 0
"""Of the permutations: the same whatever the run."""


def permutations(draws: int, count: int = PERMUTATIONS) -> IntArray:
    """(count, draws) orders of the draws, from streams of their own."""
    index = stable_hash("economics.noise_floor")
    rows = [generator(SEED, Role.ANALYSIS, k, "analysis.permutation", index).random(draws) for k in range(count)]
    order: IntArray = np.argsort(np.array(rows), axis=1, kind="stable")
    return order


def noise_floor(nb: FloatArray, inputs: FloatArray) -> float:
    """Largest value that inputs show when they are those of other draws.

    Parameters
    ----------
    nb
        (draws, strategies) net benefit.
    inputs
        (draws,) or (draws, k): a group, or the summaries of a study.

    Returns
    -------
    float
        In the unit of net benefit; the largest of :data:`PERMUTATIONS`.
    """
    return max(float(evppi(nb, inputs[order]).value) for order in permutations(nb.shape[0]))
