"""Permuted blocks: every block holds the ratio, all arrangements are equally likely, lists know nothing of patients or N."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from cmvsim.core.streams import Role
from cmvsim.designs.randomisation import block_list, permuted_blocks
from cmvsim.simulation.draws import ChunkDraws

DRAWS = ChunkDraws(5, Role.STUDY, 0, 10)


def lists(length, ratio=(1, 1), sizes=(4,), stratum=0, chunk=0):
    return block_list(ChunkDraws(5, Role.STUDY, chunk, 10), stratum, length, ratio=ratio, block_sizes=sizes)


@pytest.mark.parametrize(("ratio", "size"), [((1, 1), 2), ((1, 1), 6), ((1, 2), 3), ((2, 3), 10)])
def test_every_block_holds_the_ratio(ratio, size):
    made = lists(5 * size, ratio, (size,)).reshape(64, 5, size)
    assert (made.sum(axis=-1) == size * ratio[1] // sum(ratio)).all()
    assert len({row.tobytes() for row in made.reshape(-1, size)}) > 1


def test_all_arrangements_of_a_block_are_equally_likely():
    """Six arrangements of a block of four: chi-square on 5 degrees of freedom over 64 x 100 x 20 blocks, 99.9% point 20.5."""
    blocks = np.concatenate([lists(400, chunk=c).reshape(-1, 4) for c in range(20)])
    counts = Counter(tuple(np.flatnonzero(block)) for block in blocks)
    assert set(counts) == set(combinations(range(4), 2))
    expected = len(blocks) / 6
    assert sum((n - expected) ** 2 / expected for n in counts.values()) < 20.5


def test_blocks_of_varying_size_hold_the_ratio_at_their_ends():
    """A list is cut into blocks of 2, 4 or 6: the imbalance is never above half the largest, and often is 0."""
    made = lists(240, sizes=(2, 4, 6))
    walk = np.cumsum(np.where(made == 1, 1, -1), axis=1)
    assert np.abs(walk).max() == 3
    assert (walk == 0).any(axis=1).all()
    twos = lists(240, sizes=(2,))
    assert np.abs(np.cumsum(np.where(twos == 1, 1, -1), axis=1)).max() == 1
    # sizes with equal probability: mean 4, so that a quarter of the places end a block and the walk is 0 there at least
    assert (walk == 0).mean() > 0.24


@pytest.mark.parametrize("sizes", [(4,), (2, 4, 6)])
def test_a_shorter_list_is_the_beginning_of_a_longer_one(sizes):
    long = lists(101, sizes=sizes)
    for length in (1, 3, 4, 60, 100):
        np.testing.assert_array_equal(lists(length, sizes=sizes), long[:, :length])


def test_strata_replicates_and_chunks_have_lists_of_their_own():
    seen = [lists(40), lists(40, stratum=1), lists(40, chunk=1)]
    assert len({made.tobytes() for made in seen}) == 3
    assert len({row.tobytes() for row in lists(40)}) == 64


def test_patients_take_the_next_place_of_their_stratum():
    rng = np.random.default_rng(1)
    strata = rng.integers(0, 3, (64, 90))
    arm = permuted_blocks(strata, DRAWS, ratio=(1, 1), block_sizes=(4,))
    for stratum in range(3):
        made = lists(90, stratum=stratum)
        for r in (0, 17, 63):
            mine = arm[r, strata[r] == stratum]
            np.testing.assert_array_equal(mine, made[r, : mine.size])
    # so the first 40 patients are assigned alike, however many follow
    np.testing.assert_array_equal(permuted_blocks(strata[:, :40], DRAWS, ratio=(1, 1), block_sizes=(4,)), arm[:, :40])
    # and in no stratum do the arms differ by more than half a block
    for stratum in range(3):
        walk = np.cumsum(np.where(strata == stratum, np.where(arm == 1, 1, -1), 0), axis=1)
        assert np.abs(walk).max() <= 2
