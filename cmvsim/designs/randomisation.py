"""Randomisation: permuted blocks within strata, from lists that know nothing of the patients.

A list belongs to (replicate, stratum); the next patient of the stratum takes its next place. Each place of a list has one
uniform, and within a block the places are filled in the order of their uniforms, so that every arrangement of a block is
equally likely. As lists are drawn by position, the study of 60 patients has the assignments of the first 60 of 200.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cmvsim.core.records import FloatArray, IntArray
from cmvsim.designs.base import ListDraws

PLACE, SIZE = "design.randomisation", "design.block_size"
"""Streams: the place within a block, and the size of a block where sizes vary; index = stratum."""


def permuted_blocks(strata: IntArray, draws: ListDraws, *, ratio: Sequence[int], block_sizes: Sequence[int]) -> IntArray:
    """Assign patients in order of enrolment.

    Parameters
    ----------
    strata
        (R, N) randomisation stratum of each patient, from 0.
    draws
        Chance of lists.
    ratio
        Patients of each arm, control first, such as (1, 1) or (1, 2).
    block_sizes
        Multiples of the sum of the ratio; several: each block has one of them with equal probability.

    Returns
    -------
    ndarray
        (R, N) int64 arm.
    """
    replicates, patients = strata.shape
    arm = np.zeros((replicates, patients), dtype=np.int64)
    rows = np.arange(replicates)[:, np.newaxis]
    for stratum in range(int(strata.max(initial=-1)) + 1):
        mine = strata == stratum
        longest = int(mine.sum(axis=1).max(initial=0))
        if not longest:
            continue
        # as long as could be asked of it, in whole blocks: the arrangement of the last block needs all its places
        made = block_list(draws, stratum, longest, ratio=ratio, block_sizes=block_sizes)
        place = np.cumsum(mine, axis=1) - 1
        arm = np.where(mine, made[rows, np.maximum(place, 0)], arm)
    return arm


def block_list(draws: ListDraws, stratum: int, length: int, *, ratio: Sequence[int], block_sizes: Sequence[int]) -> IntArray:
    """The randomisation lists of one stratum: (R, length) int64 arm of each place."""
    largest = max(block_sizes)
    places = length + largest - 1
    uniform = draws.listed(PLACE, stratum, places).T
    starts, sizes = _blocks(draws, stratum, uniform.shape, block_sizes)
    # places come block by block, in a block by their uniforms; the last block is whole in those that are handed out
    order = np.argsort(starts + uniform, axis=1, kind="stable")
    share = (np.arange(places) - starts) / sizes
    edges = np.cumsum(ratio)[:-1] / sum(ratio)
    filled = np.searchsorted(edges, share + 1e-9, side="right").astype(np.int64)
    made = np.empty_like(filled)
    np.put_along_axis(made, order, filled, axis=1)
    return made[:, :length]


def _blocks(
    draws: ListDraws, stratum: int, shape: tuple[int, ...], block_sizes: Sequence[int]
) -> tuple[FloatArray, FloatArray]:
    """First place and size of the block that each place of a list belongs to, both (R, places)."""
    replicates, places = shape
    if len(block_sizes) == 1:
        one = float(block_sizes[0])
        start = np.broadcast_to(np.floor(np.arange(places) / one) * one, shape)
        return start, np.full(shape, one)
    blocks = -(-places // min(block_sizes))
    which = np.floor(draws.listed(SIZE, stratum, blocks).T * len(block_sizes)).astype(np.int64)
    size_of = np.asarray(block_sizes, dtype=np.float64)[which]
    ends = np.cumsum(size_of, axis=1)
    # ends of blocks before a place
    marks = np.zeros((replicates, places + max(block_sizes) + 1), dtype=np.int64)
    reached = ends < places
    row, _ = np.nonzero(reached)
    np.add.at(marks, (row, ends[reached].astype(np.int64)), 1)
    block = np.cumsum(marks, axis=1)[:, :places]
    size = np.take_along_axis(size_of, block, axis=1)
    return np.take_along_axis(ends, block, axis=1) - size, size
