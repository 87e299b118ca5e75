"""The fast opening of streams against numpy's own SeedSequence: the same numbers, for any key."""

from __future__ import annotations

import numpy as np
import pytest

from cmvsim.core.streams import STREAMS, Role, draw, generator
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.kernels.seeding import state_words

SEEDS = (0, 1, 2**31, 2**32, 2**64 + 3, 2**127 + 2**96 + 5, 2**128 - 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_state_words_are_those_of_numpy(seed: int) -> None:
    rng = np.random.default_rng(seed % 1000)
    for _ in range(50):
        key = tuple(int(part) for part in rng.integers(0, 2**32, 4))
        entropy = np.array([*((seed >> shift) & 0xFFFFFFFF for shift in (0, 32, 64, 96)), *key], dtype=np.uint64)
        words = np.empty(4, dtype=np.uint64)
        state_words(entropy, words)
        assert (words == np.random.SeedSequence(seed, spawn_key=key).generate_state(4, np.uint64)).all()


@pytest.mark.parametrize("seed", [0, 7, 2**128 - 1])
@pytest.mark.parametrize("name", STREAMS)
def test_every_stream_of_a_chunk_is_the_one_that_is_documented(name: str, seed: int) -> None:
    draws = ChunkDraws(seed, Role.CONFIRMATION, 3, patients=5)
    for index in (0, 2, 2**32 - 5):
        plain = draw(generator(seed, Role.CONFIRMATION, 3, name, index), STREAMS[name], 5 * 64)
        assert draws(name, index).tobytes() == plain.tobytes()
    assert draws.together(name, (0, 2))[1].tobytes() == draws(name, 2).tobytes()
