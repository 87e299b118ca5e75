"""The seed of a stream, as numpy's SeedSequence makes it, without the cost of making one."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

POOL = 4
MASK = np.uint64(0xFFFFFFFF)
HALF = np.uint64(16)
WORD = np.uint64(32)
INIT_A, MULT_A = np.uint64(0x43B0D7E5), np.uint64(0x931E8875)
INIT_B, MULT_B = np.uint64(0x8B51F9DD), np.uint64(0x58F38DED)
MIX_LEFT, MIX_RIGHT = np.uint64(0xCA01F9DD), np.uint64(0x4973F715)


@njit(cache=True)
def hashed(value: np.uint64, constant: np.uint64, multiplier: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Hash a 32-bit word; also the next constant."""
    value ^= constant
    constant = (constant * multiplier) & MASK
    value = (value * constant) & MASK
    return value ^ (value >> HALF), constant


@njit(cache=True)
def mixed(x: np.uint64, y: np.uint64) -> np.uint64:
    """Mix one 32-bit word into another."""
    z = (MIX_LEFT * x - MIX_RIGHT * y) & MASK
    return z ^ (z >> HALF)


@njit(cache=True, nogil=True)
def state_words(entropy: NDArray[np.uint64], words: NDArray[np.uint64]) -> None:
    """Fill `words` with what ``SeedSequence(..).generate_state(words.size, np.uint64)`` returns.

    `entropy` holds 32-bit words: at least four of the seed, filled up with zeros, then the spawn key.
    """
    pool = np.zeros(POOL, np.uint64)
    constant = INIT_A
    for i in range(POOL):
        pool[i], constant = hashed(entropy[i], constant, MULT_A)
    for source in range(POOL):
        for i in range(POOL):
            if source != i:
                value, constant = hashed(pool[source], constant, MULT_A)
                pool[i] = mixed(pool[i], value)
    for source in range(POOL, entropy.size):
        for i in range(POOL):
            value, constant = hashed(entropy[source], constant, MULT_A)
            pool[i] = mixed(pool[i], value)
    constant = INIT_B
    for j in range(words.size):
        low, constant = hashed(pool[(2 * j) % POOL], constant, MULT_B)
        high, constant = hashed(pool[(2 * j + 1) % POOL], constant, MULT_B)
        words[j] = low | (high << WORD)
