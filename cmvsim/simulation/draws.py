"""Draws of one chunk: lazy, keyed by name and index, made patient-major so that N = 60 is a prefix of N = 200."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import DTypeLike, NDArray

from cmvsim.core.records import FloatArray
from cmvsim.core.streams import CHUNK_REPLICATES, STREAMS, Role, check_seed, draw, stream_key

# A chunk's arrays are freed when it is done. glibc then gives the memory back, and the next chunk pays a page fault per
# 4 KiB: a quarter of the engine's time. Freeing one large block (never touched, so it costs nothing) raises the size
# from which it does so; below 32 MiB, or it learns nothing. Elsewhere this has no effect.
np.empty(31 << 20, dtype=np.uint8)


class _ReadySeed(ISeedSequence):
    """The state that a SeedSequence would generate, made elsewhere."""

    def __init__(self, words: NDArray[np.uint64]) -> None:
        self.words = words

    def generate_state(self, n_words: int, dtype: DTypeLike = np.uint32) -> NDArray[Any]:
        """The words, which must be what is asked for."""
        if n_words != self.words.size or np.dtype(dtype) != self.words.dtype:
            raise ValueError(f"a state of {self.words.size} 64-bit words was made, not {n_words} of {np.dtype(dtype)}")
        return self.words


class ChunkDraws:
    """Standard variates of a chunk of 64 replicates.

    Parameters
    ----------
    seed, role, chunk
        Key of the chunk.
    patients
        N, the largest sample size asked for.
    replicates
        64; another number makes other chunks and is used by tests only.

    Notes
    -----
    An array is drawn when first asked for and kept, so that calibration may evaluate the same cohort many times. The
    order of asking does not matter: each name has its own stream.
    """

    def __init__(self, seed: int, role: Role, chunk: int, patients: int, replicates: int = CHUNK_REPLICATES) -> None:
        self.seed = check_seed(seed)
        self.role = role
        self.chunk = chunk
        self.patients = patients
        self.replicates = replicates
        self._drawn: dict[tuple[str, int], FloatArray] = {}
        seed_words = [(seed >> shift) & 0xFFFFFFFF for shift in (0, 32, 64, 96)]
        self._entropy = np.array([*seed_words, 0, 0, 0, 0], dtype=np.uint64)
        self._words = np.empty(4, dtype=np.uint64)
        self._stacked: dict[tuple[str, tuple[int, ...]], FloatArray] = {}

    def __call__(self, name: str, index: int = 0) -> FloatArray:
        """Variates of one decision: flat (patients x replicates,), the replicates of a patient side by side."""
        key = (name, index)
        if key not in self._drawn:
            array = draw(self._open(name, index), STREAMS[name], self.patients * self.replicates)
            array.setflags(write=False)
            self._drawn[key] = array
        return self._drawn[key]

    @property
    def drawn(self) -> tuple[tuple[str, int], ...]:
        """Streams drawn one at a time so far."""
        return tuple(self._drawn)

    @property
    def drawn_together(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Streams drawn by :meth:`together` so far."""
        return tuple(self._stacked)

    def together(self, name: str, indices: tuple[int, ...]) -> FloatArray:
        """The streams `name` of several indices as rows of one array, the same numbers as one at a time."""
        key = (name, indices)
        if key not in self._stacked:
            table = np.empty((len(indices), self.patients * self.replicates))
            for row, index in zip(table, indices, strict=True):
                draw(self._open(name, index), STREAMS[name], row.size, row)
            table.setflags(write=False)
            self._stacked[key] = table
        return self._stacked[key]

    def shared(self, name: str, index: int = 0) -> FloatArray:
        """Variates of what all patients of a replicate share (a site's laboratory): (replicates,)."""
        return draw(self._open(name, index), STREAMS[name], self.replicates)

    def listed(self, name: str, index: int, length: int) -> FloatArray:
        """Variates of a list that knows no patients (randomisation): (length, replicates), a longer one begins the same."""
        made = draw(self._open(name, index), STREAMS[name], length * self.replicates)
        return made.reshape(length, self.replicates)

    def _open(self, name: str, index: int) -> np.random.Generator:
        """:func:`cmvsim.core.streams.generator` of this chunk, five times faster: a chunk opens some 75 streams."""
        from cmvsim.simulation.kernels.seeding import state_words

        key = stream_key(self.role, self.chunk, name, index)
        entropy, words = self._entropy, self._words
        entropy[4], entropy[5], entropy[6], entropy[7] = key
        state_words(entropy, words)  # read at once by the generator, so that one place serves all
        return np.random.Generator(np.random.PCG64DXSM(_ReadySeed(words)))  # type: ignore[arg-type]  # absent from numpy's stubs
